"""A text is called UTF-8 when it is, and never when it may be something else."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.http_semantics.charset import (
    Utf8Probe,
    lacks_charset,
    with_utf8_charset,
)

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
def test_what_is_called_utf8_can_be_read_so(text: bytes, chunk_bytes: int) -> None:
    if probed(text, chunk_bytes):
        text.decode()


@given(st.text(st.characters(exclude_categories=["Cs", "Cc"])), st.integers(1, 10))
def test_every_text_in_utf8_is_called_so(text: str, chunk_bytes: int) -> None:
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
