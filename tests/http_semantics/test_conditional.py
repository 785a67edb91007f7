"""Conditional requests: validators, ranges, and the 304."""

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
    etag_for_encoding,
    etag_of,
    not_modified,
    parse_http_date,
    resolve,
    resume_offset,
)

ETAG = '"this"'
DATE = "Sun, 06 Nov 1994 08:49:37 GMT"
VALIDATORS = Validators(ETAG, 784_111_777)

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
    "a letter of another script in the unit": ("byte\u017f=0-1", "", 10, WHOLE),
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
    assert resolve(range_, if_range, VALIDATORS, length) == part


def test_no_date_matches_a_file_without_one() -> None:
    assert resolve("bytes=0-1", DATE, Validators(ETAG), 10) == WHOLE


@given(st.integers(0, 200), st.integers(0, 200), st.integers(0, 100))
def test_a_part_lies_within_and_is_what_was_asked(first: int, last: int, length: int) -> None:
    body = bytes(range(100))[:length]
    match resolve(f"bytes={first}-{last}", "", VALIDATORS, length):
        case Slice(start, end) as part:
            assert body[start:end] == body[first : last + 1]
            assert 0 <= start < end <= length
            assert resume_offset(content_range(part, length)) == (start, length)
        case Whole():
            assert last < first
        case _:
            assert first >= length


@given(st.text(), st.integers(0, 100))
def test_no_range_of_a_client_is_an_error(range_: str, length: int) -> None:
    resolve(range_, "", VALIDATORS, length)
    resolve(f"bytes={range_}", "", VALIDATORS, length)


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
def test_a_content_range_of_the_storage_is_parsed(field: str, read: tuple[int, int] | None) -> None:
    assert resume_offset(field) == read


def test_an_unsatisfiable_range_names_the_length() -> None:
    assert content_range(UNSATISFIABLE, 10) == "bytes */10"


IF_NONE_MATCH = {
    "the same": ('"abc"', True),
    "the same, called weak": ('W/"abc"', True),
    "one of several": ('"x", W/"abc" ,"y"', True),
    "anything at all": ("*", True),
    "anything, among others": ('"x", *', True),
    "nothing": ("", False),
    "another": ('"abd"', False),
    "another letter case": ('"ABC"', False),
    "the same without quotes": ("abc", False),
    "one that begins alike": ('"abcd"', False),
    "the same in another coding": ('"abc-gzip"', False),
    "a weak sign in lower case": ('w/"abc"', False),
}


@pytest.mark.parametrize(("field", "matches"), IF_NONE_MATCH.values(), ids=IF_NONE_MATCH.keys())
def test_if_none_match_names(field: str, *, matches: bool) -> None:
    assert not_modified(field, '"abc"') is matches


def test_a_validator_is_made_of_the_bytes_and_nothing_else() -> None:
    # The digest is written out: another instance, or another release, must not differ.
    assert etag_of(b'{"id":"1"}') == "1ab7ed03b1fc3ff8d4bada8d5c801f"
    assert etag_of(b"") != etag_of(b" ")


def test_each_coding_has_its_own_validator() -> None:
    assert etag_for_encoding("abc", gzip=False) == '"abc"'
    assert etag_for_encoding("abc", gzip=True) == '"abc-gzip"'


DATES = {
    "as it is written today": ("Sun, 06 Nov 1994 08:49:37 GMT", 784_111_777),
    "as in RFC 850": ("Sunday, 06-Nov-94 08:49:37 GMT", 784_111_777),
    "as asctime has it": ("Sun Nov  6 08:49:37 1994", 784_111_777),
    "nothing": ("", None),
    "a word": ("yesterday", None),
    "a number": ("784111777", None),
    "the 40th": ("Sun, 40 Nov 1994 08:49:37 GMT", None),
    "year 99999999999": ("Sun, 06 Nov 99999999999 08:49:37 GMT", None),
}


@pytest.mark.parametrize(("text", "seconds"), DATES.values(), ids=DATES.keys())
def test_a_date_is_read_in_its_three_forms(text: str, seconds: int | None) -> None:
    assert parse_http_date(text) == seconds


@given(st.text() | st.from_regex(r"[A-Z][a-z]{2}, \d{2} [A-Z][a-z]{2} \d{4} [\d:]{8} GMT"))
def test_what_is_no_date_is_none(text: str) -> None:
    parse_http_date(text)


AT = 784_111_777
BEFORE, SAME, AFTER = (f"Sun, 06 Nov 1994 08:49:{second} GMT" for second in (36, 37, 38))
CONDITIONS = {
    "the same tag": (ETAG, "", True),
    "another tag": ('"x"', "", False),
    "the date": ("", SAME, True),
    "a later date": ("", AFTER, True),
    "an earlier date": ("", BEFORE, False),
    "the date, and another tag": ('"x"', SAME, False),
    "an earlier date, and the tag": (ETAG, BEFORE, True),
    "no date": ("", "soon", False),
    "nothing": ("", "", False),
}


@pytest.mark.parametrize(("tags", "date", "held"), CONDITIONS.values(), ids=CONDITIONS.keys())
def test_a_client_that_holds_the_representation_gets_304(
    tags: str, date: str, *, held: bool
) -> None:
    assert Validators(ETAG, AT).is_not_modified(tags, date) is held
    assert Validators(ETAG).is_not_modified(tags, date) is (held and bool(tags))


def test_a_last_modified_date_round_trips() -> None:
    assert Validators(ETAG, AT).last_modified == SAME
    assert Validators(ETAG).last_modified == ""
