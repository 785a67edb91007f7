"""A Content-Type's parameters, and whether a text is UTF-8."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.errors import CharsetNotUtf8
from proxy.http_semantics.media_type import (
    check_charset,
    media_type_of,
    parameters_of,
)

PARAMETERS = {
    "none": ("text/plain", []),
    "one": ("text/plain; charset=utf-8", [("charset", "utf-8")]),
    "quoted": ('a/b; Charset="utf-8" ; x = "a\\"b;c"', [("charset", "utf-8"), ("x", 'a"b;c')]),
    "extended": ("a/b; name*=UTF-8''x", [("name", "x")]),
}


@pytest.mark.parametrize(("value", "parameters"), PARAMETERS.values(), ids=PARAMETERS.keys())
def test_parameters_of(value: str, parameters: list[tuple[str, str]]) -> None:
    assert list(parameters_of(value)) == parameters


def test_media_type_of() -> None:
    assert media_type_of(" Application/JSON ;charset=x") == "application/json"
    assert media_type_of("") == ""


@given(st.text(st.characters(codec="ascii"), min_size=4), st.sampled_from(["utf-16", "utf-32"]))
def test_no_ascii_text_in_another_width_is_taken(text: str, codec: str) -> None:
    for order in ("", "-le", "-be"):
        with pytest.raises(CharsetNotUtf8):
            check_charset("application/json", text.encode(codec + order))


@given(st.text(st.characters(codec="utf-8", exclude_characters="\0"), min_size=1))
def test_every_text_in_utf8_is_taken(text: str) -> None:
    check_charset("application/json; charset=utf-8", text.encode())
