"""Which bytes a request gets, and never others."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.http_semantics.conditional import (
    UNSATISFIABLE,
    WHOLE,
    Part,
    Slice,
    Validators,
    Whole,
    content_range,
    resolve,
    resume_offset,
)

ETAG = '"this"'
DATE = "Sun, 06 Nov 1994 08:49:37 GMT"
HELD = Validators(ETAG, 784_111_777)

CASES: dict[str, tuple[str, str, int | None, Part]] = {
    "no range": ("", "", 10, WHOLE),
    "the first byte": ("bytes=0-0", "", 10, Slice(0, 1)),
    "the last byte": ("bytes=9-9", "", 10, Slice(9, 10)),
    "all of it, in so many words": ("bytes=0-9", "", 10, Slice(0, 10)),
    "past the end": ("bytes=5-99", "", 10, Slice(5, 10)),
    "very far past the end": ("bytes=5-" + "9" * 40, "", 10, Slice(5, 10)),
    "open": ("bytes=5-", "", 10, Slice(5, 10)),
    "a suffix": ("bytes=-3", "", 10, Slice(7, 10)),
    "a suffix longer than the file": ("bytes=-99", "", 10, Slice(0, 10)),
    "a suffix of nothing": ("bytes=-0", "", 10, UNSATISFIABLE),
    "a suffix of an empty file": ("bytes=-5", "", 0, WHOLE),
    "the start of an empty file": ("bytes=0-", "", 0, UNSATISFIABLE),
    "just past the end": ("bytes=10-", "", 10, UNSATISFIABLE),
    "backwards": ("bytes=5-4", "", 10, WHOLE),
    "backwards, past the end": ("bytes=50-4", "", 10, WHOLE),
    "several": ("bytes=0-1,3-4", "", 10, WHOLE),
    "several, one of them empty": ("bytes=0-1,", "", 10, WHOLE),
    "another unit": ("items=0-1", "", 10, WHOLE),
    "the unit in capitals": ("Bytes=0-1", "", 10, Slice(0, 2)),
    "space around it": (" bytes= 0-1 ", "", 10, Slice(0, 2)),
    "digits of another script": ("bytes=\u0660-\u0661", "", 10, WHOLE),
    "signs": ("bytes=+0--1", "", 10, WHOLE),
    "nothing": ("bytes=-", "", 10, WHOLE),
    "length unknown": ("bytes=0-1", "", None, WHOLE),
    "if it is this": ("bytes=0-1", ETAG, 10, Slice(0, 2)),
    "if it is this, weakly": ("bytes=0-1", f"W/{ETAG}", 10, WHOLE),
    "if it is that": ("bytes=0-1", '"that"', 10, WHOLE),
    "if it is as old": ("bytes=0-1", DATE, 10, Slice(0, 2)),
    "if it is older": ("bytes=0-1", "Sun, 06 Nov 1994 08:49:36 GMT", 10, WHOLE),
    "if it is newer": ("bytes=0-1", "Sun, 06 Nov 1994 08:49:38 GMT", 10, WHOLE),
    "if it is as old, in another form": ("bytes=0-1", "Sun Nov  6 08:49:37 1994", 10, WHOLE),
    "if it is blank": ("bytes=0-1", " ", 10, WHOLE),
    "if it is that, and past the end": ("bytes=50-", '"that"', 10, WHOLE),
}


@pytest.mark.parametrize(("range_", "if_range", "length", "part"), CASES.values(), ids=CASES.keys())
def test_resolve(range_: str, if_range: str, length: int | None, part: Part) -> None:
    assert resolve(range_, if_range, HELD, length) == part


def test_no_date_names_what_has_none() -> None:
    assert resolve("bytes=0-1", DATE, Validators(ETAG), 10) == WHOLE


@given(st.integers(0, 200), st.integers(0, 200), st.integers(0, 100))
def test_a_part_lies_within_and_is_what_was_asked(first: int, last: int, length: int) -> None:
    body = bytes(range(100))[:length]
    match resolve(f"bytes={first}-{last}", "", HELD, length):
        case Slice(start, end) as part:
            assert body[start:end] == body[first : last + 1]
            assert 0 <= start < end <= length
            assert resume_offset(content_range(part, length)) == (start, length)
        case Whole():
            assert last < first
        case _:
            assert first >= length


@given(st.text(), st.integers(0, 100))
def test_nothing_that_a_client_writes_is_an_error(range_: str, length: int) -> None:
    resolve(range_, "", HELD, length)
    resolve(f"bytes={range_}", "", HELD, length)


SENT = {
    "a part": ("bytes 5-9/10", (5, 10)),
    "of unknown length": ("bytes 5-9/*", None),
    "unsatisfied": ("bytes */10", None),
    "past its own end": ("bytes 5-10/10", None),
    "backwards": ("bytes 9-5/10", None),
    "another unit": ("items 5-9/10", None),
    "nothing": ("", None),
}


@pytest.mark.parametrize(("field", "read"), SENT.values(), ids=SENT.keys())
def test_a_content_range_of_somebody_else_s(field: str, read: tuple[int, int] | None) -> None:
    assert resume_offset(field) == read


def test_what_cannot_be_satisfied_tells_the_length() -> None:
    assert content_range(UNSATISFIABLE, 10) == "bytes */10"
