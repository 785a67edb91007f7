"""Marker file: Redis is behind the memory of a process, so the next one must not trust it.

A write is acknowledged to its client although Redis does not reply. If the process is killed then,
only this file knows that an invalidation is missing in Redis. It needs no fsync: it is for a
process that ends, not for a machine that loses power.
"""

from contextlib import suppress
from pathlib import Path
from typing import Protocol

FILE_NAME = "redis-behind"


class Marker(Protocol):
    """Notes that Redis is behind this process."""

    @property
    def was_set(self) -> bool:
        """Whether an earlier process left it."""

    def set(self) -> None:
        """Redis lacks an invalidation, or may."""

    def clear(self) -> None:
        """Redis holds everything."""


class BehindFlag:
    """A marker in memory: in a fleet the other nodes know (D65)."""

    was_set = False

    def __init__(self) -> None:
        self.is_set = False

    def set(self) -> None:
        self.is_set = True

    def clear(self) -> None:
        self.is_set = False


class BehindMarker:
    """The marker file in the cache directory."""

    def __init__(self, directory: Path) -> None:
        self._path = directory / FILE_NAME
        self._is_set = False
        self.was_set = self._path.exists()
        """Whether an earlier process left it."""

    def set(self) -> None:
        """Create the file; without a usable directory, again at the next call."""
        if not self._is_set:
            with suppress(OSError):
                self._path.touch(mode=0o600)
                self._is_set = True

    def clear(self) -> None:
        """Remove the file: Redis holds everything."""
        if self._is_set or self.was_set:
            self._is_set = self.was_set = False
            with suppress(OSError):
                self._path.unlink(missing_ok=True)
