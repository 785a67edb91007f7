"""A secret as it may be written down: looked for where it must not be."""

import base64
import re
import zlib
from collections.abc import Iterator
from typing import Literal
from urllib.parse import quote

Spelling = Literal["plain", "cut", "URL-encoded", "escaped", "hex", "base64"]

_PART_CHARS = 16
"""So much of a secret is too much."""
_GZIP = re.compile(b"\x1f\x8b\x08")
_MOST_PLAIN_BYTES = 64 * 1024 * 1024


def spellings(secret: str) -> dict[bytes, Spelling]:
    """Every spelling that is looked for, the plainest first."""
    plain = secret.encode()
    forms: dict[bytes, Spelling] = {plain: "plain", plain.lower(): "plain", plain.upper(): "plain"}
    forms.setdefault(quote(secret, safe="").encode(), "URL-encoded")
    for mark, spelling in _MARKS:
        for digits in ("%02x", "%02X"):
            forms[b"".join(mark + digits.encode() % each for each in plain)] = spelling
    forms[plain.hex().encode()] = forms[plain.hex().upper().encode()] = "hex"
    for encode in (base64.b64encode, base64.urlsafe_b64encode):
        for before in range(3):  # what stands before it shifts it within its group of three
            forms[encode(b"x" * before + plain)[4:-4]] = "base64"
    for part in (plain[:_PART_CHARS], plain[-_PART_CHARS:]):
        forms.setdefault(part, "cut")
    return forms


_MARKS: tuple[tuple[bytes, Spelling], ...] = (
    (b"%", "URL-encoded"),
    (b"\\u00", "escaped"),
    (b"\\x", "escaped"),
)


def layers(data: bytes) -> Iterator[bytes]:
    """The bytes, and whatever in them is gzip, unpacked."""
    yield data
    for start in _GZIP.finditer(data):
        try:
            yield zlib.decompressobj(31).decompress(data[start.start() :], _MOST_PLAIN_BYTES)
        except zlib.error:
            continue
