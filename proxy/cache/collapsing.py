"""Collapsed forwarding: one upstream request for several clients (RFC 9211 §2.6).

The work is a task owned here, not by the request that began it: a client that disconnects cancels
only its own wait. A failure reaches every caller that waited, and the next caller begins anew.
Work that all callers have left is completed all the same, unless `is_idle` says that it has not
begun.
"""

import asyncio
from collections.abc import Callable, Coroutine, Hashable
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from proxy.runtime.tasks import TaskSet

T = TypeVar("T")


@dataclass(slots=True)
class _Flight(Generic[T]):
    task: "asyncio.Task[T]"
    callers: int = 0
    """Those that wait, and background ones, which never leave."""


class RequestCollapser(Generic[T]):
    """Work in progress, by the key that callers share."""

    def __init__(self, is_idle: Callable[["asyncio.Task[T]"], bool]) -> None:
        self._flights: dict[Hashable, _Flight[T]] = {}
        self._is_idle = is_idle
        self._tasks = TaskSet()

    def __len__(self) -> int:
        return len(self._flights)

    def __contains__(self, key: Hashable) -> bool:
        return key in self._flights

    async def run(
        self, key: Hashable, begin: Callable[[], Coroutine[Any, Any, T]]
    ) -> tuple[T, bool]:
        """The result, and whether another caller had begun the work."""
        joined = key in self._flights
        flight = self._join(key, begin)
        try:
            return await asyncio.shield(flight.task), joined
        except asyncio.CancelledError:
            flight.callers -= 1
            if not flight.callers and self._is_idle(flight.task):
                flight.task.cancel()
                self._forget(key, flight)  # the next caller begins another
            raise

    def start(self, key: Hashable, begin: Callable[[], Coroutine[Any, Any, T]]) -> None:
        """Begin the work in the background unless it is in progress."""
        self._join(key, begin)

    async def stop(self) -> None:
        """Cancel the work in progress."""
        await self._tasks.stop()

    def _join(self, key: Hashable, begin: Callable[[], Coroutine[Any, Any, T]]) -> _Flight[T]:
        flight = self._flights.get(key)
        if flight is None:
            flight = self._flights[key] = _Flight(self._tasks.spawn(begin()))
            flight.task.add_done_callback(lambda _: self._forget(key, flight))
        flight.callers += 1
        return flight

    def _forget(self, key: Hashable, flight: _Flight[T]) -> None:
        if self._flights.get(key) is flight:
            del self._flights[key]
