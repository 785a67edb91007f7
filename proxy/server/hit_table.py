"""Hit table: prepared hits by request header, bounded in number and in bytes of the headers.

A header that holds no secret is a key as it came, which is the cheapest to look up. Any other is
known by a digest, keyed per process: nothing kept here helps to guess a credential, neither by
reading memory nor by the time that a look-up takes.
"""

import re
from collections import OrderedDict
from collections.abc import Iterable
from typing import Generic, TypeVar

MAX_ENTRIES = 20_000
"""Prepared hits of one listener; the least recently used are evicted."""
MAX_FILES = 1_000
"""Prepared files of one listener: each holds the request by which a lost file is fetched again."""
MAX_KEY_BYTES = 8 * 1024 * 1024
"""Size of their keys, as headers and digests."""
_FIELDS_WITHOUT_SECRETS = frozenset(
    (
        b"accept accept-charset accept-encoding accept-language cache-control connection dnt host "
        b"if-none-match keep-alive origin pragma priority sec-fetch-dest sec-fetch-mode "
        b"sec-fetch-site sec-fetch-user sec-gpc te upgrade-insecure-requests user-agent "
        b"x-requested-with"
    ).split()
)
_MAY_BE_SECRET = re.compile(rb"[0-9A-Za-z_-]{32,}")
"""Keys have 32 hexadecimal digits, tokens and client keys more; the id of an object has 24."""

V = TypeVar("V")


def has_no_secret(header: bytes, names: Iterable[bytes]) -> bool:
    """Whether a header with fields of these names may be kept as it came.

    The caller knows that no credential was found in it.
    """
    is_listed = all(name.lower() in _FIELDS_WITHOUT_SECRETS for name in names)
    return is_listed and not _MAY_BE_SECRET.search(header)


class HitTable(Generic[V]):
    """Prepared hits, in the order of their last use."""

    def __init__(self, max_entries: int, max_key_bytes: int) -> None:
        self._entries = OrderedDict[bytes, V]()
        self._max_entries = max_entries
        self._max_key_bytes = max_key_bytes
        self._key_bytes = 0
        self.get = self._entries.get
        """The hit with this key; None if there is none. Not a use."""
        self.use = self._entries.move_to_end
        """Note the use of an entry."""

    def __len__(self) -> int:
        return len(self._entries)

    def put(self, key: bytes, hit: V) -> None:
        """Keep a hit, and evict others."""
        self.drop(key)
        self._entries[key] = hit
        self._key_bytes += len(key)
        while len(self._entries) > self._max_entries or self._key_bytes > self._max_key_bytes:
            self.drop(next(iter(self._entries)))

    def drop(self, key: bytes) -> None:
        """Remove a hit, if it is here."""
        if self._entries.pop(key, None) is not None:
            self._key_bytes -= len(key)

    def clear(self) -> None:
        """Remove all hits."""
        self._entries.clear()
        self._key_bytes = 0
