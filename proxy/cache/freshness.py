"""May a stored response be used? Pure: the caller says what time it is (RFC 9111 §4.2)."""

from dataclasses import dataclass

from proxy.http_semantics.cache_control import NONE, Directives
from proxy.model import Lifetimes


@dataclass(frozen=True, slots=True)
class Fresh:
    """Usable without asking Trello; `ttl_s` seconds of life remain."""

    ttl_s: float


@dataclass(frozen=True, slots=True)
class Stale:
    """`stale_for_s` seconds past its lifetime, and what it may still be used for."""

    stale_for_s: float
    while_revalidate: bool
    """Answer with it at once, ask in the background (RFC 5861 §3)."""
    if_error: bool
    """Answer with it when Trello cannot (RFC 5861 §4)."""
    refused: bool = False
    """Only the client's own directives made it so (RFC 9211 §2.2, `request`)."""

    @property
    def ttl_s(self) -> int:
        """What remains, in RFC 9211's sense: negative, -1 for the first second."""
        return -1 - int(self.stale_for_s)


@dataclass(frozen=True, slots=True)
class Absent:
    """Nothing is stored that may be used."""


Verdict = Fresh | Stale | Absent
ABSENT = Absent()


def age_of(requested_at: float, now: float) -> float:
    """Seconds since the answer was asked for; 0 for one from the future (RFC 9111 §4.2.3)."""
    return max(0.0, now - requested_at)


def judge(
    requested_at: float,
    lifetimes: Lifetimes,
    now: float,
    directives: Directives = NONE,
    *,
    outdated: bool = False,
) -> Verdict:
    """Fresh while age < lifetime, and while the client's own `max-age` says so (§5.2.1.1).

    `no-cache`, and an age above the client's `max-age`, ask for validation (§5.2.1.4): stale
    answers may then still serve an error, but not the wait. Nor may what is `outdated`, by a
    change made elsewhere: it is stale at any age. So is what was asked for in the future: the
    clock was set back, and its age is not known.
    """
    outdated = outdated or requested_at > now
    age_s = age_of(requested_at, now)
    ttl_s = lifetimes.lifetime_s - age_s
    refused = directives.no_cache or (
        directives.max_age_s is not None and age_s > directives.max_age_s
    )
    within = ttl_s > 0 and not outdated
    if within and not refused:
        return Fresh(ttl_s)
    stale_for_s = max(0.0, -ttl_s)
    if_error = within or stale_for_s < lifetimes.stale_if_error_s
    may_wait = not refused and not outdated
    while_revalidate = may_wait and stale_for_s < lifetimes.stale_while_revalidate_s
    if not if_error and not while_revalidate:
        return ABSENT
    return Stale(stale_for_s, while_revalidate, if_error, refused=within)
