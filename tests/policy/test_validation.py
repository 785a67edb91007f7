"""Our validators, and who holds the answer already."""

import pytest

from proxy.policy.validation import etag_of, for_coding, not_modified

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
    assert for_coding("abc", gzip=False) == '"abc"'
    assert for_coding("abc", gzip=True) == '"abc-gzip"'
