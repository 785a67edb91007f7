"""Storability: which responses may be stored, and which are usable at all (RFC 9111 §3)."""

from proxy.http_semantics.json_members import is_json
from proxy.http_semantics.media_type import media_type_of
from proxy.model import Detail, Kind, Lifetimes
from proxy.trello.failures import PAGE_TYPES, is_upstream_failure

_INVALIDATING_STATUSES = frozenset({401, 403, 410})
"""Refusals after which the member may no longer see what is stored: it must not be served again.

A 404 is not among them: it takes two to remove a stored response (D45).
"""


def why_not_stored(
    status: int, lifetimes: Lifetimes, *, no_store: bool = False, echoes: bool = False
) -> Detail | None:
    """Why a response may not be stored; None for a 200 or 404 on a route with a lifetime (D2).

    A response that `echoes` the client's own credential is not stored: nothing stored holds one
    (D1).
    """
    if no_store:
        return Detail.REQUEST_NO_STORE
    if echoes:
        return Detail.CREDENTIAL_IN_RESPONSE
    if lifetimes.lifetime_s <= 0:
        return Detail.ROUTE_NOT_STORED
    return None if status in {200, 404} else Detail.STATUS_NOT_STORED


def is_invalidating(status: int, body: bytes, *, own: bool) -> bool:
    """Whether a response says that what is stored for its request must go.

    `own`: the request was sent with the stored credential. A refusal of that credential as such is
    an upstream failure, and says nothing of the object.
    """
    return status in _INVALIDATING_STATUSES and not is_upstream_failure(status, body, own=own)


def why_unusable(kind: Kind, content_type: str, plain: bytes) -> str | None:
    """Why a 200 is not what its route returns, as a noun phrase; None when it is (D7).

    JSON routes return JSON, valid to the last byte: a gateway's HTML page is an upstream failure,
    and a body that was truncated before it was sent has the right length. About 1 ms per MB.
    """
    media_type = media_type_of(content_type)
    match kind:
        case Kind.WRITE:
            return _why_no_outcome(media_type, plain)
        case Kind.SCRIPT:
            return None if "javascript" in media_type else f"{media_type or 'untyped'} for a script"
        case _:
            return _why_no_json(media_type, plain)


def _why_no_outcome(media_type: str, plain: bytes) -> str | None:
    """Why a body is not the response to a write, which may be a sentence, or empty."""
    if media_type in PAGE_TYPES:
        return "a page where a response belongs"
    if plain and media_type.endswith("json"):
        return _why_no_json(media_type, plain)
    return None


def _why_no_json(media_type: str, plain: bytes) -> str | None:
    """Why a body is not the JSON, or the JSONP script, that it should be."""
    if media_type and not media_type.endswith(("json", "javascript")):
        return f"{media_type} where JSON belongs"
    if media_type.endswith("javascript"):
        return None
    return None if is_json(plain) else "a body that is not JSON, or was cut short"
