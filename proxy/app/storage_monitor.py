"""Storage monitor: notices that files of the cache directory were removed, and creates them anew.

An open file outlives its name, so writing to one that was removed does not fail: it has to be
looked for. What could not be opened is tried again at the same pace.
"""

from collections.abc import Sequence
from typing import Protocol

from proxy.runtime.clock import Clock
from proxy.runtime.tasks import TaskSet

LOOK_S = 20.0
"""From one check to the next: within a minute everything is there again."""


class MonitoredStorage(Protocol):
    """A store in the cache directory."""

    async def check_directory(self) -> None:
        """Create what is missing, and open what could not be opened before; raises nothing."""


class StorageMonitor:
    """Checks the stores, in a task of its own."""

    def __init__(self, storages: Sequence[MonitoredStorage], clock: Clock) -> None:
        self._storages = storages
        self._clock = clock
        self._tasks = TaskSet()

    def start(self) -> None:
        """Check every LOOK_S seconds."""
        self._tasks.spawn(self._run())

    async def stop(self) -> None:
        """Check no more."""
        await self._tasks.stop()

    async def _run(self) -> None:
        while True:
            await self._clock.sleep(LOOK_S)
            for storage in self._storages:
                await storage.check_directory()
