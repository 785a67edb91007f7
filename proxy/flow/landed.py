"""What was found in the store, or what a flight brought, and for whom."""

from dataclasses import dataclass

from proxy.flow.exchange import BufferedResponse
from proxy.model import CacheKey, StoredResponse
from proxy.policy.cache_key import missing_key
from proxy.policy.freshness import Verdict
from proxy.policy.storability import Reason


@dataclass(frozen=True, slots=True)
class LookupResult:
    """What the store has for an ask, and what may be done with it."""

    stored: StoredResponse | None
    verdict: Verdict
    detail: str | None = None


@dataclass(frozen=True, slots=True)
class Stored:
    """A flight's answer that is now stored: everybody may have it."""

    stored: StoredResponse
    detail: str | None = None
    """A token of ours: how the answer came to be."""


@dataclass(frozen=True, slots=True)
class NotStored:
    """A flight's answer that is not stored: its leader's alone, unless it is an error."""

    response: BufferedResponse
    reason: Reason
    key: CacheKey
    """Of the spelling that was asked."""


@dataclass(frozen=True, slots=True)
class TooLarge:
    """An answer that must be streamed, to each caller on its own."""


FetchResult = Stored | NotStored | TooLarge


def is_refusal(result: FetchResult) -> bool:
    """Whether Trello said no to what was asked, and not that it is in trouble."""
    match result:
        case Stored(stored):
            return stored.status != 200
        case NotStored(whole):
            return 400 <= whole.status < 500 and whole.status != 429
    return False


def is_refusal_of(result: FetchResult, key: CacheKey) -> bool:
    """Whether it was this very spelling that was refused."""
    match result:
        case Stored(stored):
            return stored.key == missing_key(key)
        case NotStored(key=refused):
            return refused == key
    return False
