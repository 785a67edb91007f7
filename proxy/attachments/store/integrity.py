"""Open blobs: one descriptor for all readers of a blob, and whether its bytes are right.

A blob is compared with its digest when it is opened for the first time in a process, and again when
its file's signature has changed. A long blob that looks unchanged is served meanwhile: a mismatch
ends its readers with an error.
"""

import asyncio

from proxy.attachments.store.blob_directory import (
    BlobDirectory,
    digest_of,
    file_signature,
)
from proxy.attachments.store.capacity import Blob
from proxy.attachments.store.shared_file import FileIo, SharedFile
from proxy.errors import ChecksumMismatch
from proxy.runtime.tasks import TaskSet

VERIFY_FIRST_BYTES = 8 * 1024 * 1024
"""Readers of a blob up to this size wait for its verification."""
_NEVER = -1


class OpenFiles:
    """Open blobs by digest; they are being read, and are not evicted."""

    def __init__(self, blobs: BlobDirectory, file_io: FileIo) -> None:
        self._blobs = blobs
        self._file_io = file_io
        self._open: dict[str, SharedFile] = {}
        self._checks: dict[SharedFile, asyncio.Task[bool]] = {}
        self._tasks = TaskSet()

    def is_open(self, digest: str) -> bool:
        return digest in self._open

    def add(self, digest: str, file: SharedFile) -> None:
        """Add a blob that was just committed, and is open already."""
        if digest not in self._open:
            self._open[digest] = file
            file.digest = digest

    def remove(self, file: SharedFile) -> None:
        """Remove a file that its last reader has closed."""
        if self._open.get(file.digest) is file:
            del self._open[file.digest]

    async def open(self, blob: Blob) -> SharedFile | None:
        """The blob, retained for the caller; None if it is missing or has other bytes."""
        file = self._retain(blob)
        if file is None:
            return None
        is_sound = False
        try:
            is_sound = await self._verify(file, blob)
        finally:
            if not is_sound:
                file.release()
        return file if is_sound else None

    def open_verified(self, blob: Blob) -> SharedFile | None:
        """The blob, retained for the caller, if it has not changed since it was verified."""
        file = self._retain(blob)
        if file is None:
            return None
        if self._is_verified(file, blob):
            return file
        file.release()
        return None

    async def stop(self) -> None:
        """Cancel all verifications."""
        await self._tasks.stop()

    def _retain(self, blob: Blob) -> SharedFile | None:
        try:
            file = self._open.get(blob.digest)
            if file is not None and (
                file in self._checks or file_signature(file.fd) == blob.verified_signature
            ):
                return file.retain()
            file = SharedFile(self._blobs.open(blob.digest), self._file_io, self.remove).retain()
        except OSError:
            return None
        if file_signature(file.fd)[1] != blob.length:
            file.release()
            return None
        file.append_written(blob.length)
        file.finish()
        file.digest = blob.digest
        self._open[blob.digest] = file
        return file

    async def _verify(self, file: SharedFile, blob: Blob) -> bool:
        """Whether the bytes are right; a long blob that looks unchanged is not waited for."""
        if self._is_verified(file, blob):
            return True
        signature = file_signature(file.fd)
        check = self._checks.get(file)
        if check is None:
            check = self._checks[file] = self._tasks.spawn(self._check(file, blob))
            check.add_done_callback(lambda _: self._checks.pop(file, None))
        looks_unchanged = blob.verified_signature is None and signature[2] == blob.mtime_ns
        if looks_unchanged and blob.length > VERIFY_FIRST_BYTES:
            return True
        return await asyncio.shield(check)

    @staticmethod
    def _is_verified(file: SharedFile, blob: Blob) -> bool:
        signature = file_signature(file.fd)
        if signature != blob.verified_signature:
            return False
        file.signature = signature
        return True

    async def _check(self, file: SharedFile, blob: Blob) -> bool:
        file.retain()
        try:
            signature = file_signature(file.fd)
            loop = asyncio.get_running_loop()
            digest = await loop.run_in_executor(self._file_io.threads, digest_of, file.fd)
            if digest == blob.digest:
                blob.verified_signature = signature
                return True
            file.fail(ChecksumMismatch("a file on disk is not what it was"))
        except OSError as error:
            file.fail(ChecksumMismatch(f"reading a file: {error.strerror}"))
        finally:
            file.release()
        # The next reader waits for the comparison.
        blob.verified_signature, blob.mtime_ns = None, _NEVER
        return False
