"""Room for files on disk: what is kept, what is promised, and who leaves first. Pure bookkeeping.

Synchronous throughout: whoever asks for room is told which blobs have to go, and removes them.
"""

from collections import OrderedDict
from collections.abc import Callable, Iterator
from dataclasses import dataclass

BLOCK_BYTES = 4096
"""A file takes whole blocks, and at least one."""
MAX_BLOBS = 100_000
"""More small files than this are not kept, whatever the room."""

Signature = tuple[int, int, int, int]
"""Inode, size and times of a file: a different one, and it was touched."""


@dataclass(slots=True)
class Blob:
    """Bytes that are kept, once for however many attachments have them."""

    digest: str
    """SHA-256, hexadecimal: also the name on disk."""
    length: int
    mtime_ns: int
    """Of the file when it was committed."""
    used_at: float
    """POSIX seconds."""
    verified_signature: Signature | None = None
    """What the file looked like when its bytes were last compared with the digest."""


class DiskBudget:
    """Never more than `limit_bytes`, promises included; the least recently used leaves first."""

    def __init__(self, limit_bytes: int, most_blobs: int = MAX_BLOBS) -> None:
        self.limit_bytes = limit_bytes
        self.used_bytes = 0
        self.reserved_bytes = 0
        self.evictions = 0
        self._most_blobs = most_blobs
        self._blobs: OrderedDict[str, Blob] = OrderedDict()

    def __len__(self) -> int:
        return len(self._blobs)

    def __iter__(self) -> Iterator[Blob]:
        """From the one used longest ago on."""
        return iter(self._blobs.values())

    def get(self, digest: str) -> Blob | None:
        return self._blobs.get(digest)

    def touch(self, blob: Blob, now: float) -> None:
        """Make it the most recently used."""
        blob.used_at = now
        self._blobs.move_to_end(blob.digest)

    def reserve(self, more_bytes: int, is_read: Callable[[str], bool]) -> list[Blob] | None:
        """Set room aside; the blobs that left for it, or None where there is none.

        A blob that `is_read` now does not leave.
        """
        wanted = self.used_bytes + self.reserved_bytes + more_bytes - self.limit_bytes
        leaving: list[Blob] = []
        for blob in self._blobs.values():
            if wanted <= 0 and len(self._blobs) - len(leaving) < self._most_blobs:
                break
            if not is_read(blob.digest):
                leaving.append(blob)
                wanted -= blocks_for(blob.length)
        if wanted > 0:
            return None
        for blob in leaving:
            self.drop(blob.digest)
        self.evictions += len(leaving)
        self.reserved_bytes += more_bytes
        return leaving

    def release(self, promised_bytes: int) -> None:
        """Give promised room back."""
        self.reserved_bytes -= promised_bytes

    def add(self, blob: Blob) -> None:
        """Count it as kept, and as just used."""
        self.drop(blob.digest)
        self._blobs[blob.digest] = blob
        self.used_bytes += blocks_for(blob.length)

    def clear(self) -> None:
        """Forget every blob; what is promised stays."""
        self._blobs.clear()
        self.used_bytes = 0

    def drop(self, digest: str) -> None:
        blob = self._blobs.pop(digest, None)
        if blob is not None:
            self.used_bytes -= blocks_for(blob.length)


def blocks_for(length: int) -> int:
    """What a file of this length takes on disk, in bytes."""
    return max(1, -(-length // BLOCK_BYTES)) * BLOCK_BYTES
