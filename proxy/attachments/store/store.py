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

from proxy.attachments.store.blob_directory import BlobDirectory, file_signature
from proxy.attachments.store.capacity import (
    Blob,
    DiskBudget,
    blocks_for,
)
from proxy.attachments.store.catalog import (
    AttachmentIndex,
    AttachmentRow,
    Catalog,
    CatalogContents,
    SeenLinks,
)
from proxy.attachments.store.download_task import ByteSource, DownloadTask
from proxy.attachments.store.integrity import OpenFiles
from proxy.attachments.store.shared_file import (
    FileInfo,
    FileIo,
    SharedFile,
)
from proxy.errors import (
    DirectoryTaken,
    FileTooLarge,
    InsufficientSpace,
    StoreError,
)
from proxy.observability.log import Log
from proxy.runtime.clock import Clock
from proxy.runtime.directory import DirectoryLock

DIRECTORY = "files"
MAX_CONCURRENT_DOWNLOADS = 16
"""Downloads under way; Trello's API has connections left besides."""
SLOT_WAIT_S = 10.0
"""So long a file waits until it is one of them; then it passes through."""
MAX_DOWNLOADS = 1_000
"""Downloads under way and waiting; above it a file passes through."""
SPARE_BYTES = 16 * 1024 * 1024
"""What a download leaves free on the disk."""
THREADS = 8
_PASSING = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOSPC, errno.EDQUOT})
"""Errors that say nothing against the directory."""

T = TypeVar("T")


