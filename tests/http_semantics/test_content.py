"""Content negotiation and gzip: HTML for navigations, gzip for clients that accept it."""

import gzip
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.http_semantics import content
from proxy.http_semantics.content import (
    MAX_MEMBERS,
    PIECE_BYTES,
    Gunzip,
    InvalidEncoding,
    TooLong,
    accepts_gzip,
    accepts_images,
    gunzip,
    identity_length,
    is_navigation,
    prefers_html,
)

GZIP_FIELDS = {
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
    pieces = [
        piece for at in range(0, len(body), step) for piece in stream.feed(body[at : at + step])
    ]
    stream.finish()
    assert all(0 < len(piece) <= PIECE_BYTES for piece in pieces)
    return b"".join(pieces)


@pytest.mark.parametrize(("field", "accepted"), GZIP_FIELDS.values(), ids=GZIP_FIELDS.keys())
def test_gzip_is_accepted(field: str, *, accepted: bool) -> None:
    assert accepts_gzip(field) is accepted


@pytest.mark.parametrize("body", BROKEN.values(), ids=BROKEN.keys())
def test_a_body_is_refused_whole(body: bytes) -> None:
    with pytest.raises(InvalidEncoding):
        gunzip(body)


@pytest.mark.parametrize("body", BROKEN.values(), ids=BROKEN.keys())
def test_a_body_is_refused_in_chunks(body: bytes) -> None:
    with pytest.raises(InvalidEncoding):
        inflated(body, 1)


def test_a_bomb_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(content, "MAX_INFLATED_BYTES", 1_000)
    assert gunzip(gzip.compress(bytes(1_000))) == bytes(1_000)
    with pytest.raises(InvalidEncoding):
        gunzip(gzip.compress(bytes(1_001)))


@given(st.binary(max_size=2_000), st.integers(1, 50))
def test_gzip_round_trips_whole_and_in_chunks(plain: bytes, step: int) -> None:
    body = gzip.compress(plain, 1)
    assert inflated(body, step) == gunzip(body) == plain


@given(st.binary(max_size=200))
def test_any_bytes_are_gzip_or_refused(body: bytes) -> None:
    with pytest.raises(InvalidEncoding):
        gunzip(body + b"\0")


@given(st.lists(st.binary(max_size=300), min_size=1, max_size=5), st.integers(1, 70))
def test_several_members_are_one_body(plains: list[bytes], step: int) -> None:
    body = b"".join(gzip.compress(plain, 1) for plain in plains)
    assert inflated(body, step) == gunzip(body) == b"".join(plains)


def test_endless_members_are_refused() -> None:
    empty = gzip.compress(b"")
    assert gunzip(empty * MAX_MEMBERS) == b""
    with pytest.raises(InvalidEncoding):
        gunzip(empty * (MAX_MEMBERS + 1))


@pytest.mark.parametrize("size", [0, 1, PIECE_BYTES - 1, PIECE_BYTES, PIECE_BYTES + 1, 200_000])
def test_pieces_end_where_they_may(size: int) -> None:
    plain = bytes(size)
    assert inflated(gzip.compress(plain), 10) == plain


def test_a_body_longer_than_the_caller_takes_is_not_called_a_bomb() -> None:
    body = gzip.compress(bytes(1_001))
    assert gunzip(body, 1_001) == bytes(1_001)
    with pytest.raises(TooLong):
        gunzip(body, 1_000)


@given(st.binary(max_size=2_000))
def test_one_member_names_its_inflated_length(plain: bytes) -> None:
    assert identity_length(gzip.compress(plain)) == len(plain)


def test_garbage_announces_no_great_length() -> None:
    assert identity_length(b"\xff" * 100) <= 200_000


BROWSER = "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"
JAVA = "text/html, image/gif, image/jpeg, *; q=.2, */*; q=.2"
PICTURE = "image/avif,image/webp,image/apng,image/svg+xml,image/*,*/*;q=0.8"

ACCEPTS = {
    BROWSER: True,
    JAVA: False,
    "text/html, text/*;q=0.5, application/*": False,
    "text/html, application/json": False,
    "text/html, application/json;q=0.5": True,
    "text/html;q=0.5, application/problem+json": False,
    "text/html, text/plain;q=0.9": True,
    "text/html, */*;q=0": True,
    "text/html;q=1, */*;q=soon": True,
    "text/html;level=1;q=0.4, application/json;q=0.3": True,
    "text/html": True,
    "TEXT/HTML; q=0.5": True,
    "text/html;q=0, */*": False,
    "text/html;q=0.0": False,
    "*/*": False,
    "": False,
    "application/json, text/plain, */*": False,
    "image/avif,image/webp,image/*,*/*;q=0.8": False,
    "text/*": False,
    ",;,q=": False,
}


@pytest.mark.parametrize(("accept", "page"), ACCEPTS.items(), ids=map(str, range(len(ACCEPTS))))
def test_html_is_preferred(accept: str, page: bool) -> None:  # noqa: FBT001 - a table's column
    assert prefers_html(accept, "") is page


def test_sec_fetch_mode_decides_where_it_is_sent() -> None:
    assert prefers_html("*/*", "navigate")
    assert not prefers_html(BROWSER, "cors")
    assert not is_navigation("no-cors", BROWSER)
    assert is_navigation("", BROWSER.upper())
    assert not is_navigation("", JAVA)


def test_images_of_a_page_differ_from_json_of_a_program() -> None:
    assert accepts_images(PICTURE)
    assert not [accept for accept in (JAVA, BROWSER, "*/*", "") if accepts_images(accept)]
