"""The files that are kept, and those on their way: one download each, any number of readers.

Bytes are named after their SHA-256, so the same file on twelve cards is kept once; the catalogue
says which attachment has which. What is known lives in memory and changes in synchronous steps;
one thread, the clerk, removes and commits in the order of those steps.
"""

import asyncio
import errno
import sqlite3
from collections import Counter
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import TypeVar

from proxy.clock import Clock
from proxy.errors import DirectoryTaken, NoRoom, StoreError, TooLarge
from proxy.log import Log
from proxy.store.blobs import Blobs, signature_of
from proxy.store.catalog import Catalog, FileRow, Kept
from proxy.store.directory import Directory
from proxy.store.eviction import Blob, Room, taken_by
from proxy.store.fill import Fill, Source
from proxy.store.held import Disk, Header, Held
from proxy.store.index import Index, Seen
from proxy.store.openings import Openings

DIRECTORY = "files"
FILLS_AT_ONCE = 16
"""Downloads under way; Trello's API has connections left besides."""
TURN_S = 10.0
"""So long a file waits until it is one of them; then it passes through."""
MOST_FILLS = 1_000
"""Downloads under way and waiting; above it a file passes through."""
SPARE_BYTES = 16 * 1024 * 1024
"""What a download leaves free on the disk."""
THREADS = 8
_PASSING = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOSPC, errno.EDQUOT})
"""Errors that say nothing against the directory."""

T = TypeVar("T")


