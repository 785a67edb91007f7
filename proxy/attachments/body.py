"""Attachment body: a file's bytes for one client, from the disk, or from Trello if that fails.

The disk may become full during a download, or lose a stored file. Then each reader continues with
its own download from its current position. A truncated file never looks complete.
"""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import aclosing

from proxy.attachments.fetcher import UpstreamRefused
from proxy.attachments.store.download_task import PartSource
from proxy.attachments.store.shared_file import (
    READ_BYTES,
    SEND_BYTES,
    FileInfo,
    FileOffer,
    SharedFile,
    StoredRange,
)
from proxy.errors import (
    ChecksumMismatch,
    IncompleteResponse,
    StoreError,
)

Chunk = bytes | bytearray
SMALL_BYTES = 128 * 1024
"""A body up to this size is sent in one piece with the header."""
FIRST_BYTES = 64 * 1024
"""First piece of a file that is being received, so that each of many waiting clients gets a part
soon."""


class AttachmentBody:
    """A file, or the range set by `set_range`; must be closed."""

    def __init__(
        self,
        start: Callable[[int], PartSource],
        info: FileInfo,
        *,
        file: SharedFile | None = None,
        fetch: PartSource | None = None,
    ) -> None:
        """Owns `file`, on disk, and `fetch`, an open download of it or of its end.

        `start` begins another download at an offset.
        """
        self._start = start
        self._info = info
        self._file = file
        self._fetch = fetch
        self._at, self._end = 0, info.length
        is_complete = file is not None and file.complete
        self._piece_bytes = SEND_BYTES if is_complete else FIRST_BYTES
        self._chunks: AsyncGenerator[Chunk, None] = self._from_disk_then_upstream()

    def set_range(self, start: int, end: int | None) -> None:
        """Only the bytes from `start` up to `end`, or the end; before the first is read."""
        self._at, self._end = start, end

    async def read_small(self) -> bytes | None:
        """The whole body, closed, if it is stored and at most SMALL_BYTES long; else None."""
        file, end = self._file, self._end
        if file is None or not file.complete or end is None or end - self._at > SMALL_BYTES:
            return None
        try:
            data = bytes(await file.read(self._at, end - self._at))
        except StoreError:
            return None
        if len(data) != end - self._at:
            return None
        await self.aclose()
        return data

    def stored_range(self) -> StoredRange | None:
        """Where all of the body is stored; None if it is not, or its bytes are not verified yet."""
        file, end = self._file, self._end
        if file is None or file.failure is not None or file.signature is None or end is None:
            return None
        return StoredRange(file.digest, file.signature, self._at, end)

    def offer(self, file_id: str) -> FileOffer | None:
        """What another node needs to send the same; None if this store has not got the file."""
        file, info = self._file, self._info
        if file is None or file.failure is not None:
            return None
        return FileOffer(
            id=file_id,
            length=info.length,
            content_type=info.content_type,
            start=self._at,
            end=self._end,
            written=file.written,
            digest=file.digest,
        )

    @property
    def is_sent(self) -> bool:
        """Whether all of it has been read or sent, as far as its end is known."""
        return self._at == self._end

    async def send(self, to: int) -> int:
        """Send the next bytes to the socket `to` with `sendfile`; the number of bytes sent.

        0 if that is not possible (any more): the rest is read by iteration. BlockingIOError while
        the socket's buffer is full.
        """
        file = self._file
        if file is None or self._end is None or self._at >= self._end:
            return 0
        max_bytes, self._piece_bytes = self._piece_bytes, SEND_BYTES
        try:
            count = await file.send(self._at, min(max_bytes, self._end - self._at), to)
        except ChecksumMismatch as error:
            raise IncompleteResponse("A kept file is damaged; ask again.") from error
        except StoreError:
            return 0
        self._at += count
        return count

    def __aiter__(self) -> AsyncIterator[Chunk]:
        return self._chunks

    async def aclose(self) -> None:
        """Release file and download, also before the first byte was read."""
        await self._chunks.aclose()  # a generator that was never started closes nothing
        fetch, self._fetch = self._fetch, None
        file, self._file = self._file, None
        if fetch is not None:
            await fetch.aclose()
        if file is not None:
            file.release()

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

    async def _from_disk(self, file: SharedFile) -> AsyncGenerator[Chunk, None]:
        while self._end is None or self._at < self._end:
            left = READ_BYTES if self._end is None else self._end - self._at
            chunk = await file.read(self._at, min(left, READ_BYTES))
            if not chunk:
                return
            self._at += len(chunk)
            yield chunk
            await asyncio.sleep(0)  # or one fast reader takes all of the event loop

    async def _from_upstream(self) -> AsyncGenerator[Chunk, None]:
        async for chunk in await self._fetch_from_here():
            rest = chunk if self._end is None else chunk[: self._end - self._at]
            self._at += len(rest)
            yield rest
            if self._at == self._end:
                return

    async def _fetch_from_here(self) -> PartSource:
        """A download that begins at the current position; `aclose` closes it."""
        if self._fetch is not None and self._fetch.start == self._at:
            return self._fetch
        if self._fetch is not None:
            await self._fetch.aclose()
        fetch = self._fetch = self._start(self._at)
        try:
            info = await fetch.open()
        except UpstreamRefused as error:
            raise IncompleteResponse("Trello no longer gives this file; ask again.") from error
        lengths = (info.length, self._info.length)
        if None not in lengths and info.length != self._info.length:
            raise IncompleteResponse("A file changed while it was being fetched; ask again.")
        return fetch
