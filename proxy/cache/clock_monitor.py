"""Clock monitor: notices that the wall clock was set back, after which no age can be trusted.

What was stored before then looks younger than it is, by as much as the clock was set back; what
was stored "in the future" has no age at all. So everything stored becomes stale (soft purge).
"""

from collections.abc import Callable

from proxy.cache.invalidation import Invalidator
from proxy.observability.log import Log
from proxy.runtime.clock import Clock
from proxy.trello.tags import EVERYTHING

TOLERANCE_S = 1.0
"""A clock that is kept in step by NTP may go back by less; an age is wrong by no more than that."""


class ClockMonitor:
    """Compares the clock with moments that have been."""

    def __init__(self, invalidator: Invalidator, clock: Clock, log: Log) -> None:
        self._invalidate = invalidator
        self._clock = clock
        self._log = log
        self._latest = clock.now()
        self.on_set_back: list[Callable[[], None]] = []
        """Called when the clock was set back, once everything stored is stale."""

    def tick(self) -> None:
        """Compare it with what it said at the last tick; to be called several times a second."""
        self.check(self._latest)

    def check(self, moment: float) -> None:
        """Make everything stored stale if this moment, in POSIX seconds, is still to come."""
        now = self._latest = self._clock.now()
        if moment - now <= TOLERANCE_S:
            return
        self._invalidate.mark_stale({EVERYTHING}, "clock")
        for notify in self.on_set_back:
            notify()
        self._log.event("warning", "clock set back", by_s=round(moment - now, 1))