class Files:
    """Owns the directory, the downloads into it, and every descriptor of it."""

    def __init__(
        self, directory: Directory, disk_bytes: int, max_file_bytes: int, clock: Clock, log: Log
    ) -> None:
        self.room = Room(disk_bytes)
        self.works = False
        self.is_taken = False
        """Whether nothing is kept because another process uses the directory."""
        self.fills: Counter[str] = Counter()
        """Downloads that ended, by how."""
        self.damaged = 0
        self.seen = Seen()
        self.max_file_bytes = max_file_bytes
        self._clock, self._log = clock, log
        self._directory = directory
        self._blobs = Blobs(directory.path / DIRECTORY)
        self._catalog = Catalog(directory.path / DIRECTORY)
        self._rows = Index()
        self._touched: set[str] = set()
        self._growing: dict[str, Held] = {}
        self._promised: dict[Held, int] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._turn = asyncio.Semaphore(FILLS_AT_ONCE)
        self._has_failed = False
        """Whether the log was told, since it worked last."""
        self.disk = Disk(ThreadPoolExecutor(THREADS, "files"))
        self._clerk = ThreadPoolExecutor(1, "files-clerk")
        self._openings = Openings(self._blobs, self.disk)

    def __len__(self) -> int:
        """Attachments and previews that are kept."""
        return len(self._rows)

    async def start(self) -> None:
        """Take up what an earlier process kept; when that fails, go on without, and try again.

        Where there is no room at all nothing touches the disk.
        """
        if self.is_off:
            return
        try:
            self._directory.own()
            kept, here = await self._filed(self._take_up)
        except StoreError as error:
            self._fail("open", error)
            return
        self._forget()
        for blob in kept.blobs:
            if blob.digest in here:
                self.room.add(blob)
        for row in kept.files:
            if row.digest in here:
                self._rows.put(row)
        self.seen.take_in(kept.seen)
        self.works = True
        self.is_taken = self._has_failed = False
        with suppress(StoreError):
            await self._promise(0, None)

    @property
    def is_off(self) -> bool:
        """Whether no file is to be kept at all."""
        return not self.room.limit_bytes

    async def look(self) -> None:
        """As Kept.look."""
        if self.works:
            try:
                self._check()
            except StoreError as error:
                self._fail("look", error)
        if not self.works:
            await self.start()

    def _check(self) -> None:
        """StoreError unless what is open lies in this process's directory."""
        self._directory.own()
        if not (self._blobs.are_there() and self._catalog.is_there()):
            raise StoreError("removed or replaced while it was in use")

    async def stop(self) -> None:
        """Break off what is under way, and write down what was used when."""
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await self._openings.stop()
        if self.works:
            with suppress(StoreError):
                await self._filed(self._catalog.used, *self._news())
        await self._clerked(self._catalog.close)
        for threads in (self.disk.threads, self._clerk):
            threads.shutdown(wait=False)

    def holds(self, file_id: str) -> bool:
        """Whether the whole file is here, as far as is known without looking at the disk."""
        growing = self._growing.get(file_id)
        if growing is not None:
            return growing.complete
        row = self._rows.get(file_id)
        return row is not None and self.room.get(row.digest) is not None

    async def find(self, file_id: str) -> tuple[Held, FileRow | None] | None:
        """The file, retained for the caller; without a row while it arrives. None: not here."""
        while True:
            growing = self._growing.get(file_id)
            if growing is not None:
                return growing.retain(), None
            row = self._rows.get(file_id)
            blob = self.room.get(row.digest) if row else None
            if row is None or blob is None:
                return None
            held = await self._openings.open(blob)
            if held is not None:
                self.room.touch(blob, self._clock.now())
                self._touched.add(blob.digest)
                return held, row
            if self.room.get(blob.digest) is blob:
                self.damaged += 1
                self._log.event("warning", "damaged file", digest=blob.digest)
                with suppress(StoreError):
                    await self._remove([blob])

    def begin(self, file_id: str, source: Source) -> tuple[Held, bool]:
        """The file, retained, on its way from `source`; True where it was already, from another.

        StoreError where it cannot be kept: then the source is the caller's again.
        """
        growing = self._growing.get(file_id)
        if growing is not None:
            return growing.retain(), True
        if not self.works or len(self._growing) >= MOST_FILLS:
            raise NoRoom("files are not kept at the moment")
        try:
            path, fd = self._blobs.new_partial()
        except OSError as error:
            if error.errno not in _PASSING:
                self._fail("begin", StoreError(_told(error)))
            raise NoRoom(f"beginning a file: {error.strerror}") from error
        held = Held(fd, self.disk, self._idle).retain()
        fill = Fill(held, path, source, self.disk, self.max_file_bytes)
        self._growing[file_id] = held
        task = asyncio.create_task(self._fill(file_id, fill))  # noqa: TID251 — owned here, see stop
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return held.retain(), False

    async def _fill(self, file_id: str, fill: Fill) -> None:
        """A download's whole life; readers hear of its end, and so do the counters."""
        held, ended = fill.held, "failed"
        try:
            digest = await self._fetch(fill)
            await self._keep(file_id, fill, digest)
            ended = "kept"
        except TooLarge as error:
            ended = "too-large"
            held.fail(error)
        except StoreError as error:
            ended = "no-room" if isinstance(error, NoRoom) else "failed"
            self._log.event("warning", "file not kept", reason=str(error))
            self._break(held, error)
        except asyncio.CancelledError:
            self._break(held, StoreError("stopping"))
            raise
        except Exception as error:  # noqa: BLE001 — the source's, for the readers to hear
            self._break(held, error)
        finally:
            self.fills[ended] += 1
            del self._growing[file_id]
            with suppress(OSError):
                fill.path.unlink(missing_ok=True)
            held.release()

    async def _fetch(self, fill: Fill) -> str:
        """The digest of the whole; NoRoom where its turn does not come."""
        try:
            async with asyncio.timeout(TURN_S):
                await self._turn.acquire()
        except TimeoutError as error:
            raise NoRoom("too many files are on their way") from error
        try:
            return await fill.run(lambda more: self._promise(more, fill.held))
        finally:
            self._turn.release()

    @staticmethod
    def _break(held: Held, error: Exception) -> None:
        if not held.complete:  # else the readers have what is right; it only was not kept
            held.fail(error)

    async def _keep(self, file_id: str, fill: Fill, digest: str) -> None:
        """Give what arrived its place; what is there already under another name is enough."""
        header, held = fill.held.header or Header(None, ""), fill.held
        row = FileRow(file_id, digest, header.content_type)
        blob = self.room.get(digest)
        if blob is None:
            blob = await self._filed(self._commit, fill, row)
            self.room.release(self._promised.pop(held, 0))
            self.room.add(blob)
            self._openings.adopt(digest, held)
        else:
            await self._filed(self._catalog.put, blob, row)
            if self.room.get(digest) is None:
                return  # it left meanwhile: fetched again when somebody asks
        self._rows.put(row)
        await self._filed(self._catalog.used, *self._news())

    def _commit(self, fill: Fill, row: FileRow) -> Blob:
        """The bytes' name first, then the row: what has no row is swept at start."""
        self._blobs.commit(fill.path, row.digest)
        signature = signature_of(fill.held.fd)
        blob = Blob(row.digest, fill.held.written, signature[2], self._clock.now(), signature)
        try:
            self._catalog.put(blob, row)
        except sqlite3.Error:
            self._blobs.remove([row.digest])
            raise
        return blob

    async def _promise(self, more_bytes: int, held: Held | None) -> None:
        """Set room aside for `held`; NoRoom where there is none, on the disk or in the bound."""
        if self._blobs.free_bytes() < more_bytes + SPARE_BYTES:
            raise NoRoom("the disk is full")
        more_bytes = taken_by(more_bytes) if more_bytes else 0
        leaving = self.room.promise(more_bytes, self._openings.is_read)
        if leaving is None:
            raise NoRoom("attachments.disk has no room for it")
        if held is not None:
            self._promised[held] = self._promised.get(held, 0) + more_bytes
        if leaving:
            await self._remove(leaving)

    async def _remove(self, blobs: Sequence[Blob]) -> None:
        """Forget them now; the clerk removes them before it commits anything later."""
        digests = [blob.digest for blob in blobs]
        for digest in digests:
            self.room.drop(digest)
            self._rows.drop(digest)
            self._touched.discard(digest)
        try:
            await self._filed(self._catalog.drop, digests)
        finally:
            await self._filed(self._blobs.remove, digests)

    def _fail(self, action: str, error: StoreError) -> None:
        """Keep nothing until it can be opened again; readers of what is open go on."""
        if self.works or not self._has_failed:
            self._log.event("error", "file store failed", action=action, error=str(error))
        self._has_failed = True
        self.works = False
        self.is_taken = isinstance(error, DirectoryTaken)

    def _forget(self) -> None:
        self.room.clear()
        self._rows.clear()
        self._touched.clear()

    def _idle(self, held: Held) -> None:
        """The last reader of what arrived has left: what was promised to it is free again."""
        self.room.release(self._promised.pop(held, 0))
        self._openings.left(held)

    def _take_up(self) -> tuple[Kept, set[str]]:
        self._blobs.make()
        kept = self._catalog.open()
        here = self._blobs.sweep((blob.digest, blob.length) for blob in kept.blobs)
        self._catalog.drop(blob.digest for blob in kept.blobs if blob.digest not in here)
        return kept, here

    def _news(self) -> tuple[list[tuple[str, float]], set[str]]:
        touched, self._touched = self._touched, set()
        used = [(blob.digest, blob.used_at) for blob in map(self.room.get, touched) if blob]
        return used, self.seen.news()

    async def _filed(self, call: Callable[..., T], *arguments: object) -> T:
        """What the clerk did; StoreError where the disk or the catalogue fails."""
        try:
            return await self._clerked(call, *arguments)
        except (OSError, sqlite3.Error) as error:
            raise StoreError(_told(error)) from error

    async def _clerked(self, call: Callable[..., T], *arguments: object) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._clerk, call, *arguments)


def _told(error: Exception) -> str:
    """The error without a path."""
    reason = error.strerror if isinstance(error, OSError) else str(error)
    return f"{type(error).__name__}: {reason}"
