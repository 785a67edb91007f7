"""The cache key: one for every spelling of one read (RFC 9111 §2; D5)."""

import hashlib
from collections.abc import Sequence
from urllib.parse import unquote_to_bytes

from proxy.model import CacheKey


def canonical_query(raw: str) -> bytes:
    """The same bytes for the same parameters, however spelt and in whatever order.

    Parameters are sorted by name; those of one name keep their order, which may matter. `+` and
    `%20` are one, raw and encoded commas are one; bytes that differ after decoding stay different.
    """
    pairs = [_pair(part) for part in raw.split("&") if part]
    pairs.sort(key=lambda pair: pair[0])
    return b"".join(_framed(name) + _framed(value) for name, value in pairs)


def key_of(partition: str, segments: Sequence[str], query: str, body: bytes = b"") -> CacheKey:
    """A digest of everything an answer depends on: whose it is, what is read, how it is asked.

    A digest, so that a key can be logged, stored and shared without revealing an id or a name.
    Every part is framed by its length: no two different reads run together.
    """
    digest = hashlib.blake2b(_framed(partition.encode()), digest_size=20)
    for segment in segments:
        digest.update(_framed(segment.encode()))
    digest.update(b"?")
    if query:
        digest.update(canonical_query(query))
    if body:
        digest.update(b"\n" + _framed(body))
    return CacheKey(digest.hexdigest())


def _pair(part: str) -> tuple[bytes, bytes]:
    name, _, value = part.replace("+", " ").partition("=")
    return unquote_to_bytes(name), unquote_to_bytes(value)


def _framed(part: bytes) -> bytes:
    return b"%d:%b" % (len(part), part)
