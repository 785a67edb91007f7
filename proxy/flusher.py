"""Writes what was logged, several times a second: a request does not wait for that."""

import asyncio
from collections.abc import Callable, Sequence

from proxy.log import Log

FLUSH_S = 0.2


class LogFlusher:
    """Owns the task that does so."""

    def __init__(self, log: Log, ticks: Sequence[Callable[[], None]]) -> None:
        """`ticks` are called as often: what counts minutes, and what looks at the clock."""
        self._log = log
        self._ticks = ticks
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begin."""
        self._task = asyncio.create_task(self._run())  # noqa: TID251 — owned here, see stop

    async def stop(self) -> None:
        """Write the rest, and no more."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
        self._log.flush()

    async def _run(self) -> None:
        while True:
            await asyncio.sleep(FLUSH_S)
            self._log.flush()
            for tick in self._ticks:
                tick()
