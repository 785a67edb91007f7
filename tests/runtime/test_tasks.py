"""Background tasks end with their owner."""

import asyncio

import pytest

from proxy.runtime.tasks import TaskSet


async def test_a_result_can_be_awaited_and_the_task_is_forgotten() -> None:
    tasks = TaskSet()

    async def work() -> int:
        return 7

    assert await tasks.spawn(work()) == 7
    assert len(tasks) == 0


async def test_stopping_cancels_and_waits_for_every_task_those_begun_meanwhile_too() -> None:
    tasks, ended = TaskSet(), list[str]()

    async def late() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            ended.append("late")

    async def work() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            tasks.spawn(late())
            await asyncio.sleep(0)
            ended.append("work")

    tasks.spawn(work())
    await asyncio.sleep(0)
    await tasks.stop()
    assert ended == ["work", "late"]
    assert len(tasks) == 0


async def test_a_failure_that_nobody_awaits_is_no_warning_and_one_that_is_awaited_is_raised() -> (
    None
):
    tasks = TaskSet()

    async def fail() -> None:
        raise ValueError("no")

    tasks.spawn(fail())
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    with pytest.raises(ValueError, match="no"):
        await tasks.spawn(fail())
