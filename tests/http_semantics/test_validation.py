"""Our validators, and who holds the answer already."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.http_semantics.conditional import (
    Validators,
    etag_for_encoding,
    etag_of,
    not_modified,
    parse_http_date,
)

ETAG = '"abc"'

HOLDS = {
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


@pytest.mark.parametrize(("field", "holds"), HOLDS.values(), ids=HOLDS.keys())
def test_if_none_match_names(field: str, *, holds: bool) -> None:
    assert not_modified(field, ETAG) is holds


def test_a_validator_is_made_of_the_bytes_and_nothing_else() -> None:
    # The digest is written out: another instance, or another release, must not differ.
    assert etag_of(b'{"id":"1"}') == "1ab7ed03b1fc3ff8d4bada8d5c801f"
    assert etag_of(b"") != etag_of(b" ")


def test_codings_have_validators_of_their_own() -> None:
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
def test_who_holds_it_hears_so(tags: str, date: str, *, held: bool) -> None:
    assert Validators(ETAG, AT).is_not_modified(tags, date) is held
    assert Validators(ETAG).is_not_modified(tags, date) is (held and bool(tags))


def test_a_date_is_told_as_it_is_read() -> None:
    assert Validators(ETAG, AT).last_modified == SAME
    assert Validators(ETAG).last_modified == ""
