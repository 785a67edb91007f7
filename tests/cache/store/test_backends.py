"""Both backends: what they keep, what outlives the process, and how far they grow."""

import secrets
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from pathlib import Path

import pytest

from proxy.cache.store import redis_connection, sqlite_backend
from proxy.cache.store.backend import RecoveredState, StorageBackend, WriteBatch
from proxy.cache.store.redis_backend import RedisBackend
from proxy.cache.store.redis_behind import BehindMarker
from proxy.cache.store.redis_connection import RedisConnection
from proxy.cache.store.sqlite_backend import SQLiteStorage
from proxy.errors import StoreError
from proxy.model import CacheKey, Tag
from proxy.observability.log import Log
from proxy.runtime.clock import FakeClock
from proxy.runtime.directory import DirectoryLock
from tests.cache.store.conftest import BOARD, answer, key
from tests.redis_server import needs_redis

ROOM = 8 << 20
Make = Callable[[], StorageBackend]


@pytest.fixture(params=["sqlite", pytest.param("redis", marks=needs_redis)])
def make(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Make:
    """Makes the backend of one process after another; a machine under load is patient."""
    monkeypatch.setattr(sqlite_backend, "READ_TIMEOUT_S", 60.0)
    monkeypatch.setattr(redis_connection, "TIMEOUT_S", 10.0)
    clock = FakeClock()
    if request.param == "sqlite":
        directory = DirectoryLock(tmp_path / "cache")
        return lambda: SQLiteStorage(directory, ROOM)
    url = request.getfixturevalue("shared_redis").url
    log = Log(lambda _: None, clock)
    return lambda: RedisBackend(
        RedisConnection(url, clock),
        name="test",
        limit_bytes=ROOM,
        clock=clock,
        log=log,
        random=secrets.token_bytes,
        behind=BehindMarker(tmp_path),
    )


@pytest.fixture
async def backend(make: Make) -> AsyncIterator[StorageBackend]:
    made = make()
    await made.open()
    yield made
    await made.close()


async def reopened(backend: StorageBackend, make: Make) -> RecoveredState:
    """What the next process finds."""
    await backend.close()
    later = make()
    try:
        return await later.open()
    finally:
        await later.close()


def batch(*numbers: int, size: int = 2) -> WriteBatch:
    stored = [answer(number, bytes(size)) for number in numbers]
    return WriteBatch(
        {each.key: each for each in stored}, put_bytes=sum(s.size_bytes for s in stored)
    )


async def keys_of(backend: StorageBackend) -> set[CacheKey]:
    pages = backend.keys()
    return {each async for page in pages for each in page}


async def test_what_was_written_is_read_by_this_process_and_the_next(
    backend: StorageBackend, make: Make
) -> None:
    stored = answer(1, bytes(range(256)) * 300)
    await backend.write(WriteBatch({stored.key: stored}, epochs={BOARD: 1}))
    assert await backend.get(key(1)) == stored
    await backend.close()
    later = make()
    await later.open()
    found = await later.get(key(1))
    assert found is not None
    assert found.requested_at == pytest.approx(stored.requested_at, abs=1.0)  # Redis has a clock
    assert replace(found, requested_at=stored.requested_at) == stored
    assert await later.get(key(2)) is None
    assert await keys_of(later) == {key(1)}
    await later.close()


async def test_a_later_put_replaces_and_a_drop_removes(backend: StorageBackend) -> None:
    await backend.write(batch(1, 2))
    stored = answer(1, b"new")
    await backend.write(WriteBatch({stored.key: stored}, deletes={key(2), key(3)}))
    assert await backend.get(key(1)) == stored
    assert await keys_of(backend) == {key(1)}


async def test_epochs_outlive_the_process_the_earliest_first(
    backend: StorageBackend, make: Make
) -> None:
    await backend.write(WriteBatch(epochs={BOARD: 12, Tag("card:1"): 7}, min_valid_seq=5))
    recovered = await reopened(backend, make)
    assert recovered == RecoveredState({Tag("card:1"): 7, BOARD: 12}, 5)
    assert list(recovered.epochs) == [Tag("card:1"), BOARD]


async def test_what_lies_below_the_floor_is_not_remembered(
    backend: StorageBackend, make: Make
) -> None:
    await backend.write(WriteBatch(epochs={BOARD: 12, Tag("card:1"): 7}))
    await backend.write(WriteBatch(min_valid_seq=10))
    assert await reopened(backend, make) == RecoveredState({BOARD: 12}, 10)


async def test_names_outlive_the_process_the_latest_of_each(
    backend: StorageBackend, make: Make
) -> None:
    await backend.write(WriteBatch(aliases={"card:a": "1", "card:b": "2"}, epochs={BOARD: 1}))
    await backend.write(WriteBatch(aliases={"card:a": "3"}))
    assert (await reopened(backend, make)).aliases == {"card:b": "2", "card:a": "3"}


async def test_names_are_kept_within_a_share_of_the_room(
    backend: StorageBackend, make: Make
) -> None:
    names = {f"card:{number}": "x" for number in range(ROOM // 1_000)}
    await backend.write(WriteBatch(aliases=names, epochs={BOARD: 1}))
    kept = (await reopened(backend, make)).aliases
    assert ROOM // 5_000 < len(kept) <= ROOM // 2_000
    assert f"card:{ROOM // 1_000 - 1}" in kept


async def test_it_stays_within_its_bound_and_forgets_the_oldest(backend: StorageBackend) -> None:
    evicted = 0
    for start in range(0, 1_600, 40):
        evicted += await backend.write(batch(*range(start, start + 40), size=10_000))
        assert await backend.used_bytes() <= ROOM
    assert evicted > 0
    assert await keys_of(backend) == {key(number) for number in range(evicted, 1_600)}


async def test_before_it_is_opened_everything_is_a_store_error(make: Make) -> None:
    unopened = make()
    await unopened.close()
    with pytest.raises(StoreError):
        await unopened.get(key(1))
    with pytest.raises(StoreError):
        await unopened.write(batch(1))
    with pytest.raises(StoreError):
        await keys_of(unopened)
