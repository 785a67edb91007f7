"""Collapsed forwarding: one flight for many callers (RFC 9211 §2.6).

A flight is a task owned here, not by the request that began it: a caller who leaves cancels only
its own waiting. One failure answers everybody who waited, and the next caller asks anew.
"""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Hashable
from typing import Any, Generic, TypeVar

T = TypeVar("T")


class Collapse(Generic[T]):
    """The flights in the air, by what they were begun for."""

    def __init__(self) -> None:
        self._flights: dict[Hashable, asyncio.Task[T]] = {}

    def __len__(self) -> int:
        return len(self._flights)

    async def run(
        self, key: Hashable, begin: Callable[[], Coroutine[Any, Any, T]]
    ) -> tuple[T, bool]:
        """The flight's result, and whether somebody else had begun it."""
        joined = key in self._flights
        return await asyncio.shield(self.start(key, begin)), joined

    def start(self, key: Hashable, begin: Callable[[], Coroutine[Any, Any, T]]) -> Awaitable[T]:
        """Begin the flight unless it is in the air; nobody needs to wait for it."""
        flight = self._flights.get(key)
        if flight is None:
            flight = asyncio.create_task(begin())  # noqa: TID251 — owned here, see stop
            self._flights[key] = flight
            flight.add_done_callback(lambda done: self._landed(key, done))
        return flight

    async def stop(self) -> None:
        """Cancel what is still in the air."""
        flights = list(self._flights.values())
        for flight in flights:
            flight.cancel()
        await asyncio.gather(*flights, return_exceptions=True)

    def _landed(self, key: Hashable, flight: "asyncio.Task[T]") -> None:
        del self._flights[key]
        if not flight.cancelled():
            flight.exception()  # seen, even when nobody waited
