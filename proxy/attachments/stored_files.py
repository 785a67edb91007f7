"""Stored files: opened by a process that sends them and does not own their directory (D74)."""

import asyncio
import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NoReturn

from proxy.attachments.body import AttachmentBody
from proxy.attachments.store.blob_directory import BlobDirectory, file_signature
from proxy.attachments.store.shared_file import FileInfo, FileIo, SharedFile, StoredRange
from proxy.attachments.store.store import DIRECTORY
from proxy.errors import IncompleteResponse

THREADS = 4
"""To open files, and to read what is not in the page cache."""


class StoredFiles:
    """Opens blobs of which the owner of the directory says that their bytes are right."""

    def __init__(self, cache_directory: Path) -> None:
        self.file_io = FileIo(ThreadPoolExecutor(THREADS, "files"))
        self._blobs = BlobDirectory(cache_directory / DIRECTORY)

    async def open(self, given: StoredRange) -> AttachmentBody | None:
        """The range of the blob; None if it is not there any more, or is another file.

        It stays readable when it is evicted meanwhile.
        """
        loop = asyncio.get_running_loop()
        fd = await loop.run_in_executor(self.file_io.threads, self._open, given)
        if fd is None:
            return None
        file = SharedFile(fd, self.file_io, _nothing).retain()
        file.append_written(given.signature[1])
        file.finish()
        body = AttachmentBody(_no_source, FileInfo(given.signature[1], ""), file=file)
        body.set_range(given.start, given.end)
        return body

    async def stop(self) -> None:
        """End the threads."""
        self.file_io.threads.shutdown(wait=False)

    def _open(self, given: StoredRange) -> int | None:
        try:
            fd = self._blobs.open(given.digest)
        except OSError:
            return None
        if file_signature(fd) == given.signature:
            return fd
        os.close(fd)
        return None


def _no_source(_: int) -> NoReturn:
    raise IncompleteResponse("A kept file cannot be read; ask again.")


def _nothing(_: SharedFile) -> None:
    return None
