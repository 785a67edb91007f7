"""Bytes below a directory, named after what they are; partial ones apart. Everything here blocks.

`blobs/ab/abcd….blob` is complete and right; `partial/` is what a crash leaves behind.
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
    """Paths and descriptors; OSError where the disk fails."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self._blobs = directory / "blobs"
        self._partial = directory / "partial"
        self._made: dict[Path, Inode | None] = {}
        self._count = 0

    def create(self) -> None:
        """Make the directories, readable by their owner alone."""
        for each in (self.directory, self._blobs, self._partial):
            each.mkdir(mode=0o700, exist_ok=True)
            each.chmod(0o700)
        self._made = {each: inode_of(each) for each in (self._blobs, self._partial)}

    def is_intact(self) -> bool:
        """Whether the directories are those that were made or found."""
        return all(inode_of(path) == inode for path, inode in self._made.items())

    def remove_orphans(self, known: Iterable[tuple[str, int]]) -> set[str]:
        """Remove leftovers; the digests, of those `known` with their lengths, that are here."""
        for left in self._partial.iterdir():
            left.unlink()
        wanted = dict(known)
        here = set()
        for path in self._iter_blobs():
            digest = path.name.removesuffix(_SUFFIX)
            if path.is_symlink() or wanted.get(digest) != path.stat().st_size:
                path.unlink()
            else:
                here.add(digest)
        return here

    def new_partial(self) -> tuple[Path, int]:
        """A new empty file, and a descriptor to read and write it."""
        self._count += 1
        path = self._partial / f"{self._count}.partial"
        return path, os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | _FLAGS, 0o600)

    def commit(self, partial: Path, digest: str) -> None:
        """Give the bytes, which are on disk already, their name, for good."""
        path = self._path(digest)
        path.parent.mkdir(mode=0o700, exist_ok=True)
        partial.replace(path)
        for directory in (path.parent, self._blobs):
            _sync_directory(directory)

    def open(self, digest: str) -> int:
        """A descriptor to read these bytes."""
        return os.open(self._path(digest), os.O_RDONLY | _FLAGS)

    def remove(self, digests: Iterable[str]) -> None:
        for digest in digests:
            self._path(digest).unlink(missing_ok=True)

    def free_bytes(self) -> int:
        """What the disk has left."""
        disk = os.statvfs(self._partial)
        return disk.f_bavail * disk.f_frsize

    def _path(self, digest: str) -> Path:
        return self._blobs / digest[:2] / f"{digest}{_SUFFIX}"

    def _iter_blobs(self) -> Iterator[Path]:
        for directory in self._blobs.iterdir():
            if directory.is_dir():
                yield from directory.iterdir()


def file_signature(fd: int) -> Signature:
    """What a file looks like from outside; rewriting its bytes changes it."""
    now = os.fstat(fd)
    return now.st_ino, now.st_size, now.st_mtime_ns, now.st_ctime_ns


def digest_of(fd: int) -> str:
    """SHA-256 of all its bytes."""
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
