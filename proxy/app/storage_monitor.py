"""Notices that what is kept on disk was removed or replaced, and has it made anew.

An open file outlives its name, so writing to one that was removed fails nowhere: somebody has to
look. What could not be opened is tried again at the same pace.
"""

import asyncio
from collections.abc import Sequence
from typing import Protocol

from proxy.runtime.clock import Clock

LOOK_S = 20.0
"""From one look to the next: within a minute everything is there again."""


class MonitoredStorage(Protocol):
    """What keeps something in the cache directory."""

    async def check_directory(self) -> None:
        """Make anew what is missing, or what could not be opened before; raises nothing."""


class StorageMonitor:
    """Owns the task that looks."""

    def __init__(self, kept: Sequence[MonitoredStorage], clock: Clock) -> None:
        self._kept = kept
        self._clock = clock
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begin."""
        self._task = asyncio.create_task(self._run())  # noqa: TID251 — owned here, see stop

    async def stop(self) -> None:
        """Look no more."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    async def _run(self) -> None:
        while True:
            await self._clock.sleep(LOOK_S)
            for each in self._kept:
                await each.check_directory()
