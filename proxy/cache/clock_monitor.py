"""Clock monitor: notices that the wall clock was set back, after which no age can be trusted.

What was stored before then looks younger than it is, by as much as the clock was set back; what
was stored "in the future" has no age at all. So everything stored becomes stale (soft purge, D46).
"""

from collections.abc import Callable

from proxy.cache.invalidation import Invalidator
from proxy.observability.log import Log
from proxy.runtime.clock import Clock
from proxy.trello.tags import EVERYTHING

TOLERANCE_S = 1.0
"""NTP may set a clock back by less than this; an age is wrong by no more than that."""


class ClockMonitor:
    """Compares the clock with times that it has already shown."""

    def __init__(
        self, invalidator: Invalidator, clock: Clock, log: Log, on_set_back: Callable[[], None]
    ) -> None:
        """`on_set_back` is called when the clock was set back, once everything stored is stale."""
        self._invalidator = invalidator
        self._clock = clock
        self._log = log
        self._on_set_back = on_set_back
        self._latest = clock.now()

    def tick(self) -> None:
        """Compare it with the last tick's time; to be called several times a second."""
        self.check(self._latest)

    def check(self, moment: float) -> None:
        """Mark everything stored stale if this time, in POSIX seconds, is still to come."""
        now = self._latest = self._clock.now()
        if moment - now <= TOLERANCE_S:
            return
        self._invalidator.mark_stale({EVERYTHING}, "clock")
        self._on_set_back()
        self._log.event("warning", "clock set back", by_s=round(moment - now, 1))
