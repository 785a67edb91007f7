"""Cache policy: whether a response may be stored (RFC 9111 §3), and used (§4.2). Pure."""

from dataclasses import dataclass

from proxy.http_semantics.cache_control import NONE, Directives
from proxy.http_semantics.content import media_type_of
from proxy.http_semantics.json_members import is_json
from proxy.model import Detail, Kind, Lifetimes, StoredResponse
from proxy.trello.failures import PAGE_TYPES, is_upstream_failure
from proxy.trello.routes import Match

MAX_SAMPLE_BYTES = 64 * 1024
"""A longer response is not verified: samples must be cheap."""


def may_verify(match: Match, stored: StoredResponse, *, own: bool) -> bool:
    """Whether a hit may be a sample: small JSON of the stored credential's, no token in the path.

    A 404 says too little, and is fresh for seconds only.
    """
    return (
        own
        and match.route.kind is Kind.READ
        and not match.secret_positions
        and stored.status == 200
        and len(stored.body) <= MAX_SAMPLE_BYTES
    )


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


NOT_FOUND_LIFETIME_S = 5.0
"""A 404 becomes a 200 when a member is added: it is stored for seconds, and never served stale.

For the same time one 404 is no proof against a stored 200: a second one, after it, is (D45).
"""


@dataclass(frozen=True, slots=True)
class Fresh:
    """Usable without a request to Trello, for `ttl_s` more seconds."""

    ttl_s: float


@dataclass(frozen=True, slots=True)
class Stale:
    """Past its lifetime by `stale_for_s` seconds, and what it may still be used for."""

    stale_for_s: float
    while_revalidate: bool
    """Served at once, and revalidated in the background (RFC 5861 §3)."""
    if_error: bool
    """Served in place of an upstream failure (RFC 5861 §4)."""
    refused: bool = False
    """Only the client's own directives made it stale (RFC 9211 §2.2, `request`)."""

    @property
    def ttl_s(self) -> int:
        """Remaining seconds, so negative: -1 for the first second (RFC 9211 §2.4)."""
        return -1 - int(self.stale_for_s)


@dataclass(frozen=True, slots=True)
class Absent:
    """Nothing usable is stored."""


Verdict = Fresh | Stale | Absent
ABSENT = Absent()


def age_of(requested_at: float, now: float) -> float:
    """Seconds since the response was requested; 0 for one from the future (RFC 9111 §4.2.3)."""
    return max(0.0, now - requested_at)


def lifetimes_for(status: int, route: Lifetimes) -> Lifetimes:
    """The lifetimes of a response with this status: a 404 has short ones."""
    if status != 404:
        return route
    return Lifetimes(min(NOT_FOUND_LIFETIME_S, route.lifetime_s))


def judge(
    requested_at: float,
    lifetimes: Lifetimes,
    now: float,
    directives: Directives = NONE,
    *,
    marked_stale: bool = False,
) -> Verdict:
    """Fresh while age < lifetime and the client's own `max-age` allows it (§5.2.1.1).

    `no-cache`, and an age above the client's `max-age`, demand validation (§5.2.1.4): a stale
    response may then still replace an error, but is not served before it was revalidated. The same
    holds for what is `marked_stale` by a change made elsewhere, at any age. A response requested
    in the future is stale too: the clock was set back, and the age is unknown.
    """
    marked_stale = marked_stale or requested_at > now
    age_s = age_of(requested_at, now)
    ttl_s = lifetimes.lifetime_s - age_s
    is_refused = directives.no_cache or (
        directives.max_age_s is not None and age_s > directives.max_age_s
    )
    is_within = ttl_s > 0 and not marked_stale
    if is_within and not is_refused:
        return Fresh(ttl_s)
    stale_for_s = max(0.0, -ttl_s)
    if_error = is_within or stale_for_s < lifetimes.stale_if_error_s
    while_revalidate = (
        not is_refused and not marked_stale and stale_for_s < lifetimes.stale_while_revalidate_s
    )
    if not if_error and not while_revalidate:
        return ABSENT
    return Stale(stale_for_s, while_revalidate, if_error, refused=is_within)
