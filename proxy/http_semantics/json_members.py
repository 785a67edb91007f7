"""JSON values, and parts of a JSON text as their original bytes (RFC 8259). Pure.

A part is never re-encoded: its numbers, escapes and white space are unchanged (D4). A part that
cannot be cut out safely is a ValueError, and the caller sends a request upstream instead. No
function raises anything else, except `value_of` RecursionError.
"""

import json
import re
from codecs import getincrementaldecoder
from collections.abc import Mapping, Sequence
from typing import TypeVar

from msgspec import Raw
from msgspec.json import Decoder

T = TypeVar("T")

_ARRAY = Decoder(list[Raw])
_OBJECT = Decoder(dict[str, Raw])
_VALUE = Decoder(Raw)
_ANY = Decoder[object]()
_OPENING = re.compile(rb'[ \t\r\n]*\{[ \t\r\n]*"([^"\\]*)"[ \t\r\n]*:[ \t\r\n]*')
_BOM = b"\xef\xbb\xbf"
_UTF8 = getincrementaldecoder("utf-8")
PIECE_BYTES = 256 * 1024
"""Of a text checked at once."""
_MAX_INT_DIGITS = 4_000
"""Python converts no decimal integer of more than 4 300 digits."""


def value_of(body: bytes | str) -> object:
    """The value of a JSON text; an integer of thousands of digits is infinite, as in JavaScript.

    ValueError if it is not JSON, RecursionError if it is nested too deep.
    """
    try:
        return _ANY.decode(body)
    except (ValueError, RecursionError):
        return _lenient_value_of(body)


def is_json(body: bytes) -> bool:
    """Whether it is one JSON text in UTF-8, and nothing else; a byte order mark may precede it."""
    try:
        _decode_leniently(_VALUE, body.removeprefix(_BOM))
    except ValueError:
        return False
    return True


def object_of(body: bytes | str) -> Mapping[str, object]:
    """The members of a JSON object, the last of each name; empty for any other text."""
    try:
        value = value_of(body)
    except (ValueError, RecursionError):
        return {}
    return value if isinstance(value, dict) else {}


def array_of(body: bytes | str) -> Sequence[object] | None:
    """The elements of a JSON array; None for any other text."""
    try:
        value = value_of(body)
    except (ValueError, RecursionError):
        return None
    return value if isinstance(value, list) else None


def elements(body: bytes) -> list[bytes]:
    """The elements of a JSON array as their original bytes."""
    text, raws = _decode_leniently(_ARRAY, body)
    if text is body:
        return [bytes(raw) for raw in raws]
    at, found = 0, []
    for raw in raws:
        # Only white space and a comma lie between two elements, so this is where it begins.
        at = text.index(raw, at)
        found.append(body[at : at + len(raw)])
        at += len(raw)
    return found


def members(body: bytes) -> dict[str, bytes]:
    """The values of a compact JSON object by name, as their original bytes and in order.

    Each member is then exactly `"name":value`. ValueError for white space between tokens, an escape
    in a name, a repeated name, or half a surrogate pair.
    """
    return {name: bytes(raw) for name, raw in raw_members(body).items()}


def raw_members(body: bytes) -> dict[str, Raw]:
    """As `members`; the values are views of the body, which costs half as much."""
    values = _decode(_OBJECT, body)
    text_bytes = len("".join(values).encode()) + len(b"".join(values.values()))
    # Quotes, a colon, and a comma or brace for each; whatever else there is makes it longer.
    if len(body) != max(1 + text_bytes + 4 * len(values), len(b"{}")):
        raise ValueError("not a compact object with different names")
    return values


def only_member(body: bytes) -> tuple[str, bytes] | None:
    """The name, and the value as its original bytes, of an object of one member; None for others.

    White space may lie between its tokens. `body` must be a JSON value, as `elements` returns it.
    """
    opening = _OPENING.match(body)
    if opening is None:
        return None
    value = body[opening.end() : body.rindex(b"}")].rstrip()
    try:
        _decode_leniently(_VALUE, value)
    except ValueError:
        return None
    return opening[1].decode(), value


def _decode(decoder: Decoder[T], body: bytes) -> T:
    _check_utf8(body)  # The decoder does not look into the strings of raw values.
    try:
        return decoder.decode(body)
    except RecursionError as error:
        raise ValueError("nested too deep") from error


def _check_utf8(body: bytes) -> None:
    """UnicodeDecodeError unless it is UTF-8; without the whole text in memory."""
    if not body.isascii():
        decoder = _UTF8()
        for start in range(0, len(body), PIECE_BYTES):
            decoder.decode(body[start : start + PIECE_BYTES])
        decoder.decode(b"", final=True)


def _decode_leniently(decoder: Decoder[T], body: bytes) -> tuple[bytes, T]:
    r"""A text of the same structure and length as the body, and its value.

    The text is the body, or has no `\ud…` escapes: JSON allows half a surrogate pair (RFC 8259
    §8.2), and the decoder does not.
    """
    try:
        return body, _decode(decoder, body)
    except ValueError:
        text = body.replace(rb"\ud", rb"\u0").replace(rb"\uD", rb"\u0")
        if text == body:
            raise
        return text, _decode(decoder, text)


def _lenient_value_of(body: bytes | str) -> object:
    """Also of half a surrogate pair, a byte order mark and an integer of more than 64 bits."""
    try:
        return json.loads(body)
    except ValueError as error:
        if isinstance(error, json.JSONDecodeError | UnicodeError):
            raise
        return json.loads(body, parse_int=_integer)


def _integer(digits: str) -> int | float:
    return int(digits) if len(digits) <= _MAX_INT_DIGITS else float(digits)
