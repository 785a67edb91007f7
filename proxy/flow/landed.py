"""What was found in the store, or what a flight brought, and for whom."""

from dataclasses import dataclass

from proxy.flow.exchange import Whole
from proxy.model import CacheKey, StoredResponse
from proxy.policy.cache_key import missing_key
from proxy.policy.freshness import Verdict
from proxy.policy.storability import Reason


@dataclass(frozen=True, slots=True)
class Found:
    """What the store has for an ask, and what may be done with it."""

    stored: StoredResponse | None
    verdict: Verdict
    detail: str | None = None


@dataclass(frozen=True, slots=True)
class Kept:
    """A flight's answer that is now stored: everybody may have it."""

    stored: StoredResponse
    detail: str | None = None
    """A token of ours: how the answer came to be."""


@dataclass(frozen=True, slots=True)
class Passed:
    """A flight's answer that is not stored: its leader's alone, unless it is an error."""

    whole: Whole
    reason: Reason
    key: CacheKey
    """Of the spelling that was asked."""


@dataclass(frozen=True, slots=True)
class TooLong:
    """An answer that must be streamed, to each caller on its own."""


Landed = Kept | Passed | TooLong


def is_refusal(landed: Landed) -> bool:
    """Whether Trello said no to what was asked, and not that it is in trouble."""
    match landed:
        case Kept(stored):
            return stored.status != 200
        case Passed(whole):
            return 400 <= whole.status < 500 and whole.status != 429
    return False


def is_refusal_of(landed: Landed, key: CacheKey) -> bool:
    """Whether it was this very spelling that was refused."""
    match landed:
        case Kept(stored):
            return stored.key == missing_key(key)
        case Passed(key=refused):
            return refused == key
    return False
