"""The shelf on disk: what it keeps, how far it grows, and what it survives."""

import asyncio
import sqlite3
import threading
from collections.abc import AsyncIterator
from contextlib import closing
from pathlib import Path

import pytest

from proxy.cache.store import sqlite_backend
from proxy.cache.store.backend import RecoveredState, WriteBatch
from proxy.cache.store.sqlite_backend import FILE_NAME, SQLiteStorage
from proxy.errors import StoreError
from proxy.model import CacheKey
from proxy.runtime.directory import DirectoryLock
from tests.cache.store.conftest import (
    answer,
    key,
)

ROOM = 8 << 20


@pytest.fixture(autouse=True)
def _patience(monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine under load is no disk that hangs."""
    monkeypatch.setattr(sqlite_backend, "READ_TIMEOUT_S", 60.0)


@pytest.fixture
async def shelf(tmp_path: Path) -> AsyncIterator[SQLiteStorage]:
    backend = SQLiteStorage(DirectoryLock(tmp_path / "cache"), ROOM)
    await backend.open()
    yield backend
    await backend.close()


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "cache" / FILE_NAME


def batch(*numbers: int, size: int = 2) -> WriteBatch:
    stored = [answer(number, bytes(size)) for number in numbers]
    return WriteBatch(
        {each.key: each for each in stored}, put_bytes=sum(s.size_bytes for s in stored)
    )


async def keys_of(backend: SQLiteStorage) -> set[CacheKey]:
    pages = backend.keys()
    return {each async for page in pages for each in page}


def overwrite(file: Path, start: int, content: bytes) -> None:
    """Damage, from `start` on; the rest of the file stays."""
    whole = file.read_bytes()
    file.write_bytes(whole[:start] + content + whole[start + len(content) :])


async def test_only_its_owner_reads_it(shelf: SQLiteStorage, file: Path) -> None:
    await shelf.write(batch(1))
    assert file.parent.stat().st_mode & 0o777 == 0o700
    assert {each.stat().st_mode & 0o077 for each in file.parent.iterdir()} == {0}


async def test_rows_are_no_pickles(shelf: SQLiteStorage, file: Path) -> None:
    await shelf.write(batch(1))
    with closing(sqlite3.connect(file)) as db:
        ((row,),) = db.execute("SELECT value FROM responses").fetchall()
    assert row.startswith(b'{"v":')


async def test_it_stays_within_its_bound_and_forgets_the_oldest(
    shelf: SQLiteStorage, file: Path
) -> None:
    evicted = 0
    for start in range(0, 1_600, 40):
        evicted += await shelf.write(batch(*range(start, start + 40), size=10_000))
        assert sum(each.stat().st_size for each in file.parent.iterdir()) <= ROOM
        assert await shelf.used_bytes() <= ROOM
    assert evicted > 0
    kept = await keys_of(shelf)
    assert len(kept) == 1_600 - evicted
    assert kept == {key(number) for number in range(evicted, 1_600)}


async def test_a_batch_beyond_the_bound_is_a_store_error_and_undone(shelf: SQLiteStorage) -> None:
    await shelf.write(batch(1))
    with pytest.raises(StoreError, match="full"):
        await shelf.write(batch(*range(2, 14), size=1 << 20))
    assert await keys_of(shelf) <= {key(1)}
    await shelf.write(batch(3))
    assert await shelf.get(key(3)) is not None


async def test_a_locked_database_is_a_store_error_and_works_afterwards(
    shelf: SQLiteStorage, file: Path
) -> None:
    with closing(sqlite3.connect(file)) as other:
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(StoreError, match="locked"):
            await shelf.write(batch(1))
        assert await shelf.get(key(1)) is None
        other.rollback()
    await shelf.write(batch(1))
    assert await shelf.get(key(1)) is not None


async def test_a_write_that_is_cancelled_locks_nobody_out(shelf: SQLiteStorage, file: Path) -> None:
    for limiter in range(1, 40):
        writing = asyncio.ensure_future(shelf.write(batch(limiter, size=50_000)))
        for _ in range(limiter):
            await asyncio.sleep(0)
        writing.cancel()
        await asyncio.gather(writing, return_exceptions=True)
        with closing(sqlite3.connect(file, timeout=0)) as other:
            other.execute("BEGIN IMMEDIATE")
    await shelf.write(batch(99))
    assert await shelf.get(key(99)) is not None


@pytest.mark.parametrize("garbage", [b"<html>" * 50_000, bytes(100_000)])
async def test_what_is_no_database_is_set_aside(
    shelf: SQLiteStorage, file: Path, garbage: bytes
) -> None:
    await shelf.close()
    overwrite(file, 0, garbage)
    assert await shelf.open() == RecoveredState({}, 0)
    await shelf.write(batch(1))
    assert await shelf.get(key(1)) is not None
    assert file.with_suffix(".damaged").read_bytes() == garbage


async def test_a_database_damaged_within_is_never_more_than_a_store_error(
    shelf: SQLiteStorage, file: Path
) -> None:
    await shelf.write(batch(*range(200), size=5_000))
    await shelf.close()
    overwrite(file, 400_000, b"\xff" * 200_000)
    await shelf.open()
    lost = 0
    for number in range(200):
        try:
            stored = await shelf.get(key(number))
        except StoreError:
            stored = None
        lost += stored is None
    assert 0 < lost < 200
    await shelf.open()
    assert await keys_of(shelf) == set()
    await shelf.write(batch(1))
    assert await shelf.get(key(1)) is not None


async def test_a_damaged_database_that_somebody_removed_is_made_anew(
    shelf: SQLiteStorage, file: Path
) -> None:
    await shelf.write(batch(*range(200), size=5_000))
    await shelf.close()
    overwrite(file, 400_000, b"\xff" * 200_000)
    await shelf.open()
    await asyncio.gather(*(shelf.get(key(number)) for number in range(200)), return_exceptions=True)
    await shelf.close()
    await asyncio.to_thread(file.unlink)
    assert await shelf.open() == RecoveredState({}, 0)
    await shelf.write(batch(1))
    assert await keys_of(shelf) == {key(1)}


async def test_a_row_that_was_cut_is_a_miss(shelf: SQLiteStorage, file: Path) -> None:
    await shelf.write(batch(1, 2))
    with closing(sqlite3.connect(file)) as db, db:
        db.execute("UPDATE responses SET value = substr(value, 1, 30) WHERE key = ?", (key(1),))
        db.execute("UPDATE responses SET value = 'text' WHERE key = ?", (key(2),))
    assert await shelf.get(key(1)) is None
    assert await shelf.get(key(2)) is None


async def test_a_directory_that_cannot_be_made_is_a_store_error(tmp_path: Path) -> None:
    (tmp_path / "taken").write_text("a file")
    with pytest.raises(StoreError):
        await SQLiteStorage(DirectoryLock(tmp_path / "taken" / "cache"), ROOM).open()


async def test_a_directory_in_place_of_the_file_is_a_store_error(tmp_path: Path) -> None:
    (tmp_path / FILE_NAME).mkdir()
    with pytest.raises(StoreError):
        await SQLiteStorage(DirectoryLock(tmp_path), ROOM).open()
    # A connection that was refused ends its thread by itself, and tells the loop.
    for thread in threading.enumerate():
        if "connection_worker" in thread.name:
            await asyncio.to_thread(thread.join)
