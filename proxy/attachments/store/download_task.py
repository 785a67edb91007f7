"""Download task: writes and hashes one file as it arrives, while clients already read it.

reserve → partial → verify → commit: a download that is not committed has failed.
"""

import asyncio
import hashlib
import os
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable
from contextlib import aclosing, suppress
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
    StoreError,
)

COPY_S = 5.0
"""For copies elsewhere, all of them together; then the file is downloaded."""
STEP_BYTES = 8 * 1024 * 1024
"""Space reserved at a time while the length is unknown."""

Reserve = Callable[[int], Awaitable[None]]
"""Reserves disk space, in bytes; InsufficientSpace."""


class SourceLost(StoreError):
    """The node that an attachment is copied from does not send it, or not to its end."""


class ByteSource(Protocol):
    """The source of a file; its exceptions are raised to the file's readers."""

    info: FileInfo | None
    """What is known so far; a long text's charset is known at the end only."""
    digest: str
    """SHA-256 that the bytes must have; empty if that is not known."""

    async def open(self) -> FileInfo:
        """What is known before the first byte."""

    def __aiter__(self) -> AsyncIterator[bytes]:
        """All bytes, in order; ends only when all were there."""

    async def aclose(self) -> None:
        """Release the source; called in any case."""


class PartSource(ByteSource, Protocol):
    """The end of a file, for one reader."""

    start: int
    """Of the file's bytes the first that it gives."""


Copies = AsyncGenerator[ByteSource, None]
"""Sources at other nodes of a fleet, each with its digest."""


class DownloadTask:
    """Writes the bytes of `source`, or of a copy elsewhere, to `file`."""

    def __init__(
        self,
        file: SharedFile,
        path: Path,
        source: ByteSource,
        file_io: FileIo,
        max_bytes: int,
        copies: Copies | None = None,
    ) -> None:
        self.file = file
        self.path = path
        self._source = source
        self._copies = copies
        self._file_io = file_io
        self._max_bytes = max_bytes
        self._reserved_bytes = 0
        self._written = 0
        self._digest = hashlib.sha256()

    async def run(self, reserve: Reserve) -> str:
        """The digest of the complete file, synced; FileTooLarge, InsufficientSpace.

        Where the source's digest is known, no reader gets the last bytes of other ones:
        ChecksumMismatch. A copy elsewhere may be wrong: readers get nothing of it before all of it
        is there and right, and wait for COPY_S at most.
        """
        digest = await self._copy(reserve)
        if digest is None:
            digest = await self._write_all(self._source, reserve)
        await self._in_thread(os.fsync, self.file.fd)
        return digest

    async def aclose(self) -> None:
        """Release the source, whether or not it was used."""
        await self._source.aclose()

    async def _copy(self, reserve: Reserve) -> str | None:
        """The digest of a copy that was complete and right; None if there is none in time."""
        if self._copies is None:
            return None
        with suppress(TimeoutError):
            async with asyncio.timeout(COPY_S), aclosing(self._copies) as copies:
                async for each in copies:
                    try:
                        return await self._write_all(each, reserve, is_hidden=True)
                    except StoreError:
                        await self._begin_anew()
                    finally:
                        await each.aclose()
        await self._begin_anew()
        return None

    async def _begin_anew(self) -> None:
        self._written, self._digest = 0, hashlib.sha256()
        await self._in_thread(os.ftruncate, self.file.fd, 0)

    async def _write_all(
        self, source: ByteSource, reserve: Reserve, *, is_hidden: bool = False
    ) -> str:
        """The digest of the bytes of `source`; readers get them as they come, or at the end."""
        info = await source.open()
        length = info.length
        self._check(length or 0)
        await self._reserve(reserve, STEP_BYTES if length is None else length)
        if not is_hidden:
            self.file.set_info(info)
        async for chunk in source:
            before = self._written
            await self._append(chunk, reserve)
            if not is_hidden:
                shown = before if source.digest else self._written
                self.file.append_written(shown - self.file.written)
        digest = self._digest.hexdigest()
        if length not in (None, self._written) or source.digest not in ("", digest):
            raise ChecksumMismatch("a file came with another length or other bytes than said")
        self.file.was_copied = is_hidden
        self.file.append_written(self._written - self.file.written)
        self.file.finish(source.info)
        return digest

    async def _append(self, chunk: bytes, reserve: Reserve) -> None:
        at = self._written
        self._check(at + len(chunk))
        if at + len(chunk) > self._reserved_bytes:
            await self._reserve(reserve, self._reserved_bytes + STEP_BYTES)
        await self._in_thread(self._write, chunk, at)
        self._written = at + len(chunk)

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

    async def _reserve(self, reserve: Reserve, in_all_bytes: int) -> None:
        more_bytes = max(0, in_all_bytes - self._reserved_bytes)
        await reserve(more_bytes)
        self._reserved_bytes += more_bytes

    async def _in_thread(self, call: Callable[..., object], *arguments: object) -> None:
        loop = asyncio.get_running_loop()
        written = loop.run_in_executor(self._file_io.threads, call, *arguments)
        try:
            await asyncio.shield(written)
        except asyncio.CancelledError:
            # The descriptor must not be closed, and its number reused, while the thread writes.
            await asyncio.wait([written])
            raise
        except OSError as error:
            raise InsufficientSpace(f"writing a file: {error.strerror}") from error
