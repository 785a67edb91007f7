"""Directory lock: one process owns a directory, by a lock that the kernel releases at its end.

All files of the proxy lie below the cache directory, so one lock is enough. It is taken on the file
`lock`; a process that finds it taken stores nothing on disk (D48). Everything here blocks, for some
system calls.
"""

import fcntl
import os
from pathlib import Path

from proxy.errors import DirectoryTaken, StoreError

_LOCK = "lock"
_FLAGS = os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW

Inode = tuple[int, int]
"""Device and inode number; another file at the same path has another one."""


class DirectoryLock:
    """Creates and locks a directory; again if it was removed or replaced."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._fd: int | None = None

    @property
    def is_owned(self) -> bool:
        """Whether this process has taken the lock."""
        return self._fd is not None

    def own(self) -> None:
        """Create and lock the directory unless that is done; DirectoryTaken or StoreError."""
        if self._fd is not None and _inode_of_fd(self._fd) == inode_of(self.path / _LOCK):
            return
        self.release()
        try:
            self._make()
            fd = os.open(self.path / _LOCK, _FLAGS | os.O_CREAT, 0o600)
        except OSError as error:
            raise StoreError(f"{type(error).__name__}: {error.strerror}") from error
        if not _lock(fd, fcntl.LOCK_EX):
            os.close(fd)
            raise DirectoryTaken("another process uses cache.directory")
        self._fd = fd

    def release(self) -> None:
        """Release the lock."""
        fd, self._fd = self._fd, None
        if fd is not None:
            os.close(fd)

    def _make(self) -> None:
        """Create it for its owner only (0700); a directory with other files is left as it is."""
        self.path.mkdir(mode=0o700, parents=True, exist_ok=True)
        if (self.path / _LOCK).exists() or next(self.path.iterdir(), None) is None:
            self.path.chmod(0o700)


def is_in_use(path: Path) -> bool:
    """Whether a process owns the directory now; nothing is created or locked."""
    try:
        fd = os.open(path / _LOCK, _FLAGS)
    except OSError:
        return False
    try:
        return not _lock(fd, fcntl.LOCK_SH)
    finally:
        os.close(fd)


def inode_of(path: Path) -> Inode | None:
    """The file at a path; None if there is none."""
    try:
        found = path.stat(follow_symlinks=False)
    except OSError:
        return None
    return found.st_dev, found.st_ino


def _inode_of_fd(fd: int) -> Inode:
    found = os.fstat(fd)
    return found.st_dev, found.st_ino


def _lock(fd: int, kind: int) -> bool:
    try:
        fcntl.flock(fd, kind | fcntl.LOCK_NB)
    except OSError:
        return False
    return True
