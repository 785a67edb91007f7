"""Content codings: what a client takes, and gzip as Trello sent it (RFC 9110 §8.4, §12.5.3).

A gzip body is one member or several, one behind the other (RFC 1952 §2.2).
"""

import zlib
from collections.abc import Iterator

_FOR_PROGRAMS = frozenset({"application/json", "application/problem+json", "text/plain"})
_WILDCARDS = frozenset({"*/*", "*", "application/*"})


def is_navigation(fetch_mode: str, accept: str) -> bool:
    """Whether a browser opens the address for a person.

    By Sec-Fetch-Mode where it is sent, else by `application/xhtml+xml`, which browsers name when
    they navigate and programs do not.
    """
    if fetch_mode:
        return fetch_mode == "navigate"
    return "application/xhtml+xml" in accept.lower()


def prefers_html(accept: str, fetch_mode: str) -> bool:
    """Whether HTML is the response to send: to who navigates, else by weights.

    Without a navigation, HTML must be named and weigh more than what programs read; a wildcard
    takes that too: Java's default names HTML first and is a program's.
    """
    if is_navigation(fetch_mode, accept):
        return True
    weights = dict(_weights(accept))
    if any(weights.get(wildcard, 0.0) > 0.0 for wildcard in _WILDCARDS):
        return False
    others = (weights.get(media_type, 0.0) for media_type in _FOR_PROGRAMS)
    return weights.get("text/html", 0.0) > max(others)


def wants_json(accept: str) -> bool:
    """Whether a program asks for JSON by name."""
    return "application/json" in accept.lower()


def accepts_images(accept: str) -> bool:
    """Whether it is what browsers send for an `<img>`; programs do not name WebP."""
    return "image/webp" in accept.lower()


def _weights(accept: str) -> Iterator[tuple[str, float]]:
    """Each media range in lower case, with its weight from 0 to 1; 0 for one that is malformed."""
    for part in accept.lower().split(","):
        media_range, *parameters = (piece.strip() for piece in part.split(";"))
        named = [value for name, _, value in (p.partition("=") for p in parameters) if name == "q"]
        yield media_range, _weight(named[0]) if named else 1.0


def _weight(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return 0.0


MAX_PLAIN_BYTES = 256 * 1024 * 1024
"""Inflated bytes of one body; more is a decompression bomb, not a response."""
MAX_MEMBERS = 1000
"""Gzip members of one body; each costs a decompressor."""
PIECE_BYTES = 64 * 1024
"""Inflated bytes that are handed out at once: some tenths of a millisecond."""

_INPUT_BYTES = 16 * 1024
"""Compressed bytes given to zlib at once: what it leaves over is copied."""
_LEVEL = 3
"""Six times smaller at 100 MB/s; higher levels gain a tenth and take twice as long."""
_GZIP = 16 + zlib.MAX_WBITS
_LENGTH_BYTES = 4
_MOST_RATIO = 1032
"""Deflate stores 258 bytes in two bits at best."""


class InvalidEncoding(ValueError):
    """Bytes that are not the gzip they claim to be, are cut, or inflate beyond the bound."""


class TooLong(InvalidEncoding):
    """Sound gzip, as far as it was read, that inflates to more than the caller takes."""


def accepts_gzip(accept_encoding: str) -> bool:
    """Whether gzip is named, or covered by `*`, with a weight above 0; absence means no."""
    weights: dict[str, bool] = {}
    for part in accept_encoding.lower().split(","):
        coding, _, parameters = part.partition(";")
        weights.setdefault(coding.strip(), _wanted(parameters))
    return weights.get("gzip", weights.get("x-gzip", weights.get("*", False)))


def identity_of(body: bytes, *, gzip: bool) -> bytes:
    """The identity form of a body that is held as it came; BadCoding as `gunzip`."""
    return gunzip(body) if gzip else body


def gunzip(body: bytes, most_bytes: int | None = None) -> bytes:
    """The identity form of a whole gzip body; BadCoding when it is cut, garbage or a bomb.

    TooLong when it inflates to more than `most_bytes`.
    """
    inflater = Gunzip(most_bytes)
    plain = b"".join(inflater.feed(body))
    inflater.finish()
    return plain


def identity_length(body: bytes) -> int:
    """The length in bytes that a gzip body of one member inflates to (RFC 1952 §2.3.1, ISIZE).

    Of what may not be gzip, no more than such a body could inflate to.
    """
    return min(int.from_bytes(body[-_LENGTH_BYTES:], "little"), len(body) * _MOST_RATIO)


def gzipped(plain: bytes) -> bytes:
    """The gzip form; the same bytes for the same body."""
    deflater = zlib.compressobj(_LEVEL, zlib.DEFLATED, _GZIP)
    return deflater.compress(plain) + deflater.flush()


class Gunzip:
    """Inflates one gzip body, chunk by chunk; `finish` raises BadCoding when it was cut."""

    __slots__ = ("_inflater", "_is_bomb", "_left_bytes", "_members")

    def __init__(self, most_bytes: int | None = None) -> None:
        self._left_bytes = min(most_bytes or MAX_PLAIN_BYTES, MAX_PLAIN_BYTES)
        self._is_bomb = self._left_bytes == MAX_PLAIN_BYTES
        self._inflater = zlib.decompressobj(_GZIP)
        self._members = 1

    def feed(self, chunk: bytes) -> Iterator[bytes]:
        """What the chunk inflates to, in pieces of at most PIECE_BYTES; BadCoding, TooLong."""
        for at in range(0, len(chunk), _INPUT_BYTES):
            yield from self._pieces(chunk[at : at + _INPUT_BYTES])

    def finish(self) -> None:
        """BadCoding unless the last member is complete."""
        if not self._inflater.eof:
            raise InvalidEncoding("gzip cut")

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
            fault = InvalidEncoding if self._is_bomb else TooLong
            raise fault("gzip that inflates to more than it may")


def _wanted(parameters: str) -> bool:
    for parameter in parameters.split(";"):
        name, _, value = parameter.partition("=")
        if name.strip() == "q":
            return value.strip(" 0.") != ""
    return True
