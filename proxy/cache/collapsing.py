"""Collapsed forwarding: one flight for many callers (RFC 9211 §2.6).

A flight is a task owned here, not by the request that began it: a caller who leaves cancels only
its own waiting. One failure answers everybody who waited, and the next caller asks anew. A flight
that all its callers have left lands all the same, unless `is_idle` says that it has not begun.
"""

import asyncio
from collections.abc import Callable, Coroutine, Hashable
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

T = TypeVar("T")


@dataclass(slots=True)
class _Flight(Generic[T]):
    task: "asyncio.Task[T]"
    callers: int = 0
    """Those that wait, and those that never will."""


class RequestCollapser(Generic[T]):
    """The flights in the air, by what they were begun for."""

    def __init__(self, is_idle: Callable[["asyncio.Task[T]"], bool]) -> None:
        self._flights: dict[Hashable, _Flight[T]] = {}
        self._is_idle = is_idle

    def __len__(self) -> int:
        return len(self._flights)

    def __contains__(self, key: Hashable) -> bool:
        return key in self._flights

    async def run(
        self, key: Hashable, begin: Callable[[], Coroutine[Any, Any, T]]
    ) -> tuple[T, bool]:
        """The flight's result, and whether somebody else had begun it."""
        joined = key in self._flights
        flight = self._join(key, begin)
        try:
            return await asyncio.shield(flight.task), joined
        except asyncio.CancelledError:
            flight.callers -= 1
            if not flight.callers and self._is_idle(flight.task):
                flight.task.cancel()
                self._forget(key, flight)  # who comes now begins another
            raise

    def start(self, key: Hashable, begin: Callable[[], Coroutine[Any, Any, T]]) -> None:
        """Begin the flight unless it is in the air; it lands, whoever waits for it."""
        self._join(key, begin)

    async def stop(self) -> None:
        """Cancel what is still in the air."""
        flights = [flight.task for flight in self._flights.values()]
        for flight in flights:
            flight.cancel()
        await asyncio.gather(*flights, return_exceptions=True)

    def _join(self, key: Hashable, begin: Callable[[], Coroutine[Any, Any, T]]) -> _Flight[T]:
        flight = self._flights.get(key)
        if flight is None:
            task = asyncio.create_task(begin())  # noqa: TID251 — owned here, see stop
            flight = self._flights[key] = _Flight(task)
            task.add_done_callback(lambda _: self._finished(key, flight))
        flight.callers += 1
        return flight

    def _finished(self, key: Hashable, flight: _Flight[T]) -> None:
        self._forget(key, flight)
        if not flight.task.cancelled():
            flight.task.exception()  # seen, even when nobody waited

    def _forget(self, key: Hashable, flight: _Flight[T]) -> None:
        if self._flights.get(key) is flight:
            del self._flights[key]
