"""Disk budget of attachments: space used, space reserved, and what to evict.

Deterministic, no I/O: `reserve` returns the evicted blobs, and the caller removes their files.
"""

from collections import OrderedDict
from collections.abc import Callable, Iterator
from dataclasses import dataclass

BLOCK_BYTES = 4096
"""A file takes whole blocks, and at least one."""
MAX_BLOBS = 100_000
"""Number of blobs, whatever their size."""

Signature = tuple[int, int, int, int]
"""Inode, size, and times of modification and change of a file; it differs after a write."""


@dataclass(slots=True)
class Blob:
    """Stored bytes, once for all attachments that have them."""

    digest: str
    """SHA-256, hexadecimal; also the file's name."""
    length: int
    mtime_ns: int
    """Of the file when it was committed."""
    used_at: float
    """POSIX seconds."""
    verified_signature: Signature | None = None
    """Of the file when its bytes were last compared with the digest."""


class DiskBudget:
    """At most `limit_bytes`, reservations included; evicts the least recently used blobs."""

    def __init__(self, limit_bytes: int, max_blobs: int = MAX_BLOBS) -> None:
        self.limit_bytes = limit_bytes
        self.used_bytes = 0
        self.reserved_bytes = 0
        self.evictions = 0
        self._max_blobs = max_blobs
        self._blobs: OrderedDict[str, Blob] = OrderedDict()

    def __len__(self) -> int:
        return len(self._blobs)

    def __iter__(self) -> Iterator[Blob]:
        """The blobs, the least recently used first."""
        return iter(self._blobs.values())

    def get(self, digest: str) -> Blob | None:
        return self._blobs.get(digest)

    def touch(self, blob: Blob, now: float) -> None:
        """Make it the most recently used."""
        blob.used_at = now
        self._blobs.move_to_end(blob.digest)

    def reserve(self, more_bytes: int, is_open: Callable[[str], bool]) -> list[Blob] | None:
        """Reserve space; the blobs evicted for it, or None if there is not enough.

        A blob that `is_open` is not evicted.
        """
        needed = self.used_bytes + self.reserved_bytes + more_bytes - self.limit_bytes
        evicted: list[Blob] = []
        for blob in self._blobs.values():
            if needed <= 0 and len(self._blobs) - len(evicted) < self._max_blobs:
                break
            if not is_open(blob.digest):
                evicted.append(blob)
                needed -= blocks_for(blob.length)
        if needed > 0:
            return None
        for blob in evicted:
            self.drop(blob.digest)
        self.evictions += len(evicted)
        self.reserved_bytes += more_bytes
        return evicted

    def release(self, reserved_bytes: int) -> None:
        """End a reservation."""
        self.reserved_bytes -= reserved_bytes

    def add(self, blob: Blob) -> None:
        """Count a stored blob, the most recently used."""
        self.drop(blob.digest)
        self._blobs[blob.digest] = blob
        self.used_bytes += blocks_for(blob.length)

    def clear(self) -> None:
        """Drop every blob; reservations stay."""
        self._blobs.clear()
        self.used_bytes = 0

    def drop(self, digest: str) -> None:
        blob = self._blobs.pop(digest, None)
        if blob is not None:
            self.used_bytes -= blocks_for(blob.length)


def blocks_for(length: int) -> int:
    """Disk space of a file of this length, in bytes."""
    return max(1, -(-length // BLOCK_BYTES)) * BLOCK_BYTES
