"""SQLite database file: its identity on disk, and the one rule for a damaged database.

A database that SQLite calls damaged is renamed to `….damaged`, in place of an earlier one, so that
it can be examined; its journal is removed, as SQLite would read it into the next database of that
name. Everything here blocks, for some system calls.
"""

import sqlite3
from pathlib import Path

from proxy.runtime.directory import Inode, inode_of


def is_damage(error: Exception) -> bool:
    """Whether SQLite reports damage (SQLITE_CORRUPT, SQLITE_NOTADB), not a disk error or a lock."""
    return type(error) is sqlite3.DatabaseError


class DatabaseFile:
    """One database with its journal."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._journal = path.with_name(f"{path.name}-wal")
        self._inodes: dict[Path, Inode | None] = {}

    def create(self) -> None:
        """Create the file, unless it exists; files that SQLite adds get the same mode, 0600."""
        self.path.touch(mode=0o600)

    def note_opened(self) -> None:
        """Remember which files the open database has."""
        self._inodes = {path: inode_of(path) for path in (self.path, self._journal)}

    @property
    def inode(self) -> Inode | None:
        """The database that was opened last; None: none was."""
        return self._inodes.get(self.path)

    @property
    def is_intact(self) -> bool:
        """Whether the open database is the one on disk: an open file outlives its name."""
        return all(inode_of(path) == inode for path, inode in self._inodes.items())

    def set_aside(self) -> None:
        """Rename a damaged database, which must be closed, and remove its journal."""
        if self.path.exists():
            self.path.replace(self.path.with_suffix(".damaged"))
        for suffix in ("-wal", "-shm"):
            self.path.with_name(self.path.name + suffix).unlink(missing_ok=True)
