"""Kept bytes, open for reading: one descriptor for all their readers, and whether they are right.

Bytes are compared with their digest when they are opened for the first time in a process, and again
when the file looks different from what it looked like then. Long ones that look untouched are
served meanwhile: a mismatch breaks off whoever is still reading.
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

CHECKED_AT_ONCE_BYTES = 8 * 1024 * 1024
_NEVER = -1


class OpenFiles:
    """By digest; what stands here is being read, and is not evicted."""

    def __init__(self, blobs: BlobDirectory, disk: FileIo) -> None:
        self._blobs = blobs
        self._disk = disk
        self._open: dict[str, SharedFile] = {}
        self._checks: dict[SharedFile, asyncio.Task[bool]] = {}

    def is_open(self, digest: str) -> bool:
        return digest in self._open

    def add(self, digest: str, held: SharedFile) -> None:
        """These bytes were just committed, and are open already."""
        if digest not in self._open:
            self._open[digest] = held
            held.digest = digest

    def remove(self, held: SharedFile) -> None:
        """The last reader has gone."""
        if self._open.get(held.digest) is held:
            del self._open[held.digest]

    async def open(self, blob: Blob) -> SharedFile | None:
        """The bytes, retained; None where they are not those that were put there."""
        held = self._register(blob)
        if held is None:
            return None
        is_sound = False
        try:
            is_sound = await self._verify(held, blob)
        finally:
            if not is_sound:
                held.release()
        return held if is_sound else None

    async def stop(self) -> None:
        """Leave off comparing."""
        checks = list(self._checks.values())
        for check in checks:
            check.cancel()
        await asyncio.gather(*checks, return_exceptions=True)

    def _register(self, blob: Blob) -> SharedFile | None:
        try:
            held = self._open.get(blob.digest)
            if held is not None and (
                held in self._checks or file_signature(held.fd) == blob.verified_signature
            ):
                return held.retain()
            held = SharedFile(self._blobs.open(blob.digest), self._disk, self.remove).retain()
        except OSError:
            return None
        if file_signature(held.fd)[1] != blob.length:
            held.release()
            return None
        held.append_written(blob.length)
        held.finish()
        held.digest = blob.digest
        self._open[blob.digest] = held
        return held

    async def _verify(self, held: SharedFile, blob: Blob) -> bool:
        """Whether the bytes are right, as far as it pays to wait for that."""
        signature = file_signature(held.fd)
        if signature == blob.verified_signature:
            return True
        check = self._checks.get(held)
        if check is None:
            check = asyncio.create_task(self._check(held, blob))  # noqa: TID251 — see stop
            self._checks[held] = check
            check.add_done_callback(lambda _: self._checks.pop(held, None))
        looks_untouched = blob.verified_signature is None and signature[2] == blob.mtime_ns
        if looks_untouched and blob.length > CHECKED_AT_ONCE_BYTES:
            return True
        return await asyncio.shield(check)

    async def _check(self, held: SharedFile, blob: Blob) -> bool:
        held.retain()
        try:
            signature = file_signature(held.fd)
            loop = asyncio.get_running_loop()
            if await loop.run_in_executor(self._disk.threads, digest_of, held.fd) == blob.digest:
                blob.verified_signature = signature
                return True
            held.fail(ChecksumMismatch("a file on disk is not what it was"))
        except OSError as error:
            held.fail(ChecksumMismatch(f"reading a file: {error.strerror}"))
        finally:
            held.release()
        blob.verified_signature, blob.mtime_ns = (
            None,
            _NEVER,
        )  # whoever opens it next waits for the comparison
        return False
