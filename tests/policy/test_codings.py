"""Gzip goes to whoever takes it, as it came; everybody else gets the identity form."""

import gzip
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.policy import codings
from proxy.policy.codings import BadCoding, Gunzip, accepts_gzip, gunzip

TAKES = {
    "by name": ("gzip", True),
    "among others": ("br, gzip, deflate", True),
    "in any letter case": ("GZIP", True),
    "by its old name": ("x-gzip", True),
    "by the asterisk": ("*", True),
    "with a weight": ("gzip;q=0.001", True),
    "with spaces": ("deflate , gzip ; q = 1.0", True),
    "with identity forbidden": ("identity;q=0, gzip", True),
    "by name, the asterisk refused": ("*;q=0, gzip;q=0.5", True),
    "with another parameter": ("gzip;x=0", True),
    "not when nothing is said": ("", False),
    "not when only identity is": ("identity", False),
    "not when others are": ("br, zstd", False),
    "not with weight 0": ("gzip;q=0", False),
    "not with weight 0 to three places": ("gzip;q=0.000", False),
    "not with weight 0 in upper case": ("gzip;Q=0", False),
    "not with weight 0 and spaces": ("gzip ; q = 0 ", False),
    "not by name refused, the asterisk allowed": ("*, gzip;q=0", False),
    "not by the asterisk refused": ("*;q=0", False),
    "not by a name that only contains it": ("xgzipx, gzip2", False),
    "not when only identity is refused": ("identity;q=0", False),
}

SQUEEZED = gzip.compress(b'{"name":"board"}' * 20)

BROKEN = {
    "cut in its data": SQUEEZED[:-12],
    "cut in its checksum": SQUEEZED[:-1],
    "with a wrong checksum": SQUEEZED[:-8] + b"\0" * 8,
    "followed by other bytes": SQUEEZED + b"x",
    "not gzip at all": b"<html>",
    "deflate instead": zlib.compress(b"body"),
}


def inflated(body: bytes, step: int) -> bytes:
    """The identity form, fed `step` bytes at a time."""
    stream = Gunzip()
    chunks = [stream.feed(body[at : at + step]) for at in range(0, len(body), step)]
    return b"".join(chunks) + stream.finish()


@pytest.mark.parametrize(("field", "taken"), TAKES.values(), ids=TAKES.keys())
def test_gzip_is_taken(field: str, *, taken: bool) -> None:
    assert accepts_gzip(field) is taken


@pytest.mark.parametrize("body", BROKEN.values(), ids=BROKEN.keys())
def test_a_body_is_refused_whole(body: bytes) -> None:
    with pytest.raises(BadCoding):
        gunzip(body)


@pytest.mark.parametrize("body", BROKEN.values(), ids=BROKEN.keys())
def test_a_body_is_refused_in_chunks(body: bytes) -> None:
    with pytest.raises(BadCoding):
        inflated(body, 1)


def test_a_bomb_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(codings, "MAX_PLAIN_BYTES", 1_000)
    assert gunzip(gzip.compress(bytes(1_000))) == bytes(1_000)
    with pytest.raises(BadCoding):
        gunzip(gzip.compress(bytes(1_001)))


@given(st.binary(max_size=2_000), st.integers(1, 50))
def test_what_was_squeezed_comes_back_whole_and_in_chunks(plain: bytes, step: int) -> None:
    body = gzip.compress(plain, 1)
    assert inflated(body, step) == gunzip(body) == plain


@given(st.binary(max_size=200))
def test_any_bytes_are_gzip_or_refused(body: bytes) -> None:
    with pytest.raises(BadCoding):
        gunzip(body + b"\0")
