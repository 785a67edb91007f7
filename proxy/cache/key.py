"""The cache key: a digest of whose response it is and of the target sent upstream (RFC 9111 §2)."""

import hashlib

from proxy.model import CacheKey


def missing_key(key: CacheKey) -> CacheKey:
    """The key of a 404 for the same target: beside a stored 200, which it must not replace."""
    return CacheKey(f"{key}-404")


def key_of(partition: str, target: str) -> CacheKey:
    """The key of a canonical target: one key is one target upstream, byte for byte (D5).

    A digest, so that a key can be logged, stored and shared without revealing an id or a name. The
    partition is framed by its length: no two pairs run together.
    """
    framed = b"%d:%b%b" % (len(partition.encode()), partition.encode(), target.encode())
    return CacheKey(hashlib.blake2b(framed, digest_size=20).hexdigest())
