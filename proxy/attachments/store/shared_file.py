"""Shared file: an open file on disk, complete or still growing, with any number of readers.

One writer, and readers at their own offsets. The file is the buffer, so a slow reader delays no
other, and an open descriptor outlives renaming and removal. A complete file is read like a growing
one.
"""

import asyncio
import os
from collections.abc import Callable
from concurrent.futures import Executor
from dataclasses import dataclass
from typing import NamedTuple

from proxy.attachments.store.capacity import Signature
from proxy.errors import StoreError

READ_BYTES = 256 * 1024
SEND_BYTES = 128 * 1024
"""Bytes per `sendfile` call, which takes some tens of microseconds (D21)."""


@dataclass(frozen=True, slots=True)
class FileInfo:
    """What is known of a file before its bytes."""

    length: int | None
    content_type: str


class StoredRange(NamedTuple):
    """A part of a blob whose bytes are right, for another process of this machine."""

    digest: str
    signature: Signature
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class FileOffer:
    """A part of a file that another node sends, from a store of its own or from this one's."""

    id: str
    """As in the catalogue."""
    length: int | None
    content_type: str
    start: int
    end: int | None
    """The end of the file if None, as its length is not known yet."""
    written: int = 0
    """Bytes that are in this store already."""
    digest: str = ""
    """SHA-256 of the file; empty until it is stored."""

    @property
    def is_whole(self) -> bool:
        """Whether the part is the whole file."""
        return (self.start, self.end) == (0, self.length)

    def is_continued_by(self, other: "FileOffer") -> bool:
        """Whether the rest may be taken from what another leader offers: it is the same file."""
        has_other_digest = "" not in (self.digest, other.digest) and self.digest != other.digest
        if self.length is None or has_other_digest:
            return False
        mine = self.id, self.length, self.start, self.end
        return mine == (other.id, other.length, other.start, other.end)


@dataclass(slots=True)
class FileIo:
    """The threads for file I/O, and the bytes read from files."""

    threads: Executor
    read_bytes: int = 0


class SharedFile:
    """Reference-counted file descriptor; closed on the last `release()`."""

    def __init__(self, fd: int, file_io: FileIo, on_idle: Callable[["SharedFile"], None]) -> None:
        self.fd = fd
        self.info: FileInfo | None = None
        self.written = 0
        self.complete = False
        self.failure: BaseException | None = None
        self.references = 0
        self.digest = ""
        """Of a stored file; empty until it is known."""
        self.signature: Signature | None = None
        """Of a stored file, since its bytes were compared with the digest."""
        self.was_copied = False
        """Whether it is a copy of another node's, for which nothing was downloaded."""
        self._file_io = file_io
        self._on_idle = on_idle
        self._changed = asyncio.Event()
        self._no_wait = True

    def retain(self) -> "SharedFile":
        self.references += 1
        return self

    def release(self) -> None:
        self.references -= 1
        if self.references == 0:
            os.close(self.fd)
            self._on_idle(self)

    def set_info(self, info: FileInfo) -> None:
        self.info = info
        self._notify()

    def append_written(self, more_bytes: int) -> None:
        self.written += more_bytes
        self._notify()

    def finish(self, info: FileInfo | None = None) -> None:
        """Mark the file as complete; `info`: what is known of it now."""
        self.info = info or self.info
        if self.info is not None and self.info.length is None:
            self.info = FileInfo(self.written, self.info.content_type)
        self.complete = True
        self._notify()

    def fail(self, failure: BaseException) -> None:
        """Mark the file as broken off: all readers get `failure`, none a short file."""
        self.failure = failure
        self._notify()

    async def info_ready(self) -> FileInfo:
        """The file's info, as soon as it is known; raises the failure if there is one before."""
        while True:
            changed = self._changed  # as in `available`
            if self.info is not None:
                return self.info
            self._raise()
            await changed.wait()

    async def read(self, at: int, max_bytes: int = READ_BYTES) -> bytes | bytearray:
        """At least one of the bytes from `at` on; none at the end of the file.

        Waits until they have arrived. Raises the failure of a broken file; StoreError if the disk
        fails.
        """
        max_bytes = min(max_bytes, await self.available(at))
        return await self._read_range(at, max_bytes) if max_bytes else b""

    async def available(self, at: int) -> int:
        """The number of bytes from `at` on, at least one; 0 at the end of the file.

        Waits until they have arrived. Raises the failure of a broken file.
        """
        while True:
            changed = self._changed  # read before the test: a change after it sets this one
            self._raise()
            if at < self.written:
                return self.written - at
            if self.complete:
                return 0
            await changed.wait()

    async def send(self, at: int, max_bytes: int, to: int) -> int:
        """Send bytes from `at` on to the socket `to` with `sendfile`; the number sent.

        0 at the end of the file; BlockingIOError while the socket's buffer is full. Bytes that are
        not in the page cache are read by a thread first, so that the event loop does not wait for
        the disk.
        """
        max_bytes = min(max_bytes, await self.available(at))
        if max_bytes and not self._is_cached(at, max_bytes):
            await self._read_in_thread(at, max_bytes)
        try:
            count = os.sendfile(to, self.fd, at, max_bytes)
        except (BlockingIOError, ConnectionError):
            raise
        except OSError as error:
            raise StoreError(f"sending a file: {error.strerror}") from error
        self._file_io.read_bytes += count
        return count

    def read_cached(self, at: int, max_bytes: int) -> bytearray | None:
        """The bytes in the page cache, without waiting; None if the first of them is not there."""
        if not self._no_wait:
            return None
        buffer = bytearray(max_bytes)
        try:
            count = os.preadv(self.fd, [buffer], at, os.RWF_NOWAIT)
        except BlockingIOError:
            return None
        except OSError:
            # Not every file system supports RWF_NOWAIT; a thread reads, and reports real errors.
            self._no_wait = False
            return None
        if count < max_bytes:
            del buffer[count:]
        return buffer

    def read_now(self, at: int, count: int) -> bytearray | None:
        """These bytes without waiting; None unless all of them are in the page cache."""
        data = self.read_cached(at, count)
        if data is None or len(data) != count:
            return None
        self._file_io.read_bytes += count
        return data

    async def _read_range(self, at: int, max_bytes: int) -> bytes | bytearray:
        data: bytes | bytearray | None = self.read_cached(at, max_bytes)
        if data is None:
            data = await self._read_in_thread(at, max_bytes)
        if not data:
            raise StoreError("a file on disk is shorter than it was")
        self._file_io.read_bytes += len(data)
        return data

    async def _read_in_thread(self, at: int, max_bytes: int) -> bytes:
        loop = asyncio.get_running_loop()
        try:
            return await loop.run_in_executor(
                self._file_io.threads, os.pread, self.fd, max_bytes, at
            )
        except OSError as error:
            raise StoreError(f"reading a file: {error.strerror}") from error

    def _is_cached(self, at: int, max_bytes: int) -> bool:
        """Whether the first and the last byte are in the page cache, as then most others are."""
        ends = (at, at + max_bytes - 1)
        return all(self.read_cached(each, 1) for each in ends)

    def _raise(self) -> None:
        if self.failure is not None:
            raise _another(self.failure)  # an exception's traceback grows with every raise

    def _notify(self) -> None:
        changed, self._changed = self._changed, asyncio.Event()
        changed.set()


def _another(failure: BaseException) -> BaseException:
    """The same failure to raise; its `__init__` may take something else than its arguments."""
    made = type(failure).__new__(type(failure), *failure.args)
    made.__dict__.update(vars(failure))
    return made
