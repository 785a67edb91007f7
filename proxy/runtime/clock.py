"""Clock: wall time, monotonic time and sleeping; the only reader of the system clock (D9)."""

import asyncio
import time
from functools import partial
from typing import Protocol


class Clock(Protocol):
    """Time and sleeping; seconds throughout."""

    def now(self) -> float:
        """POSIX seconds, for ages and lifetimes."""

    def monotonic(self) -> float:
        """Seconds that never run backwards, for durations."""

    async def sleep(self, delay_s: float) -> None:
        """Return after `delay_s` seconds, never earlier."""


class BootClock(Clock, Protocol):
    """A clock that also counts while the machine sleeps."""

    def boottime(self) -> float:
        """Seconds of CLOCK_BOOTTIME; they never run backwards."""


_BOOTTIME = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)
"""macOS has none; there the monotonic clock is the nearest."""


class SystemClock:
    """The system clock."""

    now = staticmethod(time.time)
    monotonic = staticmethod(time.monotonic)
    boottime = staticmethod(partial(time.clock_gettime, _BOOTTIME))

    async def sleep(self, delay_s: float) -> None:
        await asyncio.sleep(delay_s)


class FakeClock:
    """A clock that only `advance` moves; a sleeper wakes when its time is reached."""

    def __init__(self, now: float = 1_800_000_000.0) -> None:
        self._now = now
        self._set_back_s = 0.0
        self._sleepers: list[tuple[float, asyncio.Future[None]]] = []

    def now(self) -> float:
        return self._now - self._set_back_s

    def monotonic(self) -> float:
        return self._now

    def boottime(self) -> float:
        return self._now

    def set_back(self, seconds: float) -> None:
        """Set the wall clock back; monotonic time is unchanged, and no sleeper wakes."""
        self._set_back_s += seconds

    @property
    def sleepers(self) -> int:
        """Number of tasks that sleep now."""
        return sum(not waiter.done() for _, waiter in self._sleepers)

    async def sleep(self, delay_s: float) -> None:
        if delay_s <= 0:
            await asyncio.sleep(0)
            return
        waiter = asyncio.get_running_loop().create_future()
        self._sleepers.append((self._now + delay_s, waiter))
        await waiter

    def advance(self, seconds: float) -> None:
        """Move time forward and wake the sleepers that are due."""
        self._now += seconds
        due = [waiter for at, waiter in self._sleepers if at <= self._now]
        self._sleepers = [(at, waiter) for at, waiter in self._sleepers if at > self._now]
        for waiter in due:
            if not waiter.done():
                waiter.set_result(None)
