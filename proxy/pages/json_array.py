"""JSON array, decoded element by element."""

import codecs
import json
import re
from collections.abc import Iterator

_WHITESPACE = " \t\n\r"
_SPACE = re.compile(r"[ \t\n\r]*")
_SEPARATOR = re.compile(r"[ \t\n\r]*([,\]])")
_decode = json.JSONDecoder().raw_decode


def elements(body: bytes, window_bytes: int = 1024 * 1024) -> Iterator[object]:
    """The elements of a JSON array, decoded one by one; ValueError, RecursionError.

    json.loads holds the interpreter until it is done, 15 ms for each megabyte, also in a thread.
    At most `window_bytes` and one element are decoded at once.
    """
    decoder = codecs.getincrementaldecoder("utf-8")()
    text, at, read = "", 0, 0
    separator, is_first = "[", True
    while separator != "]":
        try:
            value, end, separator = _element(text, at, is_first=is_first)
        except ValueError:
            if read >= len(body):
                raise
            piece = body[read : read + max(window_bytes, len(text) - at)]
            read += len(piece)
            text, at = text[at:] + decoder.decode(piece, final=read >= len(body)), 0
            continue
        at, is_first = end, False
        yield from value
    if text[at:].strip(_WHITESPACE) or body[read:].strip(_WHITESPACE.encode()):
        raise ValueError("more behind the array")


def _element(text: str, at: int, *, is_first: bool) -> tuple[list[object], int, str]:
    """The element at `at`, none in `[]`; where its separator ends, and the separator."""
    start = _skip(text, at)
    if is_first:
        if text[start : start + 1] != "[":
            raise ValueError("no array")
        start = _skip(text, start + 1)
        if text[start : start + 1] == "]":
            return [], start + 1, "]"
    value, end = _decode(text, start)
    separator = _SEPARATOR.match(text, end)
    if separator is None:
        raise ValueError("malformed array")
    return [value], separator.end(), separator[1]


def _skip(text: str, at: int) -> int:
    space = _SPACE.match(text, at)
    return space.end() if space else at
