"""Attachment store: stored files and downloads in progress, one download per file.

A file is named after its SHA-256, so that the same bytes on twelve cards are stored once; the
catalogue has the attachments. State lives in memory and changes in synchronous steps; a single
writer thread commits and removes files in the order of those steps (D20).
"""

import asyncio
import errno
import sqlite3
from collections import Counter
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import aclosing, suppress
from typing import NamedTuple, TypeVar

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
from proxy.attachments.store.download_task import ByteSource, Copies, DownloadTask
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
from proxy.runtime.database_file import is_damage
from proxy.runtime.directory import DirectoryLock
from proxy.runtime.tasks import TaskSet

DIRECTORY = "files"
MAX_CONCURRENT_DOWNLOADS = 16
"""Fewer than the connections to Trello's API."""
SLOT_WAIT_S = 10.0
"""Longest wait for one of them; then the file is streamed to its client only."""
MAX_DOWNLOADS = 1_000
"""Downloads in progress and waiting; beyond, a file is streamed to its client only."""
SPARE_BYTES = 16 * 1024 * 1024
"""Free disk space that downloads do not use."""
THREADS = 8
_TEMPORARY = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOSPC, errno.EDQUOT})
"""Errors after which the directory is still usable."""

T = TypeVar("T")


class FoundFile(NamedTuple):
    """A file of the store, retained for the caller."""

    file: SharedFile
    row: AttachmentRow | None
    """None while the file is being downloaded."""


