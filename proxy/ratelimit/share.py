"""Share of the rate limit for background work: a fifth of a token's limit. Pure."""

from collections.abc import Sequence

BACKGROUND_SHARE = 5
"""Divisor of the limit: four fifths are left to clients."""
MAX_BURST = 2
"""Upstream requests for a file that is not stored: its metadata and its download."""


def share_of(count: int) -> int:
    """Requests per window: a fifth of `count`, and at least MAX_BURST."""
    return max(MAX_BURST, count // BACKGROUND_SHARE)


def delay_s(spent: Sequence[float], cost: int, now: float, count: int, window_s: float) -> float:
    """Seconds until `cost` more requests, at most MAX_BURST, stay within the share.

    `spent`: times of earlier requests, in order. The limit is `count` in any `window_s` seconds; if
    a fifth of it is less than MAX_BURST, the window is extended instead.
    """
    budget = share_of(count)
    window_s *= max(1.0, budget * BACKGROUND_SHARE / count)
    recent = [at for at in spent if at + window_s > now]
    excess = len(recent) + cost - budget
    return recent[excess - 1] + window_s - now if excess > 0 else 0.0
