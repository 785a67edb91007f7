"""While the shelf fails or hangs, answers may be lost; that something was invalidated may not."""

import asyncio
import json

import pytest

from proxy.cache.store import disk_tier
from proxy.model import Tag
from tests.cache.store.conftest import (
    BEGAN,
    BOARD,
    RamShelf,
    Start,
    answer,
    key,
    turns,
)


async def test_a_read_that_fails_is_a_miss_and_told_once(start: Start, shelf: RamShelf) -> None:
    shelf.rows[key(1)] = answer(1)
    process = await start()
    assert process.durable.is_working
    shelf.broken = True
    assert await process.durable.get(key(1)) is None
    assert await process.durable.get(key(1)) is None
    assert not process.durable.is_working
    assert process.durable.stats.errors == shelf.asked == 1
    told = [json.loads(line) for line in process.lines if b"store failed" in line]
    assert [(line["action"], line["error"]) for line in told] == [("read", "out of order")]


async def test_it_is_opened_again_after_a_while(start: Start, shelf: RamShelf) -> None:
    shelf.broken = True
    process = await start()
    assert not process.durable.is_working
    await process.reopened()
    assert not process.durable.is_working
    shelf.broken = False
    await process.reopened()
    assert process.durable.is_working
    assert json.loads(process.lines[-1])["message"] == "store opened"


async def test_answers_of_a_write_that_failed_are_lost_and_counted(
    start: Start, shelf: RamShelf
) -> None:
    process = await start()
    shelf.broken = True
    process.durable.put(answer(1))
    await process.durable.flush()
    shelf.broken = False
    await process.reopened()
    assert await process.durable.get(key(1)) is None
    assert process.durable.stats.dropped == 1


async def test_what_such_a_write_would_have_replaced_does_not_come_back(
    start: Start, shelf: RamShelf
) -> None:
    shelf.rows[key(1)] = answer(1, b"old")
    process = await start()
    shelf.broken = True
    process.durable.put(answer(1, b"new"))
    await process.durable.flush()
    shelf.broken = False
    await process.reopened()
    await process.durable.flush()
    assert await process.durable.get(key(1)) is None
    assert not shelf.rows


async def test_what_was_invalidated_and_dropped_meanwhile_is_not(
    start: Start, shelf: RamShelf
) -> None:
    shelf.rows = {key(1): answer(1), key(2): answer(2, tags=(Tag("card:2"),))}
    process = await start()
    shelf.broken = True
    process.invalidate(BOARD)
    process.durable.drop(key(2))
    await process.durable.flush()
    process.invalidate(Tag("card:9"))
    shelf.broken = False
    await process.reopened()
    await process.durable.stop()
    later = await start(BEGAN + 1)
    assert {BOARD, Tag("card:9")} <= set(shelf.epochs)
    assert not later.is_current(answer(1))
    assert await later.durable.get(key(2)) is None


async def test_more_drops_than_it_remembers_are_a_distrust_of_all(
    start: Start, shelf: RamShelf, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(disk_tier, "MAX_PENDING_DELETES", 3)
    shelf.broken = True
    process = await start()
    for number in range(4):
        process.durable.drop(key(number))
    assert not process.is_current(answer(1))
    assert process.is_current(answer(1, seq=process.epochs.seq))
    shelf.broken = False
    await process.reopened()
    await process.durable.flush()
    assert shelf.floor > BEGAN


async def test_more_tags_than_it_remembers_are_a_distrust_of_all(
    start: Start, shelf: RamShelf, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(disk_tier, "MAX_TAGS", 3)
    shelf.broken = True
    process = await start()
    for number in range(4):
        process.invalidate(Tag(f"card:{number}"))
    assert not process.is_current(answer(1))
    shelf.broken = False
    await process.reopened()
    await process.durable.stop()
    assert not (await start(BEGAN + 9)).is_current(answer(1))


async def test_what_is_pending_is_written(start: Start, shelf: RamShelf) -> None:
    process = await start()
    process.durable.put(answer(1))
    process.invalidate(Tag("card:9"))
    await process.durable.stop()
    assert key(1) in shelf.rows
    assert Tag("card:9") in shelf.epochs


async def test_a_write_under_way_is_not_lost(start: Start, shelf: RamShelf) -> None:
    process = await start()
    shelf.writing.shut()
    process.durable.put(answer(1))
    process.invalidate(BOARD)
    await turns()
    stopping = asyncio.ensure_future(process.durable.stop())
    await turns()
    shelf.writing.open()
    await stopping
    assert BOARD in shelf.epochs
    assert key(1) in shelf.rows


async def test_a_shelf_that_hangs_is_left_behind(
    start: Start, shelf: RamShelf, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(disk_tier, "STOP_TIMEOUT_S", 0.01)
    process = await start()
    shelf.writing.shut()
    process.durable.put(answer(1))
    await process.durable.stop()


async def test_a_shelf_that_fails_is_no_error(start: Start, shelf: RamShelf) -> None:
    process = await start()
    shelf.broken = True
    await process.durable.stop()


async def test_a_clock_set_back_between_two_processes_revives_nothing(
    start: Start, shelf: RamShelf
) -> None:
    first = await start(seq=5_000)
    first.durable.put(answer(1, seq=5_000))
    await first.durable.stop()
    second = await start(seq=3_000)
    assert second.is_current(answer(1, seq=5_000))
    second.invalidate(BOARD)
    assert not second.is_current(answer(1, seq=5_000))


async def test_how_full_the_shelf_is_is_known_from_the_start(start: Start, shelf: RamShelf) -> None:
    shelf.rows[key(1)] = answer(1)
    process = await start()
    assert process.durable.stats.used_bytes == answer(1).size_bytes
