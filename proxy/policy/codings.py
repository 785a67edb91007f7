"""Content codings: what a client takes, and gzip as Trello sent it (RFC 9110 §8.4, §12.5.3)."""

import zlib

MAX_PLAIN_BYTES = 256 * 1024 * 1024
"""What a stored answer may inflate to; above it is a decompression bomb, not an answer."""

_LEVEL = 3
"""Six times smaller at 100 MB/s; higher levels gain a tenth and take twice as long."""
_GZIP = 16 + zlib.MAX_WBITS


class BadCoding(ValueError):
    """Bytes that are not the gzip they claim to be, are cut, or inflate beyond the bound."""


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


def gunzip(body: bytes) -> bytes:
    """The identity form of a whole gzip body; BadCoding when it is cut, garbage or a bomb."""
    inflater = zlib.decompressobj(_GZIP)
    try:
        plain = inflater.decompress(body, MAX_PLAIN_BYTES)
    except zlib.error as error:
        raise BadCoding("not gzip") from error
    if not inflater.eof or inflater.unused_data:
        raise BadCoding("gzip cut, followed by other bytes, or too large")
    return plain


def gzipped(plain: bytes) -> bytes:
    """The gzip form; the same bytes for the same body."""
    deflater = zlib.compressobj(_LEVEL, zlib.DEFLATED, _GZIP)
    return deflater.compress(plain) + deflater.flush()


class Gunzip:
    """The same, a chunk at a time; `finish` raises BadCoding when the stream was cut."""

    def __init__(self) -> None:
        self._inflater = zlib.decompressobj(_GZIP)

    def feed(self, chunk: bytes) -> bytes:
        try:
            return self._inflater.decompress(chunk)
        except zlib.error as error:
            raise BadCoding("not gzip") from error

    def finish(self) -> bytes:
        if not self._inflater.eof or self._inflater.unused_data:
            raise BadCoding("gzip cut, or followed by other bytes")
        return b""


def _wanted(parameters: str) -> bool:
    for parameter in parameters.split(";"):
        name, _, value = parameter.partition("=")
        if name.strip() == "q":
            return value.strip(" 0.") != ""
    return True
