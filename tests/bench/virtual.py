"""Virtual time over real sockets: the clock moves only when nobody has anything left to do."""

import asyncio
import selectors
from collections.abc import Callable
from concurrent.futures import Executor
from math import inf
from typing import Any

from proxy.runtime.clock import FakeClock

_ON_ITS_WAY_S = 0.002
"""What the kernel may take to bring bytes from one of our sockets to another."""


class VirtualClock(FakeClock):
    """A clock that says when the next sleeper is to be woken."""

    def run_until(self, at: float) -> bool:
        """Move to `at`, or to the first sleeper's hour before it; whether `at` was reached."""
        due = min((when for when, waiter in self._sleepers if not waiter.done()), default=inf)
        now = self.now()
        self.advance(max(0.0, min(due, at) - now))
        return due > at


class _Selector(selectors.DefaultSelector):
    """Notices when the loop would fall asleep, and wakes whoever waits for that."""

    def __init__(self) -> None:
        super().__init__()
        self.waiter: asyncio.Future[None] | None = None
        self.is_busy: Callable[[], bool] = bool
        self.threads = 0

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        events = super().select(0)
        if events or timeout == 0:
            return events
        if self.waiter is None or self.threads:
            return super().select(timeout)
        if self.is_busy():
            events = super().select(_ON_ITS_WAY_S)
        if not events:
            self.waiter.set_result(None)
            self.waiter = None
        return events


class VirtualLoop(asyncio.SelectorEventLoop):
    """An event loop that knows when everything has come to rest."""

    def __init__(self) -> None:
        self._quiet = _Selector()
        super().__init__(self._quiet)

    def run_in_executor(  # type: ignore[override]  # typeshed's has type variables of its own
        self, executor: Executor | None, func: Callable[..., Any], *args: Any
    ) -> "asyncio.Future[Any]":
        """As ever; what runs beside the loop is no rest."""
        self._quiet.threads += 1
        future = super().run_in_executor(executor, func, *args)
        future.add_done_callback(self._returned)
        return future

    async def rest(self, is_busy: Callable[[], bool]) -> None:
        """Return when nothing is ready and nothing on its way; `is_busy`: look twice."""
        self._quiet.is_busy = is_busy
        self._quiet.waiter = self.create_future()
        await self._quiet.waiter

    def _returned(self, _: object) -> None:
        self._quiet.threads -= 1
