"""Content-Type fields: media type, parameters, charset (RFC 9110 §8.3; D23). Pure.

Browsers and libraries read `text/plain` without a charset as Latin-1. Bytes that are valid UTF-8
are UTF-8, except in two encodings that resemble it: UTF-16 of ASCII letters contains NULs, and
ISO-2022 is ASCII with escape sequences.
"""

import codecs
import re
from collections.abc import Iterator

from proxy.errors import CharsetNotUtf8

_PARAMETER = re.compile(r';\s*([^\s=;"]+)\s*=\s*("(?:[^"\\]|\\.)*"|[^;]*)')
_QUOTED_PAIR = re.compile(r"\\(.)")
_UTF8 = frozenset({"utf-8", "utf8", "us-ascii", "ascii"})
_WIDE_MARKS = (b"\xff\xfe", b"\xfe\xff")
"""Byte order marks of UTF-16; that of little-endian UTF-32 begins like the first."""
_PROBED_BYTES = 4
"""A NUL in the first bytes means ASCII characters in UTF-16 or UTF-32 (RFC 4627 §3)."""
_SHIFTS = re.compile(rb"[\x0e\x0f\x1b]")
"""Bytes that switch alphabets in ISO-2022 (ECMA-35)."""


def media_type_of(content_type: str) -> str:
    """The media type in lower case, without parameters."""
    return content_type.partition(";")[0].strip().lower()


def parameters_of(value: str) -> Iterator[tuple[str, str]]:
    """(lower-case name, unquoted value) of each `;`-parameter; `name*` is `name` (RFC 8187)."""
    for name, text in _PARAMETER.findall(value):
        yield name.rstrip("*").lower(), _unquoted(text.strip(), is_extended=name.endswith("*"))


def check_charset(content_type: str, head: bytes) -> None:
    """CharsetNotUtf8 unless text is UTF-8 by its declaration and its first bytes.

    Credentials are found in UTF-8 only, which includes ASCII.
    """
    declared = [value for name, value in parameters_of(content_type) if name == "charset"]
    if any(value.strip().lower() not in _UTF8 for value in declared):
        raise CharsetNotUtf8("Send the body in UTF-8, and say so or leave the charset out.")
    if head.startswith(_WIDE_MARKS) or b"\0" in head[:_PROBED_BYTES]:
        raise CharsetNotUtf8("This body looks like UTF-16 or UTF-32; send it in UTF-8.")


def lacks_charset(content_type: str) -> bool:
    """Whether this is a text type without parameters."""
    return content_type.startswith("text/") and ";" not in content_type


def with_utf8_charset(content_type: str) -> str:
    """The media type with `charset=utf-8`."""
    return f"{content_type}; charset=utf-8"


class Utf8Probe:
    """Incremental check whether a body is text in UTF-8."""

    __slots__ = ("_decoder", "_has_shifts", "_is_ascii", "_is_valid")

    def __init__(self) -> None:
        self._decoder = codecs.getincrementaldecoder("utf-8")()
        self._is_valid = self._is_ascii = True
        self._has_shifts = False

    def feed(self, chunk: bytes) -> None:
        """Check the next chunk; a no-op after a chunk that is not UTF-8 text."""
        if self._is_valid:
            self._is_valid = b"\0" not in chunk and self._decodes(chunk)
            self._is_ascii = self._is_ascii and chunk.isascii()
            self._has_shifts = self._has_shifts or bool(_SHIFTS.search(chunk))

    def is_utf8(self) -> bool:
        """The result; call it once, after the last chunk."""
        is_shifted = self._is_ascii and self._has_shifts
        return self._is_valid and not is_shifted and self._decodes(b"", final=True)

    def _decodes(self, chunk: bytes, *, final: bool = False) -> bool:
        try:
            self._decoder.decode(chunk, final)
        except UnicodeDecodeError:
            return False
        return True


def _unquoted(text: str, *, is_extended: bool) -> str:
    if len(text) > 1 and text[0] == text[-1] == '"':
        text = _QUOTED_PAIR.sub(r"\1", text[1:-1])
    return text.rpartition("'")[2] if is_extended else text.strip('"')