class AttachmentStore:
    """Owns the directory, the downloads into it, and every descriptor of it."""

    def __init__(
        self, directory: DirectoryLock, disk_bytes: int, max_file_bytes: int, clock: Clock, log: Log
    ) -> None:
        self.budget = DiskBudget(disk_bytes)
        self.is_working = False
        self.is_taken = False
        """Whether nothing is kept because another process uses the directory."""
        self.downloads_total: Counter[str] = Counter()
        """Downloads that ended, by how."""
        self.checksum_failures = 0
        self.seen_links = SeenLinks()
        self.max_file_bytes = max_file_bytes
        self._clock, self._log = clock, log
        self._directory = directory
        self._blobs = BlobDirectory(directory.path / DIRECTORY)
        self._catalog = Catalog(directory.path / DIRECTORY)
        self._rows = AttachmentIndex()
        self._touched: set[str] = set()
        self._downloads: dict[str, SharedFile] = {}
        self._reserved: dict[SharedFile, int] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._download_slots = asyncio.Semaphore(MAX_CONCURRENT_DOWNLOADS)
        self._has_failed = False
        """Whether the log was told, since it worked last."""
        self.disk = FileIo(ThreadPoolExecutor(THREADS, "files"))
        self._writer_thread = ThreadPoolExecutor(1, "files-clerk")
        self._open_files = OpenFiles(self._blobs, self.disk)

    def __len__(self) -> int:
        """Attachments and previews that are kept."""
        return len(self._rows)

    async def start(self) -> None:
        """Take up what an earlier process kept; when that fails, go on without, and try again.

        Where there is no room at all nothing touches the disk.
        """
        if self.is_disabled:
            return
        try:
            self._directory.own()
            kept, here = await self._record(self._recover)
        except StoreError as error:
            self._fail("open", error)
            return
        self._forget()
        for blob in kept.blobs:
            if blob.digest in here:
                self.budget.add(blob)
        for row in kept.rows:
            if row.digest in here:
                self._rows.put(row)
        self.seen_links.load(kept.seen_links)
        self.is_working = True
        self.is_taken = self._has_failed = False
        with suppress(StoreError):
            await self._reserve(0, None)

    @property
    def is_disabled(self) -> bool:
        """Whether no file is to be kept at all."""
        return not self.budget.limit_bytes

    async def check_directory(self) -> None:
        """As Kept.look."""
        if self.is_working:
            try:
                self._check()
            except StoreError as error:
                self._fail("look", error)
        if not self.is_working:
            await self.start()

    def _check(self) -> None:
        """StoreError unless what is open lies in this process's directory."""
        self._directory.own()
        if not (self._blobs.is_intact() and self._catalog.is_intact()):
            raise StoreError("removed or replaced while it was in use")

    async def stop(self) -> None:
        """Break off what is under way, and write down what was used when."""
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await self._open_files.stop()
        if self.is_working:
            with suppress(StoreError):
                await self._record(self._catalog.save_usage, *self._pending_metadata())
        await self._in_writer_thread(self._catalog.close)
        for threads in (self.disk.threads, self._writer_thread):
            threads.shutdown(wait=False)

    def contains(self, file_id: str) -> bool:
        """Whether the whole file is here, as far as is known without looking at the disk."""
        growing = self._downloads.get(file_id)
        if growing is not None:
            return growing.complete
        row = self._rows.get(file_id)
        return row is not None and self.budget.get(row.digest) is not None

    async def open(self, file_id: str) -> tuple[SharedFile, AttachmentRow | None] | None:
        """The file, retained for the caller; without a row while it arrives. None: not here."""
        while True:
            growing = self._downloads.get(file_id)
            if growing is not None:
                return growing.retain(), None
            row = self._rows.get(file_id)
            blob = self.budget.get(row.digest) if row else None
            if row is None or blob is None:
                return None
            held = await self._open_files.open(blob)
            if held is not None:
                self.budget.touch(blob, self._clock.now())
                self._touched.add(blob.digest)
                return held, row
            if self.budget.get(blob.digest) is blob:
                self.checksum_failures += 1
                self._log.event("warning", "attachment checksum failure", digest=blob.digest)
                with suppress(StoreError):
                    await self._remove([blob])

    def start_download(self, file_id: str, source: ByteSource) -> tuple[SharedFile, bool]:
        """The file, retained, on its way from `source`; True where it was already, from another.

        StoreError where it cannot be kept: then the source is the caller's again.
        """
        growing = self._downloads.get(file_id)
        if growing is not None:
            return growing.retain(), True
        if not self.is_working or len(self._downloads) >= MAX_DOWNLOADS:
            raise InsufficientSpace("files are not kept at the moment")
        try:
            path, fd = self._blobs.new_partial()
        except OSError as error:
            if error.errno not in _PASSING:
                self._fail("begin", StoreError(_log_fields(error)))
            raise InsufficientSpace(f"beginning a file: {error.strerror}") from error
        held = SharedFile(fd, self.disk, self._on_last_reader).retain()
        fill = DownloadTask(held, path, source, self.disk, self.max_file_bytes)
        self._downloads[file_id] = held
        task = asyncio.create_task(self._run_download(file_id, fill))  # noqa: TID251 — owned here, see stop
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return held.retain(), False

    async def _run_download(self, file_id: str, fill: DownloadTask) -> None:
        """A download's whole life; readers hear of its end, and so do the counters."""
        held, ended = fill.file, "failed"
        try:
            digest = await self._fetch(fill)
            await self._store(file_id, fill, digest)
            ended = "stored"
        except FileTooLarge as error:
            ended = "too-large"
            held.fail(error)
        except StoreError as error:
            ended = "insufficient-space" if isinstance(error, InsufficientSpace) else "failed"
            self._log.event("warning", "attachment not stored", reason=str(error))
            self._abort(held, error)
        except asyncio.CancelledError:
            self._abort(held, StoreError("stopping"))
            raise
        except Exception as error:  # noqa: BLE001 — the source's, for the readers to hear
            self._abort(held, error)
        finally:
            self.downloads_total[ended] += 1
            del self._downloads[file_id]
            with suppress(OSError):
                fill.path.unlink(missing_ok=True)
            held.release()

    async def _fetch(self, fill: DownloadTask) -> str:
        """The digest of the whole; NoRoom where its turn does not come."""
        try:
            async with asyncio.timeout(SLOT_WAIT_S):
                await self._download_slots.acquire()
        except TimeoutError as error:
            raise InsufficientSpace("too many files are on their way") from error
        try:
            return await fill.run(lambda more: self._reserve(more, fill.file))
        finally:
            self._download_slots.release()

    @staticmethod
    def _abort(held: SharedFile, error: Exception) -> None:
        if not held.complete:  # else the readers have what is right; it only was not kept
            held.fail(error)

    async def _store(self, file_id: str, fill: DownloadTask, digest: str) -> None:
        """Give what arrived its place; what is there already under another name is enough."""
        header, held = fill.file.info or FileInfo(None, ""), fill.file
        row = AttachmentRow(file_id, digest, header.content_type)
        blob = self.budget.get(digest)
        if blob is None:
            blob = await self._record(self._commit, fill, row)
            self.budget.release(self._reserved.pop(held, 0))
            self.budget.add(blob)
            self._open_files.add(digest, held)
        else:
            await self._record(self._catalog.put, blob, row)
            if self.budget.get(digest) is None:
                return  # it left meanwhile: fetched again when somebody asks
        self._rows.put(row)
        await self._record(self._catalog.save_usage, *self._pending_metadata())

    def _commit(self, fill: DownloadTask, row: AttachmentRow) -> Blob:
        """The bytes' name first, then the row: what has no row is swept at start."""
        self._blobs.commit(fill.path, row.digest)
        signature = file_signature(fill.file.fd)
        blob = Blob(row.digest, fill.file.written, signature[2], self._clock.now(), signature)
        try:
            self._catalog.put(blob, row)
        except sqlite3.Error:
            self._blobs.remove([row.digest])
            raise
        return blob

    async def _reserve(self, more_bytes: int, held: SharedFile | None) -> None:
        """Set room aside for `held`; NoRoom where there is none, on the disk or in the bound."""
        if self._blobs.free_bytes() < more_bytes + SPARE_BYTES:
            raise InsufficientSpace("the disk is full")
        more_bytes = blocks_for(more_bytes) if more_bytes else 0
        leaving = self.budget.reserve(more_bytes, self._open_files.is_open)
        if leaving is None:
            raise InsufficientSpace("attachments.disk has no room for it")
        if held is not None:
            self._reserved[held] = self._reserved.get(held, 0) + more_bytes
        if leaving:
            await self._remove(leaving)

    async def _remove(self, blobs: Sequence[Blob]) -> None:
        """Forget them now; the clerk removes them before it commits anything later."""
        digests = [blob.digest for blob in blobs]
        for digest in digests:
            self.budget.drop(digest)
            self._rows.drop(digest)
            self._touched.discard(digest)
        try:
            await self._record(self._catalog.drop, digests)
        finally:
            await self._record(self._blobs.remove, digests)

    def _fail(self, action: str, error: StoreError) -> None:
        """Keep nothing until it can be opened again; readers of what is open go on."""
        if self.is_working or not self._has_failed:
            self._log.event("error", "attachment store failed", action=action, error=str(error))
        self._has_failed = True
        self.is_working = False
        self.is_taken = isinstance(error, DirectoryTaken)

    def _forget(self) -> None:
        self.budget.clear()
        self._rows.clear()
        self._touched.clear()

    def _on_last_reader(self, held: SharedFile) -> None:
        """The last reader of what arrived has left: what was promised to it is free again."""
        self.budget.release(self._reserved.pop(held, 0))
        self._open_files.remove(held)

    def _recover(self) -> tuple[CatalogContents, set[str]]:
        self._blobs.create()
        kept = self._catalog.open()
        here = self._blobs.remove_orphans((blob.digest, blob.length) for blob in kept.blobs)
        self._catalog.drop(blob.digest for blob in kept.blobs if blob.digest not in here)
        return kept, here

    def _pending_metadata(self) -> tuple[list[tuple[str, float]], set[str]]:
        touched, self._touched = self._touched, set()
        used = [(blob.digest, blob.used_at) for blob in map(self.budget.get, touched) if blob]
        return used, self.seen_links.take_pending()

    async def _record(self, call: Callable[..., T], *arguments: object) -> T:
        """What the clerk did; StoreError where the disk or the catalogue fails."""
        try:
            return await self._in_writer_thread(call, *arguments)
        except (OSError, sqlite3.Error) as error:
            raise StoreError(_log_fields(error)) from error

    async def _in_writer_thread(self, call: Callable[..., T], *arguments: object) -> T:
        return await asyncio.get_running_loop().run_in_executor(
            self._writer_thread, call, *arguments
        )


def _log_fields(error: Exception) -> str:
    """The error without a path."""
    reason = error.strerror if isinstance(error, OSError) else str(error)
    return f"{type(error).__name__}: {reason}"
