"""How fast work that nobody waits for may ask Trello: at a fifth of what a token may."""

from collections.abc import Sequence

BACKGROUND_SHARE = 5
"""Four fifths are left to the tools."""
MAX_BURST = 2
"""Requests to Trello that a cold file takes: its metadata and its download."""


def share_of(count: int) -> int:
    """Requests in one window: a fifth of `count`, and enough for one file however few that is."""
    return max(MAX_BURST, count // BACKGROUND_SHARE)


def delay_s(spent: Sequence[float], cost: int, now: float, count: int, window_s: float) -> float:
    """Seconds until `cost` more requests, MOST_AT_ONCE at most, keep to a fifth of the rate.

    `spent`: when requests were made, in order. The rate is `count` in any `window_s` seconds; where
    a fifth of it is too little for one file, the window is longer instead.
    """
    budget = share_of(count)
    window_s *= max(1.0, budget * BACKGROUND_SHARE / count)
    recent = [at for at in spent if at + window_s > now]
    too_many = len(recent) + cost - budget
    return recent[too_many - 1] + window_s - now if too_many > 0 else 0.0
