"""May an answer be stored, and is it one at all? (RFC 9111 §3; D2, D7)."""

from dataclasses import dataclass

from proxy.http_semantics.json_members import is_json
from proxy.model import (
    Detail,
    Kind,
    Lifetimes,
    Tag,
)
from proxy.trello.failures import _PAGES, _media_type

NOT_FOUND_LIFETIME_S = 5.0
"""A 404 may turn into a 200 when a member is added: kept for seconds, never past them.

And for so long one 404 is no proof against a stored 200: a second one, later than that, is.
"""


@dataclass(frozen=True, slots=True)
class Storable:
    """It may be stored, under these lifetimes, until one of these tags is invalidated."""

    lifetimes: Lifetimes
    tags: tuple[Tag, ...]


@dataclass(frozen=True, slots=True)
class Unstorable:
    """It may not, and this is why."""

    reason: Detail


def may_store(
    status: int,
    lifetimes: Lifetimes,
    tags: tuple[Tag, ...],
    *,
    no_store: bool = False,
    echoes: bool = False,
) -> Storable | Unstorable:
    """200 for the route's lifetimes, 404 for seconds, nothing else (D2).

    Nor what `echoes` the client's own credential: nothing stored holds one (D1).
    """
    if no_store or echoes:
        return Unstorable(Detail.REQUEST_NO_STORE if no_store else Detail.CREDENTIAL_IN_RESPONSE)
    if lifetimes.lifetime_s <= 0:
        return Unstorable(Detail.ROUTE_NOT_STORED)
    if status == 404:
        return Storable(_of_gone(lifetimes), tags)
    if status != 200:
        return Unstorable(Detail.STATUS_NOT_STORED)
    return Storable(lifetimes, tags)


def lifetimes_for(status: int, route: Lifetimes) -> Lifetimes:
    """What a stored response may be used for, by today's route table."""
    return _of_gone(route) if status == 404 else route


def _of_gone(route: Lifetimes) -> Lifetimes:
    return Lifetimes(min(NOT_FOUND_LIFETIME_S, route.lifetime_s))


def why_unusable(kind: Kind, content_type: str, plain: bytes) -> str | None:
    """Why a 200 is not what its route gives, or None when it is (D7).

    JSON routes give JSON, to the last byte: a gateway's page is trouble upstream, and a body that
    was cut before it was sent has the right length. It takes about 1 ms for each MB.
    """
    media_type = _media_type(content_type)
    match kind:
        case Kind.WRITE:
            return _why_no_outcome(media_type, plain)
        case Kind.SCRIPT:
            return None if "javascript" in media_type else f"{media_type or 'untyped'} for a script"
        case _:
            return _why_no_json(media_type, plain)


def _why_no_outcome(media_type: str, plain: bytes) -> str | None:
    """Why a body says nothing of a write; it may be a sentence, or empty."""
    if media_type in _PAGES:
        return "a page where an answer belongs"
    if plain and media_type.endswith("json"):
        return _why_no_json(media_type, plain)
    return None


def _why_no_json(media_type: str, plain: bytes) -> str | None:
    """Why a body is not the JSON, or the call of a script's, that it should be."""
    if media_type and not media_type.endswith(("json", "javascript")):
        return f"{media_type} where JSON belongs"
    if media_type.endswith("javascript"):
        return None
    return None if is_json(plain) else "a body that is not JSON, or was cut short"
