"""The bytes of one file on disk, open: complete, or still arriving.

One writer, any number of readers, each at an offset of its own. The file is the buffer: a slow
reader holds up nobody, and a descriptor outlives renaming and removal. A complete file is the case
of one that has stopped growing: there is one way to read.
"""

import asyncio
import os
from collections.abc import Callable
from concurrent.futures import Executor
from copy import copy
from dataclasses import dataclass

from proxy.errors import StoreError

READ_BYTES = 256 * 1024
SEND_BYTES = 1024 * 1024
"""What the kernel is told to send at once: some tenths of a millisecond."""


@dataclass(frozen=True, slots=True)
class FileInfo:
    """What is known of a file before its bytes are there."""

    length: int | None
    content_type: str


@dataclass(slots=True)
class FileIo:
    """The threads that wait for it, and what was read of it."""

    threads: Executor
    read_bytes: int = 0


class SharedFile:
    """Whoever holds one has retained it, and releases it; the last one closes the descriptor."""

    def __init__(self, fd: int, disk: FileIo, on_idle: Callable[["SharedFile"], None]) -> None:
        self.fd = fd
        self.info: FileInfo | None = None
        self.written = 0
        self.complete = False
        self.failure: BaseException | None = None
        self.references = 0
        self.digest = ""
        """Of a complete file; empty while that is not known."""
        self._disk = disk
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

    def set_info(self, header: FileInfo) -> None:
        self.info = header
        self._notify()

    def append_written(self, more_bytes: int) -> None:
        self.written += more_bytes
        self._notify()

    def finish(self, header: FileInfo | None = None) -> None:
        """There will be no more bytes; all that there are, are right.

        `header`: what is known of the file now that they are there.
        """
        self.info = header or self.info
        if self.info is not None and self.info.length is None:
            self.info = FileInfo(self.written, self.info.content_type)
        self.complete = True
        self._notify()

    def fail(self, failure: BaseException) -> None:
        """There will be no more bytes, and those there are must not look like a whole."""
        self.failure = failure
        self._notify()

    async def info_ready(self) -> FileInfo:
        """The header, once it is there; raises what failed before."""
        while True:
            changed = self._changed  # as in `available`
            if self.info is not None:
                return self.info
            self._raise()
            await changed.wait()

    async def read(self, at: int, most: int = READ_BYTES) -> bytes | bytearray:
        """One or more of the bytes from `at` on; none at the end of the file.

        Waits while they are still to come. Raises what broke the file off; StoreError when the
        disk does not give what it has.
        """
        most = min(most, await self.available(at))
        return await self._read_range(at, most) if most else b""

    async def available(self, at: int) -> int:
        """How many bytes there are from `at` on, one or more; 0 at the end of the file.

        Waits while they are still to come. Raises what broke the file off.
        """
        while True:
            changed = self._changed  # taken before the test: a change after it sets this very one
            self._raise()
            if at < self.written:
                return self.written - at
            if self.complete:
                return 0
            await changed.wait()

    async def send(self, at: int, most: int, to: int) -> int:
        """Bytes from `at` on that went to the socket `to` without passing through here.

        0 at the end of the file; BlockingIOError while the socket takes nothing. What would keep
        the loop waiting for the disk is read by a thread first.
        """
        most = min(most, await self.available(at))
        if most and not self._is_cached(at, most):
            await self._read_in_thread(at, most)
        try:
            count = os.sendfile(to, self.fd, at, most)
        except (BlockingIOError, ConnectionError):
            raise
        except OSError as error:
            raise StoreError(f"sending a file: {error.strerror}") from error
        self._disk.read_bytes += count
        return count

    async def _read_range(self, at: int, most: int) -> bytes | bytearray:
        data: bytes | bytearray | None = self._read_cached(at, most) if self._no_wait else None
        if data is None:
            data = await self._read_in_thread(at, most)
        if not data:
            raise StoreError("a file on disk is shorter than it was")
        self._disk.read_bytes += len(data)
        return data

    async def _read_in_thread(self, at: int, most: int) -> bytes:
        loop = asyncio.get_running_loop()
        try:
            return await loop.run_in_executor(self._disk.threads, os.pread, self.fd, most, at)
        except OSError as error:
            raise StoreError(f"reading a file: {error.strerror}") from error

    def _is_cached(self, at: int, most: int) -> bool:
        """Whether the first and the last byte are in memory; so is what lies between, mostly."""
        return self._no_wait and all(self._read_cached(where, 1) for where in (at, at + most - 1))

    def _read_cached(self, at: int, most: int) -> bytearray | None:
        """What can be had without waiting for the disk; None where that is nothing."""
        buffer = bytearray(most)
        try:
            count = os.preadv(self.fd, [buffer], at, os.RWF_NOWAIT)
        except BlockingIOError:
            return None
        except OSError:
            # Not every file system can tell; a thread reads instead, and reports real trouble.
            self._no_wait = False
            return None
        if count < most:
            del buffer[count:]
        return buffer

    def _raise(self) -> None:
        if self.failure is not None:
            raise copy(self.failure)  # each reader's own: a traceback grows with every raising

    def _notify(self) -> None:
        changed, self._changed = self._changed, asyncio.Event()
        changed.set()
