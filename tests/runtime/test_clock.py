"""Time that moves when it is told to."""

import asyncio

from proxy.runtime.clock import FakeClock, SystemClock


async def turns() -> None:
    for _ in range(5):
        await asyncio.sleep(0)


def test_it_stands_still_until_it_is_moved() -> None:
    clock = FakeClock(100.0)
    assert (clock.now(), clock.monotonic()) == (100.0, 100.0)
    clock.advance(2.5)
    assert (clock.now(), clock.monotonic()) == (102.5, 102.5)


async def test_a_sleeper_wakes_when_its_time_has_come_and_no_sooner() -> None:
    clock = FakeClock()
    woken: list[int] = []

    async def sleeper(delay_s: int) -> None:
        await clock.sleep(delay_s)
        woken.append(delay_s)

    sleepers = [asyncio.ensure_future(sleeper(delay_s)) for delay_s in (3, 1, 2)]
    await turns()
    clock.advance(0.9)
    await turns()
    assert woken == []
    clock.advance(1.1)
    await turns()
    assert woken == [1, 2]
    clock.advance(60)
    await asyncio.gather(*sleepers)
    assert woken == [1, 2, 3]


async def test_a_sleeper_who_left_disturbs_nobody() -> None:
    clock = FakeClock()
    gone, here = (asyncio.ensure_future(clock.sleep(1)) for _ in range(2))
    await turns()
    gone.cancel()
    await turns()
    clock.advance(1)
    await here
    assert gone.cancelled()


async def test_a_wall_clock_that_is_set_back_changes_no_duration() -> None:
    clock = FakeClock()
    now, monotonic = clock.now(), clock.monotonic()
    clock.set_back(60)
    assert (clock.now(), clock.monotonic()) == (now - 60, monotonic)


async def test_the_machines_own_clock_goes_forward() -> None:
    clock = SystemClock()
    before = clock.monotonic()
    await clock.sleep(0)
    assert clock.monotonic() >= before
    assert clock.now() > 1_700_000_000
