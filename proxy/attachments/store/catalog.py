"""Which attachment has which bytes: rows in a small SQLite database beside the files.

Written after the bytes, removed before them: what a crash leaves between the two is a file without
a row, which is swept at start. Everything here blocks, and is called in one thread.
"""

import sqlite3
from collections import OrderedDict
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from proxy.attachments.store.capacity import Blob
from proxy.runtime.directory import Inode, inode_of

FILE_NAME = "files.sqlite"
MAX_SEEN = 50_000
_BUSY_TIMEOUT_S = 5.0
_VERSION = 1

_SCHEMA = f"""
PRAGMA journal_mode = WAL;
PRAGMA synchronous = FULL;
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
"""


@dataclass(frozen=True, slots=True)
class AttachmentRow:
    """What is kept of one attachment or preview, besides its bytes."""

    id: str
    digest: str
    content_type: str


@dataclass(frozen=True, slots=True)
class CatalogContents:
    """Everything the catalogue knows."""

    blobs: list[Blob]
    """In the order of their last use."""
    rows: list[AttachmentRow]
    seen_links: list[str]


class Catalog:
    """Rows about files; sqlite3.Error where the disk or the database fails."""

    def __init__(self, directory: Path) -> None:
        self._path = directory / FILE_NAME
        self._db: sqlite3.Connection | None = None
        self._inodes: dict[Path, Inode | None] = {}
        """Of the database and its journal, as they were opened."""

    def open(self) -> CatalogContents:
        """What an earlier process kept. A database that is none is begun anew."""
        try:
            return self._open()
        except sqlite3.OperationalError:
            raise
        except sqlite3.DatabaseError:
            self.close()
            for suffix in ("", "-wal", "-shm"):
                self._path.with_name(FILE_NAME + suffix).unlink(missing_ok=True)
            return self._open()

    def is_intact(self) -> bool:
        """Whether what is open is what would be found: an open file outlives its name."""
        return all(inode_of(path) == inode for path, inode in self._inodes.items())

    def put(self, blob: Blob, row: AttachmentRow) -> None:
        with self._connected() as db:
            db.execute(
                "INSERT OR REPLACE INTO blobs VALUES (?, ?, ?, ?)",
                (blob.digest, blob.length, blob.mtime_ns, blob.used_at),
            )
            db.execute(
                "INSERT OR REPLACE INTO files VALUES (?, ?, ?)",
                (row.id, row.digest, row.content_type),
            )

    def drop(self, digests: Iterable[str]) -> None:
        """Forget these bytes, and that any attachment has them."""
        named = [(digest,) for digest in digests]
        with self._connected() as db:
            db.executemany("DELETE FROM files WHERE digest = ?", named)
            db.executemany("DELETE FROM blobs WHERE digest = ?", named)

    def save_usage(self, blobs: Iterable[tuple[str, float]], seen: Iterable[str]) -> None:
        """Write down when blobs were last used, and which links have led to a file."""
        with self._connected() as db:
            db.executemany(
                "UPDATE blobs SET used_at = ? WHERE digest = ?", [(at, name) for name, at in blobs]
            )
            db.executemany("INSERT OR IGNORE INTO seen VALUES (?)", [(link,) for link in seen])
            db.execute(
                "DELETE FROM seen WHERE rowid <= (SELECT max(rowid) FROM seen) - ?", (MAX_SEEN,)
            )

    def close(self) -> None:
        db, self._db = self._db, None
        if db is not None:
            db.close()

    def _open(self) -> CatalogContents:
        self.close()
        self._path.touch(mode=0o600)  # whatever SQLite puts beside it gets the same mode
        db = self._db = sqlite3.connect(
            self._path, timeout=_BUSY_TIMEOUT_S, check_same_thread=False
        )
        if db.execute("PRAGMA user_version").fetchone()[0] not in (0, _VERSION):
            raise sqlite3.DatabaseError("of another version")
        db.executescript(_SCHEMA)
        journal = self._path.with_name(f"{FILE_NAME}-wal")
        self._inodes = {path: inode_of(path) for path in (self._path, journal)}
        blobs = db.execute("SELECT digest, length, mtime_ns, used_at FROM blobs ORDER BY used_at")
        files = db.execute("SELECT id, digest, content_type FROM files")
        seen = db.execute("SELECT link FROM seen ORDER BY rowid")
        return CatalogContents(
            [Blob(*row) for row in blobs],
            [AttachmentRow(*row) for row in files],
            [row[0] for row in seen],
        )

    def _connected(self) -> sqlite3.Connection:
        """The connection, as one transaction when it is entered."""
        if self._db is None:
            raise sqlite3.OperationalError("not open")
        return self._db


MAX_ROWS = 200_000


class AttachmentIndex:
    """Rows by attachment and by digest."""

    def __init__(self) -> None:
        self._rows: dict[str, AttachmentRow] = {}
        self._ids: dict[str, set[str]] = {}

    def __len__(self) -> int:
        return len(self._rows)

    def get(self, file_id: str) -> AttachmentRow | None:
        return self._rows.get(file_id)

    def put(self, row: AttachmentRow) -> None:
        """Take the row in; the oldest leaves where there are too many."""
        self._drop(row.id)
        self._rows[row.id] = row
        self._ids.setdefault(row.digest, set()).add(row.id)
        if len(self._rows) > MAX_ROWS:
            self._drop(next(iter(self._rows)))

    def clear(self) -> None:
        """Forget every row."""
        self._rows.clear()
        self._ids.clear()

    def drop(self, digest: str) -> None:
        """Forget every attachment with these bytes."""
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
    """Links that have led to a file: if one leads nowhere now, its file was deleted."""

    def __init__(self) -> None:
        self._links: OrderedDict[str, None] = OrderedDict()
        self._pending: set[str] = set()

    def __contains__(self, link: str) -> bool:
        return link in self._links

    def load(self, links: Iterable[str]) -> None:
        """What an earlier process had seen."""
        self._links.update(dict.fromkeys(links))

    def add(self, link: str) -> None:
        if link in self._links:
            return
        self._links[link] = None
        self._pending.add(link)
        if len(self._links) > MAX_SEEN:
            self._pending.discard(self._links.popitem(last=False)[0])

    def take_pending(self) -> set[str]:
        """What was added since this was asked last."""
        news, self._pending = self._pending, set()
        return news
