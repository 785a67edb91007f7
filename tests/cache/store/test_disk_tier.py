"""The disk tier: written behind the answers, and done without while it fails."""

import asyncio

import pytest

from proxy.cache.store import disk_tier
from tests.cache.store.conftest import (
    BOARD,
    Process,
    RamShelf,
    Start,
    answer,
    key,
    turns,
)


async def test_what_was_put_is_there_for_the_next_process(start: Start, shelf: RamShelf) -> None:
    first = await start()
    first.durable.put(answer(1))
    await first.durable.stop()
    assert shelf.rows == {key(1): answer(1)}
    assert await (await start()).durable.get(key(1)) == answer(1)


async def test_what_waits_to_be_written_is_found(start: Start, shelf: RamShelf) -> None:
    process = await start()
    process.durable.put(answer(1))
    assert await process.durable.get(key(1)) == answer(1)
    assert not shelf.rows


async def test_what_is_being_written_is_found(start: Start, shelf: RamShelf) -> None:
    process = await start()
    shelf.writing.shut()
    process.durable.put(answer(1))
    await turns()
    assert shelf.writing.waiting
    assert await process.durable.get(key(1)) == answer(1)


async def test_a_key_that_was_never_written_is_not_asked_for(start: Start, shelf: RamShelf) -> None:
    shelf.rows[key(1)] = answer(1)
    process = await start()
    assert await process.durable.get(key(2)) is None
    assert shelf.asked == 0
    assert await process.durable.get(key(1)) == answer(1)
    assert shelf.asked == process.durable.stats.reads == 1


async def test_until_all_keys_are_known_the_shelf_is_asked(start: Start, shelf: RamShelf) -> None:
    shelf.rows[key(1)] = answer(1)
    shelf.scanning.shut()
    process = await start()
    assert await process.durable.get(key(1)) == answer(1)
    assert await process.durable.get(key(2)) is None
    assert shelf.asked == 2


async def test_a_key_written_while_keys_are_learnt_is_known(start: Start, shelf: RamShelf) -> None:
    shelf.scanning.shut()
    process = await start()
    process.durable.put(answer(1))
    await process.durable.flush()
    shelf.rows.clear()  # what the scan yields lacks it
    shelf.scanning.open()
    await turns()
    shelf.rows[key(1)] = answer(1)
    assert await process.durable.get(key(1)) == answer(1)


async def test_the_last_put_of_a_key_counts(start: Start, shelf: RamShelf) -> None:
    process = await start()
    process.durable.put(answer(1, b"old"))
    process.durable.put(answer(1, b"new"))
    await process.durable.flush()
    assert shelf.rows[key(1)].body == b"new"


async def test_what_was_dropped_is_not_found(start: Start, shelf: RamShelf) -> None:
    shelf.rows[key(1)] = answer(1)
    process = await start()
    process.durable.drop(key(1))
    assert await process.durable.get(key(1)) is None
    await process.durable.flush()
    assert not shelf.rows


async def test_what_is_being_dropped_is_not_found(start: Start, shelf: RamShelf) -> None:
    shelf.rows[key(1)] = answer(1)
    process = await start()
    shelf.writing.shut()
    process.durable.drop(key(1))
    await turns()
    assert shelf.writing.waiting
    assert await process.durable.get(key(1)) is None


async def test_what_is_dropped_while_it_is_read_is_not_found(start: Start, shelf: RamShelf) -> None:
    shelf.rows[key(1)] = answer(1)
    process = await start()
    shelf.reading.shut()
    reading = asyncio.ensure_future(process.durable.get(key(1)))
    await turns()
    process.durable.drop(key(1))
    await process.durable.flush()
    shelf.reading.open()
    assert await reading is None


async def test_the_later_of_put_and_drop_counts(start: Start, shelf: RamShelf) -> None:
    process = await start()
    process.durable.put(answer(1))
    process.durable.drop(key(1))
    process.durable.drop(key(2))
    process.durable.put(answer(2))
    await process.durable.flush()
    assert list(shelf.rows) == [key(2)]


