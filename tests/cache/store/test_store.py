"""The one door to what is stored: memory, then the shelf, and nothing that was invalidated."""

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from proxy.cache.store.store import MemoryTier, ResponseStore
from proxy.model import Tag
from tests.cache.store.conftest import BEGAN, BOARD, Process, RamShelf, Start, answer, key, turns

Open = Callable[[], Awaitable[ResponseStore]]


@pytest.fixture
async def open_(start: Start) -> Open:
    async def opened() -> ResponseStore:
        process: Process = await start()
        return ResponseStore(MemoryTier(1 << 20), process.durable, process.epochs)

    return opened


async def test_what_was_put_is_found_without_the_shelf(open_: Open, shelf: RamShelf) -> None:
    responses = await open_()
    assert responses.put(answer(1))
    assert responses.peek(key(1)) == await responses.get(key(1)) == answer(1)
    assert shelf.asked == 0


async def test_what_is_on_the_shelf_comes_into_memory(open_: Open, shelf: RamShelf) -> None:
    shelf.rows[key(1)] = answer(1)
    responses = await open_()
    assert responses.peek(key(1)) is None
    assert await responses.get(key(1)) == answer(1)
    assert responses.peek(key(1)) == answer(1)


async def test_what_was_invalidated_is_nowhere(open_: Open, shelf: RamShelf) -> None:
    shelf.rows[key(2)] = answer(2)
    responses = await open_()
    responses.put(answer(1))
    responses.purge([BOARD])
    assert responses.peek(key(1)) is None
    assert await responses.get(key(1)) is None
    assert await responses.get(key(2)) is None
    assert len(responses.memory) == 0


async def test_what_was_outdated_is_there_and_known_to_be_stale(
    open_: Open, shelf: RamShelf
) -> None:
    shelf.rows[key(2)] = answer(2)
    responses = await open_()
    responses.put(answer(1))
    responses.mark_stale([BOARD])
    for number in (1, 2):
        stored = await responses.get(key(number))
        assert stored == answer(number)
        assert responses.is_stale_by_tag(stored)
    assert not responses.is_stale_by_tag(answer(1, tags=(Tag("board:2"),)))


async def test_a_response_older_than_a_soft_purge_is_not_stored(open_: Open) -> None:
    responses = await open_()
    asked = responses.seq
    responses.mark_stale([BOARD])
    assert responses.seq > asked
    assert not responses.put(answer(1, seq=asked))
    assert responses.put(answer(2, seq=asked, tags=(Tag("board:2"),)))
    assert responses.put(answer(3, seq=responses.seq))
    assert responses.peek(key(1)) is None


async def test_a_soft_purge_is_known_to_the_next_process_and_so_is_an_invalidation_after_it(
    open_: Open,
) -> None:
    first = await open_()
    first.put(answer(1))
    first.mark_stale([BOARD])
    await first.flush()
    second = await open_()
    stored = await second.get(key(1))
    assert stored == answer(1)
    assert second.is_stale_by_tag(stored)
    second.purge([BOARD])
    await second.flush()
    assert await second.get(key(1)) is None
    assert await (await open_()).get(key(1)) is None


async def test_other_tags_are_untouched(open_: Open) -> None:
    responses = await open_()
    responses.put(answer(1))
    responses.purge([Tag("board:2")])
    assert await responses.get(key(1)) == answer(1)


async def test_an_answer_older_than_an_invalidation_is_not_kept(
    open_: Open, shelf: RamShelf
) -> None:
    responses = await open_()
    asked = responses.seq
    responses.purge([BOARD])
    assert not responses.put(answer(1, seq=asked))
    assert responses.put(answer(2, seq=asked, tags=(Tag("board:2"),)))
    assert responses.put(answer(3, seq=responses.seq))
    await responses.flush()
    assert set(shelf.rows) == {key(2), key(3)}


async def test_a_flight_that_lands_while_the_shelf_is_read_wins(
    open_: Open, shelf: RamShelf
) -> None:
    shelf.rows[key(1)] = answer(1, b"old")
    responses = await open_()
    shelf.reading.shut()
    reading = asyncio.ensure_future(responses.get(key(1)))
    await turns()
    responses.put(answer(1, b"new"))
    shelf.reading.open()
    stored = await reading
    assert stored is not None
    assert stored.body == b"new"
    assert responses.peek(key(1)) == stored


async def test_an_invalidation_while_the_shelf_is_read_counts(open_: Open, shelf: RamShelf) -> None:
    shelf.rows[key(1)] = answer(1)
    responses = await open_()
    shelf.reading.shut()
    reading = asyncio.ensure_future(responses.get(key(1)))
    await turns()
    responses.purge([BOARD])
    shelf.reading.open()
    assert await reading is None
    assert responses.peek(key(1)) is None


async def test_a_drop_while_the_shelf_is_read_counts(open_: Open, shelf: RamShelf) -> None:
    shelf.rows[key(1)] = answer(1)
    responses = await open_()
    shelf.reading.shut()
    reading = asyncio.ensure_future(responses.get(key(1)))
    await turns()
    responses.drop(key(1))
    shelf.reading.open()
    assert await reading is None
    assert responses.peek(key(1)) is None


async def test_what_was_dropped_is_nowhere(open_: Open, shelf: RamShelf) -> None:
    responses = await open_()
    responses.put(answer(1))
    await responses.flush()
    responses.drop(key(1))
    assert await responses.get(key(1)) is None
    await responses.flush()
    assert not shelf.rows


async def test_an_answer_too_large_for_memory_is_kept_on_the_shelf(start: Start) -> None:
    process = await start()
    responses = ResponseStore(MemoryTier(1_000), process.durable, process.epochs)
    assert responses.put(answer(1))
    assert responses.peek(key(1)) is None
    assert await responses.get(key(1)) == answer(1)


async def test_a_shelf_that_fails_is_a_miss(open_: Open, shelf: RamShelf) -> None:
    shelf.rows[key(1)] = answer(1)
    responses = await open_()
    assert responses.is_working
    shelf.broken = True
    assert await responses.get(key(1)) is None
    assert not responses.is_working
    assert responses.put(answer(1))
    assert await responses.get(key(1)) == answer(1)


async def test_memory_alone_is_enough(start: Start) -> None:
    process = await start()
    responses = ResponseStore(MemoryTier(1 << 20), None, process.epochs)
    responses.put(answer(1))
    responses.drop(key(1))
    responses.put(answer(2))
    responses.purge([BOARD])
    await responses.flush()
    assert responses.is_working
    assert [await responses.get(key(number)) for number in (1, 2, 3)] == [None, None, None]
    assert responses.seq > BEGAN
