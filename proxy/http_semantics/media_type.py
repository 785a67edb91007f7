"""A Content-Type field: its media type and parameters (RFC 9110 §8.3), its charset above all."""

import re
from collections.abc import Iterator

from proxy.errors import CharsetNotUtf8

_PARAMETER = re.compile(r';\s*([^\s=;"]+)\s*=\s*("(?:[^"\\]|\\.)*"|[^;]*)')
_QUOTED_PAIR = re.compile(r"\\(.)")
_UTF8 = frozenset({"utf-8", "utf8", "us-ascii", "ascii"})
_WIDE_MARKS = (b"\xff\xfe", b"\xfe\xff")
"""Byte order marks of UTF-16; that of little-endian UTF-32 begins like the first."""
_LOOK_BYTES = 4
"""A NUL among so many first bytes: ASCII characters in UTF-16 or UTF-32 (RFC 4627 §3)."""


def media_type_of(content_type: str) -> str:
    """The media type in lower case, without parameters."""
    return content_type.partition(";")[0].strip().lower()


def parameters_of(value: str) -> Iterator[tuple[str, str]]:
    """(lower-case name, unquoted value) of each `;`-parameter; `name*` is `name` (RFC 8187)."""
    for name, text in _PARAMETER.findall(value):
        yield name.rstrip("*").lower(), _unquoted(text.strip(), is_extended=name.endswith("*"))


def check_charset(content_type: str, head: bytes) -> None:
    """CharsetNotUtf8 where text is not UTF-8, by its declaration or by its first bytes.

    Credentials are found in UTF-8 alone; ASCII is a part of it.
    """
    declared = [value for name, value in parameters_of(content_type) if name == "charset"]
    if any(value.strip().lower() not in _UTF8 for value in declared):
        raise CharsetNotUtf8("Send the body in UTF-8, and say so or leave the charset out.")
    if head.startswith(_WIDE_MARKS) or b"\0" in head[:_LOOK_BYTES]:
        raise CharsetNotUtf8("This body looks like UTF-16 or UTF-32; send it in UTF-8.")


def _unquoted(text: str, *, is_extended: bool) -> str:
    if len(text) > 1 and text[0] == text[-1] == '"':
        text = _QUOTED_PAIR.sub(r"\1", text[1:-1])
    return text.rpartition("'")[2] if is_extended else text.strip('"')
