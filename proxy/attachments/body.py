"""A file's bytes on their way to one client: from the disk, and from Trello where the disk fails.

The disk may run out of room in the middle of a download, or lose what it kept. Then each reader
goes on with a download of its own, from where it is; nobody is told a short body is a whole one.
"""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import aclosing

from proxy.attachments.fetcher import AttachmentFetch, UpstreamRefused
from proxy.attachments.store.shared_file import (
    READ_BYTES,
    SEND_BYTES,
    FileInfo,
    SharedFile,
)
from proxy.errors import (
    ChecksumMismatch,
    IncompleteResponse,
    StoreError,
)

Chunk = bytes | bytearray
SMALL_BYTES = 128 * 1024
"""So little is sent in one piece with the header."""
FIRST_BYTES = 64 * 1024
"""What each reader gets first, so that of many who wait for a file none has to wait for long."""


class AttachmentBody:
    """All the bytes, or those that `narrow` leaves; must be closed."""

    def __init__(
        self,
        start: Callable[[int], AttachmentFetch],
        header: FileInfo,
        *,
        held: SharedFile | None = None,
        fetch: AttachmentFetch | None = None,
    ) -> None:
        """Owns `held`, the file on disk, and `fetch`, an open download of it or of its end."""
        self._start = start
        self._info = header
        self._file = held
        self._fetch = fetch
        self._at, self._end = 0, header.length
        self._most = FIRST_BYTES
        self._chunks: AsyncGenerator[Chunk, None] = self._from_disk_then_upstream()

    def set_range(self, start: int, end: int) -> None:
        """Only the bytes from `start` up to `end`; before the first is read."""
        self._at, self._end = start, end

    async def read_small(self) -> bytes | None:
        """All that is wanted, where that is little and kept; then there is nothing to close."""
        held, end = self._file, self._end
        if held is None or not held.complete or end is None or end - self._at > SMALL_BYTES:
            return None
        try:
            data = bytes(await held.read(self._at, end - self._at))
        except StoreError:
            return None
        if len(data) != end - self._at:
            return None
        await self.aclose()
        return data

    async def send(self, to: int) -> int:
        """Have the kernel send some bytes to the socket `to`; how many went.

        0 where that is not possible, or not any more: what is left comes by iterating.
        BlockingIOError while the socket takes nothing.
        """
        held = self._file
        if held is None or self._end is None or self._at >= self._end:
            return 0
        most, self._most = self._most, SEND_BYTES
        try:
            count = await held.send(self._at, min(most, self._end - self._at), to)
        except ChecksumMismatch as error:
            raise IncompleteResponse("A kept file is damaged; ask again.") from error
        except StoreError:
            return 0
        self._at += count
        return count

    def __aiter__(self) -> AsyncIterator[Chunk]:
        return self._chunks

    async def aclose(self) -> None:
        """Let go of the file; an iterator that never began has nothing to undo itself."""
        await self._chunks.aclose()
        fetch, self._fetch = self._fetch, None
        held, self._file = self._file, None
        if fetch is not None:
            await fetch.aclose()
        if held is not None:
            held.release()

    async def _from_disk_then_upstream(self) -> AsyncGenerator[Chunk, None]:
        if self._file is not None:
            try:
                async with aclosing(self._from_disk(self._file)) as chunks:
                    async for chunk in chunks:
                        yield chunk
            except ChecksumMismatch as error:
                raise IncompleteResponse("A kept file is damaged; ask again.") from error
            except StoreError:
                pass
            else:
                return
        if self._end is None or self._at < self._end:
            async with aclosing(self._from_upstream()) as fetched:
                async for part in fetched:
                    yield part

    async def _from_disk(self, held: SharedFile) -> AsyncGenerator[Chunk, None]:
        while self._end is None or self._at < self._end:
            left = READ_BYTES if self._end is None else self._end - self._at
            chunk = await held.read(self._at, min(left, READ_BYTES))
            if not chunk:
                return
            self._at += len(chunk)
            yield chunk
            await asyncio.sleep(0)  # or one fast reader has the loop to itself

    async def _from_upstream(self) -> AsyncGenerator[Chunk, None]:
        fetch = await self._fetched()
        async with aclosing(fetch.chunks()) as chunks:
            async for chunk in chunks:
                rest = chunk if self._end is None else chunk[: self._end - self._at]
                self._at += len(rest)
                yield rest
                if self._at == self._end:
                    return

    async def _fetched(self) -> AttachmentFetch:
        """A download that begins where this body is."""
        if self._fetch is not None and self._fetch.start == self._at:
            return self._fetch
        if self._fetch is not None:
            await self._fetch.aclose()
        fetch = self._fetch = self._start(self._at)
        try:
            header = await fetch.open()
        except UpstreamRefused as error:
            raise IncompleteResponse("Trello no longer gives this file; ask again.") from error
        lengths = (header.length, self._info.length)
        if None not in lengths and header.length != self._info.length:
            raise IncompleteResponse("A file changed while it was being fetched; ask again.")
        return fetch
