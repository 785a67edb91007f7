"""A download whose digest is known: its last bytes are given out once all of them are right."""

import asyncio
import hashlib
import os
from collections.abc import AsyncGenerator, AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest

from proxy.attachments.store import download_task
from proxy.attachments.store.download_task import ByteSource, DownloadTask, SourceLost
from proxy.attachments.store.shared_file import FileInfo, FileIo, FileOffer, SharedFile
from proxy.errors import ChecksumMismatch

CHUNKS = (b"first ", b"second ", b"last")
BODY = b"".join(CHUNKS)
OFFER = FileOffer("id", 10, "image/png", 2, 9, digest="a")


class Source:
    """Gives CHUNKS; a ByteSource."""

    def __init__(self, digest: str) -> None:
        self.digest = digest
        self.info: FileInfo | None = FileInfo(len(BODY), "image/png")

    async def open(self) -> FileInfo:
        return FileInfo(len(BODY), "image/png")

    async def __aiter__(self) -> AsyncIterator[bytes]:
        for chunk in CHUNKS:
            yield chunk

    async def aclose(self) -> None:
        pass


class Lost(Source):
    """Ends early."""

    async def __aiter__(self) -> AsyncIterator[bytes]:
        yield CHUNKS[0]
        raise SourceLost("gone")


class Silent(Source):
    """Gives nothing more after its first bytes, which are more than there are."""

    async def __aiter__(self) -> AsyncIterator[bytes]:
        yield BODY * 2
        await asyncio.Event().wait()


async def copies_of(*sources: Source) -> AsyncGenerator[ByteSource, None]:
    for each in sources:
        yield each


async def reserve(_: int) -> None:
    pass


@pytest.mark.parametrize("wanted", [BODY, b"other"])
async def test_no_reader_gets_all_of_other_bytes(tmp_path: Path, wanted: bytes) -> None:
    digest = hashlib.sha256(wanted).hexdigest()
    with ThreadPoolExecutor(2) as threads:
        file_io, path = FileIo(threads), tmp_path / "file"
        file = SharedFile(os.open(path, os.O_RDWR | os.O_CREAT), file_io, lambda _: None).retain()
        task = DownloadTask(file, path, Source(digest), file_io, len(BODY))
        if wanted == BODY:
            assert await task.run(reserve) == digest
            assert (bytes(await file.read(0)), file.complete) == (BODY, True)
        else:
            with pytest.raises(ChecksumMismatch):
                await task.run(reserve)
            assert (file.written, file.complete) == (len(BODY) - len(CHUNKS[-1]), False)
        await asyncio.sleep(0)
        file.release()


DIGEST = hashlib.sha256(BODY).hexdigest()
OTHER_DIGEST = hashlib.sha256(b"other").hexdigest()


@pytest.mark.parametrize(
    ("copies", "is_copied"),
    [
        ([Source(DIGEST)], True),
        ([Lost(DIGEST), Source(DIGEST)], True),
        ([Source(OTHER_DIGEST), Source(DIGEST)], True),
        ([], False),
        ([Source(OTHER_DIGEST)], False),
        ([Lost(DIGEST)], False),
        ([Silent(DIGEST), Source(DIGEST)], False),
    ],
)
async def test_a_copy_elsewhere_is_used_if_it_is_whole_and_right_in_time(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    copies: list[Source],
    is_copied: bool,  # noqa: FBT001 - of the table
) -> None:
    monkeypatch.setattr(download_task, "COPY_S", 0.1)
    with ThreadPoolExecutor(2) as threads:
        file_io, path = FileIo(threads), tmp_path / "file"
        file = SharedFile(os.open(path, os.O_RDWR | os.O_CREAT), file_io, lambda _: None).retain()
        given = copies_of(*copies)
        task = DownloadTask(file, path, Source(""), file_io, 2 * len(BODY), given)
        reading = asyncio.ensure_future(file.read(0, 2 * len(BODY)))
        assert await task.run(reserve) == DIGEST
        assert BODY.startswith(bytes(await reading))
        assert (file.was_copied, path.read_bytes()) == (is_copied, BODY)
        file.release()


@pytest.mark.parametrize(
    "other",
    [
        replace(OFFER, digest="b"),
        replace(OFFER, id="other"),
        replace(OFFER, length=11),
        replace(OFFER, start=3),
        replace(OFFER, end=10),
    ],
)
def test_a_file_is_not_continued_with_another(other: FileOffer) -> None:
    assert not OFFER.is_continued_by(other)


def test_a_file_is_continued_with_the_same_one_though_its_digest_is_not_known() -> None:
    assert OFFER.is_continued_by(replace(OFFER, written=10))
    assert OFFER.is_continued_by(replace(OFFER, digest=""))


def test_a_file_of_unknown_length_is_not_continued() -> None:
    offer = replace(OFFER, length=None, end=None)
    assert not offer.is_continued_by(offer)
