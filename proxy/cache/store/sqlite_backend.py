"""SQLite backend: aiohttp-client-cache's SQLite cache, bounded on disk (D1).

Reads go through its backend. Writes are batches in one transaction on the backend's connection, in
the disk tier's own task: a write cancelled between statement and commit would leave the transaction
open and the database locked.

Responses are evicted in the order in which they were stored, the oldest first (D11).
"""

import asyncio
import sqlite3
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import replace
from typing import cast

from aiohttp_client_cache.backends.sqlite import SQLiteBackend, SQLiteCache
from aiosqlite import Connection

from proxy.cache.store.alias_table import MAX_ALIASES
from proxy.cache.store.backend import RecoveredState, WriteBatch
from proxy.cache.store.codec import dumps, loads
from proxy.errors import StoreError
from proxy.model import CacheKey, StoredResponse, Tag
from proxy.runtime.database_file import DatabaseFile, is_damage
from proxy.runtime.directory import DirectoryLock

FILE_NAME = "responses.sqlite"
READ_TIMEOUT_S = 0.5
BUSY_TIMEOUT_S = 1.0
_FLOOR = Tag("floor")
_FULL, _ROOM_AGAIN = 0.95, 0.85
"""Shares of the size limit at which eviction begins and ends."""
_EVICT_ROWS = 256
"""Rows evicted at a time; begins at one and doubles, since rows differ in size."""
_SCAN_ROWS = 5_000
_ALIAS_SHARE_BYTES = 2_000
"""Bytes of the size limit per permanent name, which takes about 150 bytes."""

_SCHEMA = f"""
PRAGMA journal_mode = WAL;
PRAGMA synchronous = NORMAL;
PRAGMA busy_timeout = {int(BUSY_TIMEOUT_S * 1000)};
PRAGMA journal_size_limit = 33554432;
BEGIN;
CREATE TABLE IF NOT EXISTS epochs (tag TEXT PRIMARY KEY, seq INTEGER NOT NULL);
CREATE TABLE IF NOT EXISTS names (name TEXT PRIMARY KEY, id TEXT NOT NULL);
COMMIT;
"""


class _Rows:
    """Serializer of rows that are bytes already, instead of pickle."""

    @staticmethod
    def dumps(row: bytes) -> bytes:
        return row

    @staticmethod
    def loads(row: bytes) -> bytes:
        return row


