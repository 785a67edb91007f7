"""A continuation delivers exactly the missing bytes of the same file, or fails."""

import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.attachments.fetcher import Continuation, FileChanged

FILE = bytes(range(256)) * 2


def digest(data: bytes) -> bytes:
    return hashlib.sha256(data).digest()


def delivered(continuation: Continuation, *chunks: bytes) -> bytes:
    return b"".join([continuation.feed(chunk) for chunk in chunks]) + continuation.finish()


def chunks_of(data: bytes, chunk_bytes: int) -> list[bytes]:
    return [data[at : at + chunk_bytes] for at in range(0, len(data), chunk_bytes)]


@given(
    start=st.integers(0, len(FILE)),
    resumed=st.integers(0, len(FILE)),
    skipped=st.integers(0, len(FILE)),
    chunk_bytes=st.integers(1, 600),
    knows_length=st.booleans(),
)
def test_any_response_with_the_rest_delivers_the_rest(
    start: int, resumed: int, skipped: int, chunk_bytes: int, *, knows_length: bool
) -> None:
    start, resume_at = sorted((start, resumed))
    offset = 0 if skipped < start else start
    continuation = Continuation(
        start,
        resume_at,
        offset,
        length=len(FILE) if knows_length else None,
        digest=digest(FILE[start:resume_at]),
    )
    assert delivered(continuation, *chunks_of(FILE[offset:], chunk_bytes)) == FILE[resume_at:]


@given(st.integers(0, 99), st.integers(1, 600))
def test_other_bytes_before_the_rest_are_a_changed_file(wrong_at: int, chunk_bytes: int) -> None:
    changed = bytearray(FILE)
    changed[wrong_at] ^= 1
    continuation = Continuation(0, 100, 0, length=len(FILE), digest=digest(FILE[:100]))
    with pytest.raises(FileChanged):
        delivered(continuation, *chunks_of(bytes(changed), chunk_bytes))


def test_with_a_strong_validator_the_rest_needs_no_comparison() -> None:
    continuation = Continuation(0, 100, 100, length=len(FILE), digest=None)
    assert delivered(continuation, FILE[100:]) == FILE[100:]


def test_without_one_a_rest_alone_is_not_the_same_file() -> None:
    continuation = Continuation(0, 100, 100, length=len(FILE), digest=digest(FILE[:100]))
    with pytest.raises(FileChanged):
        continuation.feed(FILE[100:])


@given(st.integers(1, 600))
def test_the_last_bytes_are_held_until_the_response_has_ended(chunk_bytes: int) -> None:
    continuation = Continuation(0, 0, 0, length=len(FILE), digest=digest(b""))
    assert len(b"".join(map(continuation.feed, chunks_of(FILE, chunk_bytes)))) < len(FILE)
    with pytest.raises(FileChanged):
        continuation.feed(b"more")
