"""Content: media type and charset (RFC 9110 §8.3; D23), gzip (§8.4), negotiation (§12.5).

Browsers and libraries read `text/plain` without a charset as Latin-1. Bytes that are valid UTF-8
are UTF-8, except in two encodings that resemble it: UTF-16 of ASCII letters contains NULs, and
ISO-2022 is ASCII with escape sequences.

A gzip body is a series of one or more members (RFC 1952 §2.2).
"""

import codecs
import re
import zlib
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
        text = text[1:-1]
        text = _QUOTED_PAIR.sub(r"\1", text) if "\\" in text else text
    return text.rpartition("'")[2] if is_extended else text.strip('"')


_FOR_PROGRAMS = frozenset({"application/json", "application/problem+json", "text/plain"})
_WILDCARDS = frozenset({"*/*", "*", "application/*"})


def is_navigation(fetch_mode: str, accept: str) -> bool:
    """Whether a browser navigates to the URL.

    By Sec-Fetch-Mode if present, else by `application/xhtml+xml`, which only navigating browsers
    name in Accept.
    """
    if fetch_mode:
        return fetch_mode == "navigate"
    return "application/xhtml+xml" in accept.lower()


def prefers_html(accept: str, fetch_mode: str) -> bool:
    """Whether to send HTML: for a navigation, else by the weights of Accept.

    Without a navigation, HTML must be named and outweigh the media types of programs, which a
    wildcard includes: Java's default Accept names HTML first.
    """
    if is_navigation(fetch_mode, accept):
        return True
    weights = dict(_weights(accept))
    if any(weights.get(wildcard, 0.0) > 0.0 for wildcard in _WILDCARDS):
        return False
    others = (weights.get(media_type, 0.0) for media_type in _FOR_PROGRAMS)
    return weights.get("text/html", 0.0) > max(others)


def wants_json(accept: str) -> bool:
    """Whether Accept names JSON."""
    return "application/json" in accept.lower()


def accepts_images(accept: str) -> bool:
    """Whether Accept is that of an `<img>`: only browsers name WebP."""
    return "image/webp" in accept.lower()


def _weights(accept: str) -> Iterator[tuple[str, float]]:
    """Each media range in lower case, and its weight from 0 to 1; 0 for a malformed weight."""
    for part in accept.lower().split(","):
        media_range, *parameters = (piece.strip() for piece in part.split(";"))
        weights = [
            value for name, _, value in (p.partition("=") for p in parameters) if name == "q"
        ]
        yield media_range, _weight(weights[0]) if weights else 1.0


def _weight(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return 0.0


MAX_INFLATED_BYTES = 256 * 1024 * 1024
"""Inflated size of one body; more is a decompression bomb, not a response."""
MAX_MEMBERS = 1000
"""Gzip members of one body; each needs a decompressor."""
PIECE_BYTES = 64 * 1024
"""Inflated bytes produced at once, in some tenths of a millisecond."""

_INPUT_BYTES = 16 * 1024
"""Compressed bytes given to zlib at once: it copies what it does not consume."""
_LEVEL = 3
"""Six times smaller at 100 MB/s; higher levels gain 10 % and take twice as long."""
_GZIP = 16 + zlib.MAX_WBITS
_LENGTH_BYTES = 4
_MAX_RATIO = 1032
"""Deflate stores 258 bytes in two bits at best."""


class InvalidEncoding(ValueError):
    """The bytes are not gzip, are truncated, or inflate to more than MAX_INFLATED_BYTES."""


class TooLong(InvalidEncoding):
    """The body, valid as far as it was read, inflates to more than the caller's limit."""


def accepts_gzip(accept_encoding: str) -> bool:
    """Whether Accept-Encoding has gzip, or `*`, with a weight above 0; an absent field does not."""
    weights: dict[str, bool] = {}
    for part in accept_encoding.lower().split(","):
        coding, _, parameters = part.partition(";")
        weights.setdefault(coding.strip(), _has_weight(parameters))
    return weights.get("gzip", weights.get("x-gzip", weights.get("*", False)))


def identity_of(body: bytes, *, gzip: bool) -> bytes:
    """The identity form of a body; InvalidEncoding as `gunzip`."""
    return gunzip(body) if gzip else body


def gunzip(body: bytes, max_bytes: int | None = None) -> bytes:
    """The identity form of a complete gzip body.

    InvalidEncoding if it is truncated, not gzip or a bomb; TooLong if it inflates to more than
    `max_bytes`.
    """
    inflater = Gunzip(max_bytes)
    plain = b"".join(inflater.feed(body))
    inflater.finish()
    return plain


def identity_length(body: bytes) -> int:
    """The inflated length in bytes of a gzip body of one member (RFC 1952 §2.3.1, ISIZE).

    Never more than gzip of this length can inflate to, as the body may be something else.
    """
    return min(int.from_bytes(body[-_LENGTH_BYTES:], "little"), len(body) * _MAX_RATIO)


def gzipped(plain: bytes) -> bytes:
    """The gzip form of a body; deterministic."""
    deflater = zlib.compressobj(_LEVEL, zlib.DEFLATED, _GZIP)
    return deflater.compress(plain) + deflater.flush()


class Gunzip:
    """Incremental gzip decoder for one body; call `finish` after the last chunk."""

    __slots__ = ("_inflater", "_is_bomb", "_left_bytes", "_members")

    def __init__(self, max_bytes: int | None = None) -> None:
        self._left_bytes = min(max_bytes or MAX_INFLATED_BYTES, MAX_INFLATED_BYTES)
        self._is_bomb = self._left_bytes == MAX_INFLATED_BYTES
        self._inflater = zlib.decompressobj(_GZIP)
        self._members = 1

    def feed(self, chunk: bytes) -> Iterator[bytes]:
        """The inflated chunk in pieces of at most PIECE_BYTES; InvalidEncoding, TooLong."""
        for at in range(0, len(chunk), _INPUT_BYTES):
            yield from self._pieces(chunk[at : at + _INPUT_BYTES])

    def finish(self) -> None:
        """InvalidEncoding unless the last member is complete."""
        if not self._inflater.eof:
            raise InvalidEncoding("gzip truncated")

    def _pieces(self, data: bytes) -> Iterator[bytes]:
        is_more = True
        while data or is_more:
            if self._inflater.eof:
                self._begin_member()
            try:
                piece = self._inflater.decompress(data, PIECE_BYTES)
            except zlib.error as error:
                raise InvalidEncoding("not gzip") from error
            data = self._inflater.unconsumed_tail or self._inflater.unused_data
            is_more = len(piece) == PIECE_BYTES and not self._inflater.eof
            self._count(len(piece))
            if piece:
                yield piece

    def _begin_member(self) -> None:
        self._members += 1
        if self._members > MAX_MEMBERS:
            raise InvalidEncoding("gzip of too many members")
        self._inflater = zlib.decompressobj(_GZIP)

    def _count(self, more_bytes: int) -> None:
        self._left_bytes -= more_bytes
        if self._left_bytes < 0:
            error = InvalidEncoding if self._is_bomb else TooLong
            raise error("gzip that inflates to more than the limit")


def _has_weight(parameters: str) -> bool:
    for parameter in parameters.split(";"):
        name, _, value = parameter.partition("=")
        if name.strip() == "q":
            return value.strip(" 0.") != ""
    return True
