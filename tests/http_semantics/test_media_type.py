"""Content-Type fields: parameters, and whether a text is UTF-8."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.errors import CharsetNotUtf8
from proxy.http_semantics.content import (
    Utf8Probe,
    check_charset,
    lacks_charset,
    media_type_of,
    parameters_of,
    with_utf8_charset,
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
def test_no_ascii_text_in_another_width_is_accepted(text: str, codec: str) -> None:
    for order in ("", "-le", "-be"):
        with pytest.raises(CharsetNotUtf8):
            check_charset("application/json", text.encode(codec + order))


@given(st.text(st.characters(codec="utf-8", exclude_characters="\0"), min_size=1))
def test_every_text_in_utf8_is_accepted(text: str) -> None:
    check_charset("application/json; charset=utf-8", text.encode())


TEXTS = {
    "plain letters": (b"hello\r\n\tworld", True),
    "umlauts": ("Grüße".encode(), True),
    "umlauts behind a mark": (b"\xef\xbb\xbf" + "Grüße".encode(), True),
    "colours of a terminal and umlauts": ("\x1b[31mrot: übel\x1b[0m".encode(), True),
    "nothing": (b"", True),
    "Latin-1": ("Grüße".encode("latin-1"), False),
    "UTF-16": ("hello".encode("utf-16"), False),
    "UTF-16 without a mark": ("hello".encode("utf-16-le"), False),
    "UTF-32 without a mark": ("hello".encode("utf-32-be"), False),
    "ISO-2022": ("こんにちは".encode("iso-2022-jp"), False),
    "Shift_JIS": ("こんにちは".encode("shift_jis"), False),
    "a letter cut at the end": ("Grüße".encode()[:3], False),
    "a lone surrogate": (b"\xed\xa0\x80", False),
    "a long form": (b"\xc0\xaf", False),
}


def probed(text: bytes, chunk_bytes: int) -> bool:
    probe = Utf8Probe()
    for at in range(0, len(text), chunk_bytes):
        probe.feed(text[at : at + chunk_bytes])
    return probe.is_utf8()


@pytest.mark.parametrize(("text", "is_utf8"), TEXTS.values(), ids=TEXTS.keys())
@pytest.mark.parametrize("chunk_bytes", [1, 3, 1000])
def test_a_text_is_utf8(text: bytes, chunk_bytes: int, *, is_utf8: bool) -> None:
    assert probed(text, chunk_bytes) is is_utf8


@given(st.binary(), st.integers(1, 10))
def test_a_text_detected_as_utf8_decodes(text: bytes, chunk_bytes: int) -> None:
    if probed(text, chunk_bytes):
        text.decode()


@given(st.text(st.characters(exclude_categories=["Cs", "Cc"])), st.integers(1, 10))
def test_every_text_in_utf8_is_detected(text: str, chunk_bytes: int) -> None:
    assert probed(text.encode(), chunk_bytes)


TYPES = {
    "text/plain": True,
    "text/csv": True,
    "text/plain; charset=latin-1": False,
    "image/png": False,
    "application/json": False,
    "": False,
}


@pytest.mark.parametrize(("content_type", "lacks"), TYPES.items())
def test_only_a_text_lacks_a_charset(content_type: str, *, lacks: bool) -> None:
    assert lacks_charset(content_type) is lacks
    assert not lacks_charset(with_utf8_charset(content_type))
