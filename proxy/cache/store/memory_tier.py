"""Memory tier: the most recently used stored responses, bounded in bytes."""

from collections import OrderedDict

from proxy.model import CacheKey, StoredResponse


class MemoryTier:
    """LRU by size; a response larger than an eighth of the limit is not stored here."""

    def __init__(self, limit_bytes: int) -> None:
        self.limit_bytes = limit_bytes
        self.used_bytes = 0
        self.evictions = 0
        self._stored: OrderedDict[CacheKey, StoredResponse] = OrderedDict()
        self._plain: dict[CacheKey, bytes] = {}
        """Identity forms of gzip bodies, for clients without gzip."""

    def __len__(self) -> int:
        return len(self._stored)

    def get(self, key: CacheKey) -> StoredResponse | None:
        """The stored response, now the most recently used one."""
        stored = self._stored.get(key)
        if stored is not None:
            self._stored.move_to_end(key)
        return stored

    def put(self, stored: StoredResponse) -> None:
        """Store a response, and evict others to the limit."""
        self.drop(stored.key)
        if stored.size_bytes > self.limit_bytes // 8:
            return
        self._stored[stored.key] = stored
        self.used_bytes += stored.size_bytes
        self._evict()

    def plain(self, stored: StoredResponse) -> bytes | None:
        """The identity form stored with this very response, if any."""
        return self._plain.get(stored.key) if self._stored.get(stored.key) is stored else None

    def keep_plain(self, stored: StoredResponse, plain: bytes) -> None:
        """Store the identity form as long as the response; no effect if that is not here."""
        if self._stored.get(stored.key) is stored and stored.key not in self._plain:
            self._plain[stored.key] = plain
            self.used_bytes += len(plain)
            self._evict()

    def drop(self, key: CacheKey) -> None:
        """Remove a response, if it is here."""
        stored = self._stored.pop(key, None)
        if stored is not None:
            self.used_bytes -= stored.size_bytes + len(self._plain.pop(key, b""))

    def _evict(self) -> None:
        while self.used_bytes > self.limit_bytes:
            self.drop(next(iter(self._stored)))
            self.evictions += 1
