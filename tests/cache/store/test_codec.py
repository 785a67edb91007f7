"""A stored response comes back from bytes as it was, or not at all."""

import json
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.cache.store.codec import dumps, loads
from proxy.model import StoredResponse, Tag
from tests.cache.store.conftest import answer, key

ROW = dumps(answer(1, b'{"a":1}\n{"b":2}'))
HEAD, _, BODY = ROW.partition(b"\n")

RESPONSES = st.builds(
    StoredResponse,
    key=st.just(key(1)),
    status=st.integers(200, 599),
    head=st.binary(max_size=50),
    body=st.binary(max_size=200),
    gzip=st.booleans(),
    etag=st.text("0123456789abcdef", max_size=30),
    requested_at=st.floats(0, 1e11),
    requested_seq=st.integers(0, 1 << 62),
    tags=st.lists(st.text(max_size=10).map(Tag), max_size=4).map(tuple),
    missing_since=st.none() | st.floats(0, 1e11),
    usable_s=st.floats(0, 1e9),
)


def with_head(**changed: object) -> bytes:
    return json.dumps(json.loads(HEAD) | changed).encode() + b"\n" + BODY


DAMAGED = {
    "nothing": b"",
    "a line feed": b"\n",
    "a head alone": HEAD,
    "cut in its head": HEAD[:20],
    "cut in its body": ROW[:-1],
    "followed by more": ROW + b"x",
    "of another version": with_head(v=1),
    "of no version": with_head(v=None),
    "no object": b"[]\n" + BODY,
    "a number": b"1\n" + BODY,
    "nested beyond reason": b"[" * 100_000 + b"\n",
    "not UTF-8": b'{"v":"\xff"}\n' + BODY,
    "a word for a number": with_head(status="soon"),
    "no number": with_head(requested_at=None),
    "a number without end": HEAD.replace(b'"status":200', b'"status":1e999') + b"\n" + BODY,
    "a number for text": with_head(head=1),
    "text no field can hold": with_head(head="\u2603"),
    "a number for tags": with_head(tags=1),
    "a pickle": b"\x80\x04\x95\n" + BODY,
}


@given(RESPONSES)
def test_what_was_written_is_read(stored: StoredResponse) -> None:
    assert loads(stored.key, dumps(stored)) == stored


@pytest.mark.parametrize("row", DAMAGED.values(), ids=DAMAGED.keys())
def test_a_damaged_row_is_none(row: bytes) -> None:
    assert loads(key(1), row) is None


def test_a_row_without_one_of_its_members_is_none() -> None:
    meta = json.loads(HEAD)
    for name in meta:
        rest = {other: value for other, value in meta.items() if other != name}
        assert loads(key(1), json.dumps(rest).encode() + b"\n" + BODY) is None


@given(st.binary(max_size=300))
def test_any_bytes_are_read_or_none(row: bytes) -> None:
    assert loads(key(1), row) is None


def test_the_body_is_kept_as_it_came() -> None:
    stored = replace(answer(1, bytes(range(256))), gzip=True)
    assert dumps(stored).endswith(b"\n" + bytes(range(256)))
