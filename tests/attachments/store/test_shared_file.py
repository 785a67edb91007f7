"""Readers of a growing file: each at its own offset, and none takes a part for the whole."""

import asyncio
import os
import random
from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from proxy.attachments.store.shared_file import (
    FileInfo,
    FileIo,
    SharedFile,
)
from proxy.errors import (
    ChecksumMismatch,
    InsufficientSpace,
    RateLimited,
    StoreError,
)

BODY = random.Random(3).randbytes(100_000)  # noqa: S311 — any bytes
Make = Callable[[], SharedFile]


@pytest.fixture
async def make(tmp_path: Path) -> AsyncIterator[Make]:
    idle: list[SharedFile] = []
    with ThreadPoolExecutor(2) as threads:

        def made() -> SharedFile:
            fd = os.open(tmp_path / "file", os.O_RDWR | os.O_CREAT)
            return SharedFile(fd, FileIo(threads), idle.append).retain()

        yield made
    assert idle, "nobody let go of it"


def grow(held: SharedFile, data: bytes) -> None:
    os.pwrite(held.fd, data, held.written)
    held.append_written(len(data))


async def read_all(held: SharedFile, at: int = 0) -> bytes:
    got = b""
    while chunk := await held.read(at + len(got), 7_000):
        got += chunk
    return got


async def test_readers_at_any_time_and_offset_get_every_byte(make: Make) -> None:
    held, draw = make(), random.Random(5)  # noqa: S311 — any order
    readers: list[tuple[int, asyncio.Task[bytes]]] = []
    held.set_info(FileInfo(len(BODY), ""))
    for at in range(0, len(BODY), 1_000):
        start = draw.randrange(len(BODY))
        readers.append((start, asyncio.ensure_future(read_all(held, start))))
        if draw.random() < 0.7:
            await asyncio.sleep(0)
        grow(held, BODY[at : at + 1_000])
    held.finish()
    for start, reader in readers:
        assert await reader == BODY[start:]
    held.release()


async def test_a_change_between_test_and_wait_wakes_the_reader(make: Make) -> None:
    held = make()
    reader = asyncio.ensure_future(held.read(0))
    await asyncio.sleep(0)
    grow(held, b"a")
    held.finish()
    assert await asyncio.wait_for(reader, 5) == b"a"
    held.release()


LIMITED = RateLimited("API_TOKEN_LIMIT_EXCEEDED", "Rate limit exceeded", 7)


@pytest.mark.parametrize(
    "failure",
    [InsufficientSpace("full"), ChecksumMismatch("bad"), StoreError("x"), LIMITED],
    ids=repr,
)
async def test_every_waiting_reader_gets_the_failure(make: Make, failure: Exception) -> None:
    held = make()
    readers = [asyncio.ensure_future(read_all(held)) for _ in range(5)]
    header = asyncio.ensure_future(held.info_ready())
    await asyncio.sleep(0)
    held.fail(failure)
    told = await asyncio.gather(*readers, header, return_exceptions=True)
    assert [type(each) for each in told] == [type(failure)] * 6
    assert len({id(each) for each in told}) == 6
    assert [vars(each) for each in told if isinstance(each, Exception)] == [vars(failure)] * 6
    held.release()


async def test_missing_bytes_are_an_error_and_no_end(make: Make) -> None:
    held = make()
    held.set_info(FileInfo(10, ""))
    grow(held, b"0123456789")
    held.finish()
    os.ftruncate(held.fd, 5)
    assert await held.read(0) == b"01234"
    with pytest.raises(StoreError):
        await held.read(5)
    held.release()


async def test_the_last_release_closes_it(make: Make) -> None:
    held = make()
    fd = held.retain().fd
    held.release()
    os.fstat(fd)
    held.release()
    with pytest.raises(OSError, match="Bad file descriptor"):
        os.fstat(fd)


async def test_an_unknown_length_is_known_at_the_end(make: Make) -> None:
    held = make()
    held.set_info(FileInfo(None, "a/b"))
    grow(held, b"abc")
    held.finish()
    assert await held.info_ready() == FileInfo(3, "a/b")
    held.release()
