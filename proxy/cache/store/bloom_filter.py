"""Bloom filter of the keys on disk, so that a miss needs no read.

A key that was added is always found; any other key may be found too, which costs one read.
"""

from collections.abc import Iterable

from proxy.model import CacheKey

_BITS = 1 << 25
"""4 MiB; at a million keys and four probes about one in four hundred is a false positive."""
_PROBES = 4


class BloomFilter:
    """Keys are hexadecimal digests, so their own digits serve as the hash functions."""

    def __init__(self) -> None:
        self._bits = bytearray(_BITS // 8)
        self.is_empty = True

    def add(self, keys: Iterable[CacheKey]) -> None:
        for key in keys:
            self.is_empty = False
            for bit in _probes(key):
                self._bits[bit >> 3] |= 1 << (bit & 7)

    def may_contain(self, key: CacheKey) -> bool:
        return all(self._bits[bit >> 3] >> (bit & 7) & 1 for bit in _probes(key))


def _probes(key: CacheKey) -> list[int]:
    digits = int(key[:32], 16)
    return [(digits >> (32 * probe)) % _BITS for probe in range(_PROBES)]
