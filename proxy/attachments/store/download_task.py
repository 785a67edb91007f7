"""One file on its way to the disk: written and hashed as it comes, for whoever reads already.

reserve → partial → verify → commit: what is not committed has failed, without anyone saying so.
"""

import asyncio
import hashlib
import os
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import aclosing
from pathlib import Path
from typing import Protocol

from proxy.attachments.store.shared_file import (
    FileInfo,
    FileIo,
    SharedFile,
)
from proxy.errors import (
    ChecksumMismatch,
    FileTooLarge,
    InsufficientSpace,
)

STEP_BYTES = 8 * 1024 * 1024
"""So much room is promised at a time where the length is not known."""


class ByteSource(Protocol):
    """Where a file comes from; whatever it raises is told to the readers."""

    header: FileInfo | None
    """What is known of it by now; of its bytes most is known at the end."""

    async def open(self) -> FileInfo:
        """What is known before the first byte is given."""

    def chunks(self) -> AsyncGenerator[bytes, None]:
        """All bytes, in order; ends only when they were all there."""

    async def aclose(self) -> None:
        """Let go of it; called whatever happens."""


class DownloadTask:
    """Writes what a source gives into a file that is held."""

    def __init__(
        self,
        held: SharedFile,
        path: Path,
        source: ByteSource,
        disk: FileIo,
        max_bytes: int,
    ) -> None:
        self.file = held
        self.path = path
        self.reserved_bytes = 0
        self._source = source
        self._disk = disk
        self._max_bytes = max_bytes
        self._digest = hashlib.sha256()

    async def run(self, promise: Callable[[int], Awaitable[None]]) -> str:
        """The digest of the whole; `promise` sets room aside, or raises NoRoom."""
        try:
            header = await self._source.open()
            length = header.length
            self._check(length or 0)
            await self._reserve(promise, STEP_BYTES if length is None else length)
            self.file.set_info(header)
            async with aclosing(self._source.chunks()) as chunks:
                async for chunk in chunks:
                    await self._append(chunk, promise)
            if length is not None and self.file.written != length:
                raise ChecksumMismatch("a file came at another length than announced")
            self.file.finish(self._source.header)
            await self._in_thread(os.fsync, self.file.fd)
            return self._digest.hexdigest()
        finally:
            await self._source.aclose()

    async def _append(self, chunk: bytes, promise: Callable[[int], Awaitable[None]]) -> None:
        at = self.file.written
        self._check(at + len(chunk))
        if at + len(chunk) > self.reserved_bytes:
            await self._reserve(promise, STEP_BYTES)
        await self._in_thread(self._write, chunk, at)
        self.file.append_written(len(chunk))

    def _write(self, chunk: bytes, at: int) -> None:
        """Runs in a thread, one chunk at a time."""
        self._digest.update(chunk)
        rest = memoryview(chunk)
        while rest:
            count = os.pwrite(self.file.fd, rest, at)
            rest, at = rest[count:], at + count

    def _check(self, length: int) -> None:
        if length > self._max_bytes:
            raise FileTooLarge("longer than attachments.max_file")

    async def _reserve(self, promise: Callable[[int], Awaitable[None]], more_bytes: int) -> None:
        await promise(more_bytes)
        self.reserved_bytes += more_bytes

    async def _in_thread(self, call: Callable[..., object], *arguments: object) -> None:
        loop = asyncio.get_running_loop()
        written = loop.run_in_executor(self._disk.threads, call, *arguments)
        try:
            await asyncio.shield(written)
        except asyncio.CancelledError:
            # The descriptor must not be closed, and its number used again, under the thread.
            await asyncio.wait([written])
            raise
        except OSError as error:
            raise InsufficientSpace(f"writing a file: {error.strerror}") from error
