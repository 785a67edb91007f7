"""Charset detection for text files that name none: UTF-8, or undetermined. Pure.

Browsers and libraries read `text/plain` without a charset as Latin-1. Bytes that are valid UTF-8
are UTF-8, but for the encodings that look like it: UTF-16 of plain letters is full of NULs, and
ISO-2022 is ASCII with escapes.
"""

import codecs
import re

_SHIFTS = re.compile(rb"[\x0e\x0f\x1b]")
"""What switches alphabets in ISO-2022 (ECMA-35)."""


def lacks_charset(content_type: str) -> bool:
    """Whether it is a text type without a `charset` parameter."""
    return content_type.startswith("text/") and ";" not in content_type


def with_utf8_charset(content_type: str) -> str:
    """The text type with `charset=utf-8`."""
    return f"{content_type}; charset=utf-8"


class Utf8Probe:
    """Incremental check whether a body is text in UTF-8."""

    __slots__ = ("_decoder", "_has_shifts", "_is_ascii", "_is_valid")

    def __init__(self) -> None:
        self._decoder = codecs.getincrementaldecoder("utf-8")()
        self._is_valid = self._is_ascii = True
        self._has_shifts = False

    def feed(self, chunk: bytes) -> None:
        """Check the next chunk; a no-op once an earlier one was not UTF-8 text."""
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
