"""Freshness: whether a stored response may be used, at a given time (RFC 9111 §4.2). Pure."""

from dataclasses import dataclass

from proxy.http_semantics.cache_control import NONE, Directives
from proxy.model import Lifetimes

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
