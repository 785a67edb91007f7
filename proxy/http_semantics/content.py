"""Content negotiation and gzip (RFC 9110 §8.4, §12.5).

A gzip body is a series of one or more members (RFC 1952 §2.2).
"""

import zlib
from collections.abc import Iterator

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


MAX_PLAIN_BYTES = 256 * 1024 * 1024
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
    """The bytes are not gzip, are truncated, or inflate to more than MAX_PLAIN_BYTES."""


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
        self._left_bytes = min(max_bytes or MAX_PLAIN_BYTES, MAX_PLAIN_BYTES)
        self._is_bomb = self._left_bytes == MAX_PLAIN_BYTES
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