class SQLiteStorage:
    """Stored responses and epochs in one file in `directory`, readable by its owner only."""

    def __init__(self, directory: DirectoryLock, limit_bytes: int) -> None:
        self._directory = directory
        self._file = DatabaseFile(directory.path / FILE_NAME)
        # A quarter of the limit is for the write-ahead log.
        self._limit_bytes = limit_bytes * 3 // 4
        self._page_bytes = 4096
        # The whole backend is held: its other table closes the shared connection when collected.
        self._backend: SQLiteBackend | None = None
        self._is_damaged = False

    async def open(self) -> RecoveredState:
        """Open the database; a damaged one is renamed to `….damaged` and created anew."""
        with self._translate_errors():
            before = self._file.inode
            self._directory.own()
            if self._is_damaged:
                await self._quarantine()
            try:
                opened = await self._open()
            except sqlite3.Error as error:
                if not is_damage(error):
                    raise
                await self._quarantine()
                opened = await self._open()
            self._file.note_opened()
            is_new = not (opened.epochs or opened.min_valid_seq)
            is_same = is_new or before in (None, self._file.inode)
            return replace(opened, is_other=not is_same)

    async def check(self) -> None:
        """StoreError if the file was replaced: SQLite would go on writing to the old one."""
        self._directory.own()
        if not self._file.is_intact:
            raise StoreError("removed or replaced while it was open")

    async def _quarantine(self) -> None:
        await self.close()
        self._file.set_aside()
        self._is_damaged = False

    async def _open(self) -> RecoveredState:
        await self.close()
        self._file.create()
        self._backend = SQLiteBackend(
            str(self._file.path), serializer=_Rows, timeout=BUSY_TIMEOUT_S, autoclose=False
        )
        async with self._connection() as db:
            await db.executescript(_SCHEMA)
            self._page_bytes = await _number(db, "PRAGMA page_size")
            pages = self._limit_bytes // self._page_bytes
            await db.execute(f"PRAGMA max_page_count = {pages}")
            await db.execute(f"PRAGMA wal_autocheckpoint = {min(1000, pages // 16)}")
            rows = await db.execute_fetchall("SELECT tag, seq FROM epochs ORDER BY seq")
            named = await db.execute_fetchall("SELECT name, id FROM names ORDER BY rowid")
            last = await db.execute_fetchall(
                "SELECT key, value FROM responses ORDER BY rowid DESC LIMIT 1"
            )
            await db.commit()
        epochs = {Tag(str(tag)): int(seq) for tag, seq in rows}
        names = {str(name): str(known_id) for name, known_id in named}
        newest = [loads(CacheKey(key), row) for key, row in last if isinstance(row, bytes)]
        newest_at = max(
            [stored.requested_at for stored in newest if stored is not None], default=0.0
        )
        return RecoveredState(epochs, epochs.pop(_FLOOR, 0), names, newest_at)

    async def get(self, key: CacheKey) -> StoredResponse | None:
        with self._translate_errors():
            async with asyncio.timeout(READ_TIMEOUT_S):
                row = await self._responses.read(key)
        return loads(key, row) if isinstance(row, bytes) else None

    async def write(self, batch: WriteBatch) -> int:
        with self._translate_errors():
            async with self._connection() as db:
                try:
                    evicted = await self._make_room(db, batch.put_bytes)
                    await _apply(db, batch)
                    await _save_aliases(db, batch.aliases, self._limit_bytes // _ALIAS_SHARE_BYTES)
                    await db.commit()
                except BaseException:
                    await db.rollback()
                    raise
                return evicted

    async def keys(self) -> AsyncIterator[Sequence[CacheKey]]:
        last = 0
        while True:
            with self._translate_errors():
                async with self._connection() as db:
                    rows = list(
                        await db.execute_fetchall(
                            "SELECT rowid, key FROM responses WHERE rowid > ?"
                            " ORDER BY rowid LIMIT ?",
                            (last, _SCAN_ROWS),
                        )
                    )
            if not rows:
                return
            last = rows[-1][0]
            yield [CacheKey(row[1]) for row in rows]

    async def used_bytes(self) -> int:
        with self._translate_errors():
            async with self._connection() as db:
                return await self._used(db)

    async def close(self) -> None:
        backend, self._backend = self._backend, None
        if backend is not None:
            await backend.close()  # type: ignore[no-untyped-call]

    async def _used(self, db: Connection) -> int:
        pages = await _number(db, "PRAGMA page_count")
        return self._page_bytes * (pages - await _number(db, "PRAGMA freelist_count"))

    async def _make_room(self, db: Connection, wanted_bytes: int) -> int:
        evicted, rows = 0, 1
        if await self._used(db) + wanted_bytes <= self._limit_bytes * _FULL:
            return evicted
        while await self._used(db) + wanted_bytes > self._limit_bytes * _ROOM_AGAIN:
            cursor = await db.execute(
                "DELETE FROM responses WHERE rowid IN"
                " (SELECT rowid FROM responses ORDER BY rowid LIMIT ?)",
                (rows,),
            )
            await db.commit()
            if not cursor.rowcount:
                break
            evicted += cursor.rowcount
            rows = min(2 * rows, _EVICT_ROWS)
        return evicted

    @contextmanager
    def _translate_errors(self) -> Iterator[None]:
        """Errors of SQLite and the disk as StoreError; damage is remembered."""
        try:
            yield
        except (sqlite3.Error, OSError, TimeoutError, ValueError) as error:
            self._is_damaged |= is_damage(error)
            raise StoreError(f"{type(error).__name__}: {error}") from error

    @property
    def _responses(self) -> SQLiteCache:
        if self._backend is None:
            raise StoreError("not open")
        return cast(SQLiteCache, self._backend.responses)

    @asynccontextmanager
    async def _connection(self) -> AsyncIterator[Connection]:
        async with self._responses.get_connection() as db:
            yield db


async def _apply(db: Connection, batch: WriteBatch) -> None:
    # The generators run in the backend's thread: encoding does not block the event loop.
    await db.executemany(
        "INSERT OR REPLACE INTO responses (key, value) VALUES (?, ?)",
        ((key, dumps(stored)) for key, stored in batch.puts.items()),
    )
    await db.executemany("DELETE FROM responses WHERE key = ?", ((key,) for key in batch.deletes))
    if batch.epochs or batch.min_valid_seq:
        await db.executemany(
            "INSERT OR REPLACE INTO epochs (tag, seq) VALUES (?, ?)",
            [*batch.epochs.items(), (_FLOOR, batch.min_valid_seq)],
        )
        await db.execute(
            "DELETE FROM epochs WHERE seq < ? AND tag <> ?", (batch.min_valid_seq, _FLOOR)
        )


async def _save_aliases(db: Connection, names: Mapping[str, str], most: int) -> None:
    if names:
        await db.executemany("INSERT OR REPLACE INTO names (name, id) VALUES (?, ?)", names.items())
        # A replaced row gets the highest rowid: these are the last written.
        await db.execute(
            "DELETE FROM names WHERE rowid <= (SELECT max(rowid) FROM names) - ?",
            (min(most, MAX_ALIASES),),
        )


async def _number(db: Connection, pragma: str) -> int:
    rows = await db.execute_fetchall(pragma)
    return int(next(iter(rows))[0])
