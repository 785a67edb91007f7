"""Kept bytes, open for reading: one descriptor for all their readers, and whether they are right.

Bytes are compared with their digest when they are opened for the first time in a process, and again
when the file looks different from what it looked like then. Long ones that look untouched are
served meanwhile: a mismatch breaks off whoever is still reading.
"""

import asyncio

from proxy.errors import Damaged
from proxy.store.blobs import Blobs, digest_of, signature_of
from proxy.store.eviction import Blob
from proxy.store.held import Disk, Held

CHECKED_AT_ONCE_BYTES = 8 * 1024 * 1024
_NEVER = -1


class Openings:
    """By digest; what stands here is being read, and is not evicted."""

    def __init__(self, blobs: Blobs, disk: Disk) -> None:
        self._blobs = blobs
        self._disk = disk
        self._open: dict[str, Held] = {}
        self._checks: dict[Held, asyncio.Task[bool]] = {}

    def is_read(self, digest: str) -> bool:
        return digest in self._open

    def adopt(self, digest: str, held: Held) -> None:
        """These bytes were just committed, and are open already."""
        if digest not in self._open:
            self._open[digest] = held
            held.digest = digest

    def left(self, held: Held) -> None:
        """The last reader has gone."""
        if self._open.get(held.digest) is held:
            del self._open[held.digest]

    async def open(self, blob: Blob) -> Held | None:
        """The bytes, retained; None where they are not those that were put there."""
        held = self._opened(blob)
        if held is None:
            return None
        is_sound = False
        try:
            is_sound = await self._is_sound(held, blob)
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

    def _opened(self, blob: Blob) -> Held | None:
        try:
            held = self._open.get(blob.digest)
            if held is not None and (held in self._checks or signature_of(held.fd) == blob.sound):
                return held.retain()
            held = Held(self._blobs.open(blob.digest), self._disk, self.left).retain()
        except OSError:
            return None
        if signature_of(held.fd)[1] != blob.length:
            held.release()
            return None
        held.grow(blob.length)
        held.finish()
        held.digest = blob.digest
        self._open[blob.digest] = held
        return held

    async def _is_sound(self, held: Held, blob: Blob) -> bool:
        """Whether the bytes are right, as far as it pays to wait for that."""
        signature = signature_of(held.fd)
        if signature == blob.sound:
            return True
        check = self._checks.get(held)
        if check is None:
            check = asyncio.create_task(self._check(held, blob))  # noqa: TID251 — see stop
            self._checks[held] = check
            check.add_done_callback(lambda _: self._checks.pop(held, None))
        looks_untouched = blob.sound is None and signature[2] == blob.mtime_ns
        if looks_untouched and blob.length > CHECKED_AT_ONCE_BYTES:
            return True
        return await asyncio.shield(check)

    async def _check(self, held: Held, blob: Blob) -> bool:
        held.retain()
        try:
            signature = signature_of(held.fd)
            loop = asyncio.get_running_loop()
            if await loop.run_in_executor(self._disk.threads, digest_of, held.fd) == blob.digest:
                blob.sound = signature
                return True
            held.fail(Damaged("a file on disk is not what it was"))
        except OSError as error:
            held.fail(Damaged(f"reading a file: {error.strerror}"))
        finally:
            held.release()
        blob.sound, blob.mtime_ns = None, _NEVER  # whoever opens it next waits for the comparison
        return False
