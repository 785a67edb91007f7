"""Catalogue of attachments: which bytes each has, in a small SQLite database. Blocking.

Rows are written after the bytes and removed before them: a crash between the two leaves a file
without a row, which the next start removes. Called in one thread only.
"""

import sqlite3
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from proxy.attachments.store.capacity import Blob
from proxy.runtime.database_file import DatabaseFile, is_damage
from proxy.runtime.lru import LruDict

FILE_NAME = "files.sqlite"
MAX_SEEN = 50_000
_BUSY_TIMEOUT_S = 5.0
_VERSION = 1

_SCHEMA = f"""
PRAGMA journal_mode = WAL;
PRAGMA synchronous = FULL;
BEGIN;
CREATE TABLE IF NOT EXISTS blobs (
    digest TEXT PRIMARY KEY, length INTEGER NOT NULL, mtime_ns INTEGER NOT NULL,
    used_at REAL NOT NULL
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS files (
    id TEXT PRIMARY KEY, digest TEXT NOT NULL, content_type TEXT NOT NULL
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS files_by_digest ON files (digest);
CREATE TABLE IF NOT EXISTS seen (link TEXT PRIMARY KEY);
PRAGMA user_version = {_VERSION};
COMMIT;
"""


@dataclass(frozen=True, slots=True)
class AttachmentRow:
    """The stored facts about one attachment or preview."""

    id: str
    digest: str
    content_type: str


@dataclass(frozen=True, slots=True)
class CatalogContents:
    """All rows of the catalogue."""

    blobs: list[Blob]
    """The least recently used first."""
    rows: list[AttachmentRow]
    seen_links: list[str]


class Catalog:
    """The database; sqlite3.Error if the disk or the database fails."""

    def __init__(self, directory: Path) -> None:
        self._file = DatabaseFile(directory / FILE_NAME)
        self._db: sqlite3.Connection | None = None

    def open(self) -> CatalogContents:
        """The rows of an earlier process; none if the database was damaged and set aside."""
        try:
            return self._open()
        except sqlite3.Error as error:
            if not is_damage(error):
                raise
            self.close()
            self._file.set_aside()
            return self._open()

    def is_intact(self) -> bool:
        """Whether the open database is the one on disk."""
        return self._file.is_intact

    def put(self, blob: Blob, row: AttachmentRow) -> None:
        with self._transaction() as db:
            db.execute(
                "INSERT OR REPLACE INTO blobs VALUES (?, ?, ?, ?)",
                (blob.digest, blob.length, blob.mtime_ns, blob.used_at),
            )
            db.execute(
                "INSERT OR REPLACE INTO files VALUES (?, ?, ?)",
                (row.id, row.digest, row.content_type),
            )

    def drop(self, digests: Iterable[str]) -> None:
        """Delete the blobs and the attachments that have them."""
        keys = [(digest,) for digest in digests]
        with self._transaction() as db:
            db.executemany("DELETE FROM files WHERE digest = ?", keys)
            db.executemany("DELETE FROM blobs WHERE digest = ?", keys)

    def save_usage(self, used: Iterable[tuple[str, float]], links: Iterable[str]) -> None:
        """Save when blobs were last used, by digest, and new links that led to a file."""
        with self._transaction() as db:
            db.executemany(
                "UPDATE blobs SET used_at = ? WHERE digest = ?", [(at, name) for name, at in used]
            )
            db.executemany("INSERT OR IGNORE INTO seen VALUES (?)", [(link,) for link in links])
            db.execute(
                "DELETE FROM seen WHERE rowid <= (SELECT max(rowid) FROM seen) - ?", (MAX_SEEN,)
            )

    def close(self) -> None:
        db, self._db = self._db, None
        if db is not None:
            db.close()

    def _open(self) -> CatalogContents:
        self.close()
        self._file.create()
        db = self._db = sqlite3.connect(
            self._file.path, timeout=_BUSY_TIMEOUT_S, check_same_thread=False
        )
        if db.execute("PRAGMA user_version").fetchone()[0] not in (0, _VERSION):
            raise sqlite3.DatabaseError("of another version")
        db.executescript(_SCHEMA)
        self._file.note_opened()
        blobs = db.execute("SELECT digest, length, mtime_ns, used_at FROM blobs ORDER BY used_at")
        files = db.execute("SELECT id, digest, content_type FROM files")
        seen = db.execute("SELECT link FROM seen ORDER BY rowid")
        return CatalogContents(
            [Blob(*row) for row in blobs],
            [AttachmentRow(*row) for row in files],
            [row[0] for row in seen],
        )

    def _transaction(self) -> sqlite3.Connection:
        """The connection: as a context manager it is one transaction."""
        if self._db is None:
            raise sqlite3.OperationalError("not open")
        return self._db


MAX_ROWS = 200_000


class AttachmentIndex:
    """The rows in memory, by attachment and by digest."""

    def __init__(self) -> None:
        self._rows: dict[str, AttachmentRow] = {}
        self._ids: dict[str, set[str]] = {}

    def __len__(self) -> int:
        return len(self._rows)

    def get(self, file_id: str) -> AttachmentRow | None:
        return self._rows.get(file_id)

    def put(self, row: AttachmentRow) -> None:
        """Add or replace a row; beyond MAX_ROWS the oldest is dropped."""
        self._drop(row.id)
        self._rows[row.id] = row
        self._ids.setdefault(row.digest, set()).add(row.id)
        if len(self._rows) > MAX_ROWS:
            self._drop(next(iter(self._rows)))

    def clear(self) -> None:
        """Drop every row."""
        self._rows.clear()
        self._ids.clear()

    def drop(self, digest: str) -> None:
        """Drop every attachment with these bytes."""
        for file_id in self._ids.pop(digest, ()):
            del self._rows[file_id]

    def _drop(self, file_id: str) -> None:
        row = self._rows.pop(file_id, None)
        if row is not None:
            ids = self._ids[row.digest]
            ids.discard(file_id)
            if not ids:
                del self._ids[row.digest]


class SeenLinks:
    """Links that led to a file, by reader: a 404 for one means that the file was deleted."""

    def __init__(self) -> None:
        self._links: LruDict[str, None] = LruDict(MAX_SEEN)
        self._pending: LruDict[str, None] = LruDict(MAX_SEEN)

    def __contains__(self, link: str) -> bool:
        return link in self._links

    def load(self, links: Iterable[str]) -> None:
        """Add the links of an earlier process."""
        for link in links:
            self._links[link] = None

    def add(self, link: str) -> None:
        if link not in self._links:
            self._links[link] = None
            self._pending[link] = None

    def take_pending(self) -> set[str]:
        """The links added since the last call."""
        pending = set(self._pending)
        self._pending.clear()
        return pending
