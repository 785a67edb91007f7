"""Blob directory: files named by the SHA-256 of their bytes, and partial files. Blocking.

`blobs/ab/abcd….blob` is complete; `partial/` is removed at the next start.
"""

import hashlib
import os
from collections.abc import Iterable, Iterator
from pathlib import Path

from proxy.attachments.store.capacity import Signature
from proxy.runtime.directory import Inode, inode_of

_HASHED_BYTES = 1 << 20
_SUFFIX = ".blob"
_FLAGS = os.O_CLOEXEC | os.O_NOFOLLOW


class BlobDirectory:
    """Paths and descriptors of blobs; OSError if the disk fails."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self._blobs = directory / "blobs"
        self._partial = directory / "partial"
        self._inodes: dict[Path, Inode | None] = {}
        self._count = 0

    def create(self) -> None:
        """Create the directories, accessible by their owner only."""
        for each in (self.directory, self._blobs, self._partial):
            each.mkdir(mode=0o700, exist_ok=True)
            each.chmod(0o700)
        self._inodes = {each: inode_of(each) for each in (self._blobs, self._partial)}

    def is_intact(self) -> bool:
        """Whether the directories are still those that `create` created or found."""
        return all(inode_of(path) == inode for path, inode in self._inodes.items())

    def remove_orphans(self, known: Iterable[tuple[str, int]]) -> set[str]:
        """Remove all files but those with a known digest and length; their digests."""
        for left in self._partial.iterdir():
            left.unlink()
        lengths = dict(known)
        present = set()
        for path in self._iter_blobs():
            digest = path.name.removesuffix(_SUFFIX)
            if path.is_symlink() or lengths.get(digest) != path.stat().st_size:
                path.unlink()
            else:
                present.add(digest)
        return present

    def new_partial(self) -> tuple[Path, int]:
        """The path of a new empty file, and its descriptor for reading and writing."""
        self._count += 1
        path = self._partial / f"{self._count}.partial"
        return path, os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | _FLAGS, 0o600)

    def commit(self, partial: Path, digest: str) -> None:
        """Rename a partial file, already synced, to a blob, durably."""
        path = self._path(digest)
        path.parent.mkdir(mode=0o700, exist_ok=True)
        partial.replace(path)
        for directory in (path.parent, self._blobs):
            _sync_directory(directory)

    def open(self, digest: str) -> int:
        """A descriptor for reading a blob."""
        return os.open(self._path(digest), os.O_RDONLY | _FLAGS)

    def remove(self, digests: Iterable[str]) -> None:
        for digest in digests:
            self._path(digest).unlink(missing_ok=True)

    def free_bytes(self) -> int:
        """The free space of the disk."""
        disk = os.statvfs(self._partial)
        return disk.f_bavail * disk.f_frsize

    def _path(self, digest: str) -> Path:
        return self._blobs / digest[:2] / f"{digest}{_SUFFIX}"

    def _iter_blobs(self) -> Iterator[Path]:
        for directory in self._blobs.iterdir():
            if directory.is_dir():
                yield from directory.iterdir()


def file_signature(fd: int) -> Signature:
    """A file's inode, size and times; a write changes it."""
    status = os.fstat(fd)
    return status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns


def digest_of(fd: int) -> str:
    """SHA-256 of a file's bytes, hexadecimal."""
    digest, at = hashlib.sha256(), 0
    while data := os.pread(fd, _HASHED_BYTES, at):
        digest.update(data)
        at += len(data)
    return digest.hexdigest()


def _sync_directory(path: Path) -> None:
    fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)