class AttachmentStore:
    """Owns the directory, the downloads to it, and all its descriptors."""

    def __init__(
        self, directory: DirectoryLock, disk_bytes: int, max_file_bytes: int, clock: Clock, log: Log
    ) -> None:
        self.budget = DiskBudget(disk_bytes)
        self.is_working = False
        self.is_taken = False
        """Whether another process owns the directory."""
        self.downloads_total: Counter[str] = Counter()
        """Finished downloads by result."""
        self.checksum_failures = 0
        self.seen_links = SeenLinks()
        self.max_file_bytes = max_file_bytes
        self.on_stored: Callable[[AttachmentRow, int], None] = lambda *_: None
        """Called with a row that was stored, and the length of its file."""
        self.copies_of: Callable[[str, int | None], Copies | None] = lambda *_: None
        """What other nodes of a fleet have of a file, by its id and length, if that is known."""
        self._clock, self._log = clock, log
        self.directory = directory
        self._blobs = BlobDirectory(directory.path / DIRECTORY)
        self._catalog = Catalog(directory.path / DIRECTORY)
        self._rows = AttachmentIndex()
        self._touched: set[str] = set()
        self._downloads: dict[str, SharedFile] = {}
        self._reserved: dict[SharedFile, int] = {}
        self._tasks = TaskSet()
        self._download_slots = asyncio.Semaphore(MAX_CONCURRENT_DOWNLOADS)
        self._has_failed = False
        """Whether a failure was logged since the store worked last."""
        self.file_io = FileIo(ThreadPoolExecutor(THREADS, "files"))
        self._writer_thread = ThreadPoolExecutor(1, "files-writer")
        self._open_files = OpenFiles(self._blobs, self.file_io)

    def __len__(self) -> int:
        """The number of stored attachments and previews."""
        return len(self._rows)

    async def start(self) -> None:
        """Open the store; after a failure, continue without it until `check_directory`.

        A disabled store does not touch the disk.
        """
        if self.is_disabled:
            return
        try:
            self.directory.own()
            contents, present = await self._write(self._recover)
        except StoreError as error:
            self._fail("open", error)
            return
        self._clear()
        for blob in contents.blobs:
            if blob.digest in present:
                self.budget.add(blob)
        for row in contents.rows:
            if row.digest in present:
                self._rows.put(row)
        self.seen_links.load(contents.seen_links)
        self.is_working = True
        self.is_taken = self._has_failed = False
        with suppress(StoreError):
            await self._reserve(0, None)

    @property
    def is_disabled(self) -> bool:
        """Whether no file may be stored."""
        return not self.budget.limit_bytes

    async def check_directory(self) -> None:
        """Open the store again if its directory was removed or replaced, or if it has failed."""
        if self.is_working:
            try:
                self._check()
            except StoreError as error:
                self._fail("check", error)
        if not self.is_working:
            await self.start()

    def _check(self) -> None:
        """StoreError unless the open files are those in the directory, which is ours."""
        self.directory.own()
        if not (self._blobs.is_intact() and self._catalog.is_intact()):
            raise StoreError("removed or replaced while it was in use")

    async def stop(self) -> None:
        """Cancel all downloads, and save when files were last used."""
        await self.end_downloads()
        await self._open_files.stop()
        if self.is_working:
            with suppress(StoreError):
                await self._write(self._catalog.save_usage, *self._pending_metadata())
        await self._in_writer_thread(self._catalog.close)
        for threads in (self.file_io.threads, self._writer_thread):
            threads.shutdown(wait=False)

    async def end_downloads(self) -> None:
        """Cancel all downloads: their sources are not to be used any more."""
        await self._tasks.stop()

    def lacks(self, file_id: str) -> bool:
        """Whether the file is, as far as is known, neither stored nor on its way."""
        return file_id not in self._downloads and self._rows.get(file_id) is None

    def contains(self, file_id: str) -> bool:
        """Whether the complete file is stored, as far as is known without reading the disk."""
        download = self._downloads.get(file_id)
        if download is not None:
            return download.complete
        row = self._rows.get(file_id)
        return row is not None and self.budget.get(row.digest) is not None

    async def open(self, file_id: str) -> FoundFile | None:
        """The stored file, or its download in progress; None if there is neither."""
        while True:
            download = self._downloads.get(file_id)
            if download is not None:
                return FoundFile(download.retain(), None)
            row = self._rows.get(file_id)
            blob = self.budget.get(row.digest) if row else None
            if row is None or blob is None:
                return None
            file = await self._open_files.open(blob)
            if file is not None:
                self._note_use(blob)
                return FoundFile(file, row)
            if self.budget.get(blob.digest) is blob:
                self.checksum_failures += 1
                self._log.event("warning", "attachment checksum failure", digest=blob.digest)
                with suppress(StoreError):
                    await self._remove([blob])

    def open_verified(self, file_id: str) -> tuple[SharedFile, AttachmentRow] | None:
        """The stored file, retained; None if that takes time, or it is not stored."""
        row = self._rows.get(file_id)
        blob = self.budget.get(row.digest) if row and file_id not in self._downloads else None
        file = self._open_files.open_verified(blob) if blob else None
        if row is None or blob is None or file is None:
            return None
        self._note_use(blob)
        return file, row

    def _note_use(self, blob: Blob) -> None:
        self.budget.touch(blob, self._clock.now())
        self._touched.add(blob.digest)

    def start_download(
        self, file_id: str, source: ByteSource, copies: Copies | None = None
    ) -> tuple[SharedFile, bool]:
        """The file as it arrives from `source`, retained; True if it arrives from another already.

        StoreError if it cannot be stored; `source` is not opened then. `copies`: tried before.
        """
        download = self._downloads.get(file_id)
        if download is not None:
            return download.retain(), True
        if not self.is_working or len(self._downloads) >= MAX_DOWNLOADS:
            raise InsufficientSpace("files are not kept at the moment")
        try:
            path, fd = self._blobs.new_partial()
        except OSError as error:
            if error.errno not in _TEMPORARY:
                self._fail("begin", StoreError(_reason(error)))
            raise InsufficientSpace(f"beginning a file: {error.strerror}") from error
        file = SharedFile(fd, self.file_io, self._on_last_reader).retain()
        task = DownloadTask(file, path, source, self.file_io, self.max_file_bytes, copies)
        self._downloads[file_id] = file
        self._tasks.spawn(self._run_download(file_id, task))
        return file.retain(), False

    async def _run_download(self, file_id: str, task: DownloadTask) -> None:
        """Download and store a file; its readers and the metrics learn the result."""
        file, result = task.file, "failed"
        try:
            digest = await self._download(task)
            await self._store(file_id, task, digest)
            result = "stored"
        except FileTooLarge as error:
            result = "too-large"
            file.fail(error)
        except StoreError as error:
            result = "insufficient-space" if isinstance(error, InsufficientSpace) else "failed"
            self._log.event("warning", "attachment not stored", reason=str(error))
            self._abort(file, error)
        except asyncio.CancelledError:
            self._abort(file, StoreError("stopping"))
            raise
        except Exception as error:  # noqa: BLE001 — of the source, raised to the readers
            self._abort(file, error)
        finally:
            self.downloads_total[result] += 1
            del self._downloads[file_id]
            with suppress(OSError):
                task.path.unlink(missing_ok=True)
            file.release()

    async def _download(self, task: DownloadTask) -> str:
        """The digest of the complete file; InsufficientSpace if it waits for too long."""
        async with aclosing(task):
            try:
                async with asyncio.timeout(SLOT_WAIT_S):
                    await self._download_slots.acquire()
            except TimeoutError as error:
                raise InsufficientSpace("too many files are on their way") from error
            try:
                return await task.run(lambda more: self._reserve(more, task.file))
            finally:
                self._download_slots.release()

    @staticmethod
    def _abort(file: SharedFile, error: Exception) -> None:
        if not file.complete:  # else its readers have all bytes; it only was not stored
            file.fail(error)

    async def _store(self, file_id: str, task: DownloadTask, digest: str) -> None:
        """Commit the file; if its bytes are stored already, only its row."""
        info, file = task.file.info or FileInfo(None, ""), task.file
        row = AttachmentRow(file_id, digest, info.content_type)
        blob = self.budget.get(digest)
        if blob is None:
            blob = await self._write(self._commit, task, row)
            self.budget.release(self._reserved.pop(file, 0))
            self.budget.add(blob)
            self._open_files.add(digest, file)
        else:
            await self._write(self._catalog.put, blob, row)
            if self.budget.get(digest) is None:
                return  # evicted meanwhile: the next request downloads it again
        self._rows.put(row)
        self.on_stored(row, blob.length)
        await self._write(self._catalog.save_usage, *self._pending_metadata())

    def _commit(self, task: DownloadTask, row: AttachmentRow) -> Blob:
        """Rename the file first, then add its row: a blob without a row is removed at start."""
        self._blobs.commit(task.path, row.digest)
        signature = file_signature(task.file.fd)
        blob = Blob(row.digest, task.file.written, signature[2], self._clock.now(), signature)
        try:
            self._catalog.put(blob, row)
        except sqlite3.Error:
            self._blobs.remove([row.digest])
            raise
        return blob

    async def _reserve(self, more_bytes: int, file: SharedFile | None) -> None:
        """Reserve space for `file`; InsufficientSpace on the disk or in the budget."""
        if self._blobs.free_bytes() < more_bytes + SPARE_BYTES:
            raise InsufficientSpace("the disk is full")
        more_bytes = blocks_for(more_bytes) if more_bytes else 0
        evicted = self.budget.reserve(more_bytes, self._open_files.is_open)
        if evicted is None:
            raise InsufficientSpace("attachments.disk has no room for it")
        if file is not None:
            self._reserved[file] = self._reserved.get(file, 0) + more_bytes
        if evicted:
            await self._remove(evicted)

    async def _remove(self, blobs: Sequence[Blob]) -> None:
        """Drop the blobs now; the writer thread removes them before it commits anything later."""
        digests = [blob.digest for blob in blobs]
        for digest in digests:
            self.budget.drop(digest)
            self._rows.drop(digest)
            self._touched.discard(digest)
        try:
            await self._write(self._catalog.drop, digests)
        finally:
            await self._write(self._blobs.remove, digests)

    def _fail(self, action: str, error: StoreError) -> None:
        """Store nothing until the store is opened again; readers of open files continue."""
        if self.is_working or not self._has_failed:
            self._log.event("error", "attachment store failed", action=action, error=str(error))
        self._has_failed = True
        self.is_working = False
        self.is_taken = isinstance(error, DirectoryTaken)

    def _clear(self) -> None:
        self.budget.clear()
        self._rows.clear()
        self._touched.clear()

    def _on_last_reader(self, file: SharedFile) -> None:
        """Release the reservation when the last reader of an uncommitted download closes it."""
        self.budget.release(self._reserved.pop(file, 0))
        self._open_files.remove(file)

    def _recover(self) -> tuple[CatalogContents, set[str]]:
        """The catalogue, and the digests of its blobs that are on disk; removes all others."""
        self._blobs.create()
        contents = self._catalog.open()
        present = self._blobs.remove_orphans((blob.digest, blob.length) for blob in contents.blobs)
        self._catalog.drop(blob.digest for blob in contents.blobs if blob.digest not in present)
        return contents, present

    def _pending_metadata(self) -> tuple[list[tuple[str, float]], set[str]]:
        touched, self._touched = self._touched, set()
        used = [(blob.digest, blob.used_at) for blob in map(self.budget.get, touched) if blob]
        return used, self.seen_links.take_pending()

    async def _write(self, call: Callable[..., T], *arguments: object) -> T:
        """The result of a call in the writer thread; StoreError if disk or catalogue fails.

        A damaged catalogue is a failure of the store: it is set aside when it is opened again.
        """
        try:
            return await self._in_writer_thread(call, *arguments)
        except (OSError, sqlite3.Error) as error:
            failure = StoreError(_reason(error))
            if is_damage(error):
                self._fail("write", failure)
            raise failure from error

    async def _in_writer_thread(self, call: Callable[..., T], *arguments: object) -> T:
        return await asyncio.get_running_loop().run_in_executor(
            self._writer_thread, call, *arguments
        )


def _reason(error: Exception) -> str:
    """The error without a path."""
    reason = error.strerror if isinstance(error, OSError) else str(error)
    return f"{type(error).__name__}: {reason}"