async def test_a_drop_that_failed_does_not_undo_a_later_put(start: Start, shelf: RamShelf) -> None:
    process = await start()
    shelf.writing.shut()
    process.durable.drop(key(1))
    await turns()
    process.durable.put(answer(1))
    shelf.broken = True
    shelf.writing.open()
    await turns()
    assert not process.durable.is_working
    shelf.broken = False
    await process.reopened()
    await process.durable.flush()
    assert shelf.rows == {key(1): answer(1)}


async def test_too_much_at_once_is_left_to_the_memory(start: Start, shelf: RamShelf) -> None:
    shelf.rows[key(3)] = answer(3, b"older")
    process = await start()
    for number in (1, 2, 3):
        process.durable.put(answer(number, bytes(8_000)))
    assert process.durable.stats.dropped == 1
    assert await process.durable.get(key(3)) is None
    await process.durable.flush()
    assert set(shelf.rows) == {key(1), key(2)}


async def test_what_was_replaced_takes_no_room(start: Start) -> None:
    process = await start()
    for _ in range(5):
        process.durable.put(answer(1, bytes(8_000)))
    process.durable.put(answer(2, bytes(8_000)))
    process.durable.drop(key(2))
    process.durable.put(answer(3, bytes(8_000)))
    assert process.durable.stats.dropped == 0


async def is_flushed_at_once(process: Process) -> bool:
    flushed = asyncio.ensure_future(process.durable.flush())
    await asyncio.sleep(0)
    return flushed.done()


class TestFlushed:
    async def test_it_waits_for_what_is_pending(self, start: Start, shelf: RamShelf) -> None:
        process = await start()
        process.invalidate(BOARD)
        await process.durable.flush()
        assert shelf.epochs[BOARD] == process.epochs.seq

    async def test_it_waits_for_what_is_being_written(self, start: Start, shelf: RamShelf) -> None:
        process = await start()
        shelf.writing.shut()
        process.invalidate(BOARD)
        await turns()
        flushed = asyncio.ensure_future(process.durable.flush())
        await turns()
        assert not flushed.done()
        shelf.writing.open()
        await flushed
        assert BOARD in shelf.epochs

    async def test_the_end_of_an_earlier_write_is_not_its_own(
        self, start: Start, shelf: RamShelf
    ) -> None:
        process = await start()
        shelf.writing.shut()
        process.durable.put(answer(1))
        await turns()
        process.invalidate(BOARD)
        flushed = asyncio.ensure_future(process.durable.flush())
        await turns()
        shelf.writing.open()  # for the one that waits there, and for no other
        shelf.writing.shut()
        await turns()
        assert key(1) in shelf.rows
        assert not flushed.done()
        shelf.writing.open()
        await flushed
        assert BOARD in shelf.epochs

    async def test_with_nothing_to_write_it_returns_at_once(self, start: Start) -> None:
        process = await start()
        await process.durable.flush()
        assert await is_flushed_at_once(process)

    async def test_it_gives_up_on_a_shelf_that_hangs(
        self, start: Start, shelf: RamShelf, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(disk_tier, "FLUSH_TIMEOUT_S", 0.01)
        process = await start()
        shelf.writing.shut()
        process.invalidate(BOARD)
        await process.durable.flush()
        assert BOARD not in shelf.epochs

    async def test_it_returns_when_a_read_fails_meanwhile(
        self, start: Start, shelf: RamShelf
    ) -> None:
        shelf.rows[key(1)] = answer(1)
        process = await start()
        shelf.writing.shut()
        process.invalidate(BOARD)
        flushed = asyncio.ensure_future(process.durable.flush())
        await turns()
        assert not flushed.done()
        shelf.broken = True
        assert await process.durable.get(key(1)) is None
        await flushed

    async def test_it_does_not_wait_for_one_that_fails(self, start: Start, shelf: RamShelf) -> None:
        shelf.broken = True
        process = await start()
        process.invalidate(BOARD)
        assert await is_flushed_at_once(process)
