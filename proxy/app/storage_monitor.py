"""Storage monitor: creates files of the cache directory again after they were removed.

Writing to an open file that was removed does not fail, so the monitor looks for its name. Stores
that could not be opened are tried again at the same interval.
"""

from collections.abc import Sequence
from typing import Protocol

from proxy.runtime.clock import Clock
from proxy.runtime.tasks import TaskSet

LOOK_S = 20.0
"""Seconds between checks: everything is restored within a minute."""


class MonitoredStorage(Protocol):
    """A store in the cache directory."""

    async def check_directory(self) -> None:
        """Create missing files, and open the store if it could not be opened; raises nothing."""


class StorageMonitor:
    """Checks the stores in a background task."""

    def __init__(
        self, storages: Sequence[MonitoredStorage], clock: Clock, every_s: float = LOOK_S
    ) -> None:
        self._storages = storages
        self._clock = clock
        self._every_s = every_s
        self._tasks = TaskSet()

    def start(self) -> None:
        """Check again and again."""
        self._tasks.spawn(self._run())

    async def stop(self) -> None:
        """Check no more."""
        await self._tasks.stop()

    async def _run(self) -> None:
        while True:
            await self._clock.sleep(self._every_s)
            for storage in self._storages:
                await storage.check_directory()
