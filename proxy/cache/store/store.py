"""Response store: memory first, then disk; an invalidated response is never returned."""

from collections import OrderedDict
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Protocol

from proxy.cache.store.alias_table import AliasTable
from proxy.cache.store.disk_tier import WriteBehindTier
from proxy.cache.store.tag_epochs import TagEpochs
from proxy.model import AliasEntry, CacheKey, RequestTime, StoredResponse, Tag


@dataclass(frozen=True, slots=True, weakref_slot=True, eq=False)
class IdentityForm:
    """The identity form of a gzip body."""

    body: bytes


class MemoryTier:
    """LRU by size; a response larger than an eighth of the limit is not stored here."""

    def __init__(self, limit_bytes: int) -> None:
        self.limit_bytes = limit_bytes
        self.used_bytes = 0
        self.evictions = 0
        self.turn = 0
        """Advances with every response that is stored or removed."""
        self._stored: OrderedDict[CacheKey, StoredResponse] = OrderedDict()
        self._plain: dict[CacheKey, IdentityForm] = {}
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
        self.turn += 1
        self.used_bytes += stored.size_bytes
        self._evict()

    def plain(self, stored: StoredResponse) -> IdentityForm | None:
        """The identity form stored with this very response, if any."""
        return self._plain.get(stored.key) if self._stored.get(stored.key) is stored else None

    def keep_plain(self, stored: StoredResponse, plain: bytes) -> None:
        """Store the identity form as long as the response (D26); no effect if that is not here."""
        if self._stored.get(stored.key) is stored and stored.key not in self._plain:
            self._plain[stored.key] = IdentityForm(plain)
            self.used_bytes += len(plain)
            self._evict()

    def drop(self, key: CacheKey) -> None:
        """Remove a response, if it is here."""
        stored = self._stored.pop(key, None)
        if stored is not None:
            self.turn += 1
            self.used_bytes -= stored.size_bytes
        plain = self._plain.pop(key, None)
        if plain is not None:
            self.used_bytes -= len(plain.body)

    def _evict(self) -> None:
        while self.used_bytes > self.limit_bytes:
            self.drop(next(iter(self._stored)))
            self.evictions += 1


def key_tag(key: CacheKey) -> Tag:
    """Tag of whatever is stored under this key, for copies elsewhere; no response has it here."""
    return Tag(f"key {key}")


class FollowerBarrier(Protocol):
    """Copies of stored responses that other nodes of a fleet, or workers, serve (D72)."""

    @property
    def term(self) -> int:
        """Of this node as the leader."""

    @property
    def number(self) -> int:
        """Of the last invalidation."""

    def publish(self, tags: Iterable[Tag]) -> int:
        """Have the others invalidate `tags` too; the number of that."""

    async def passed(self, number: int, at_most_s: float | None = None) -> None:
        """Return when no node serves what was invalidated up to `number`; TimeoutError."""

    async def confirmed(self) -> None:
        """The same for all invalidations so far, within seconds."""


class ResponseStore:
    """Stored responses in both tiers; state changes in synchronous methods only."""

    def __init__(self, memory: MemoryTier, disk: WriteBehindTier | None, epochs: TagEpochs) -> None:
        self.barrier: FollowerBarrier | None = None
        """Gets the tags of what is purged, marked stale, removed, or replaced; None: this process
        is the only one."""
        self.memory = memory
        self.disk = disk
        self.aliases = disk.aliases if disk is not None else AliasTable()
        self.epochs = epochs

    @property
    def seq(self) -> int:
        """Advances with every invalidation; requests are collapsed only while it is unchanged."""
        return self.epochs.seq

    @property
    def is_working(self) -> bool:
        """Whether all tiers work."""
        return self.disk is None or self.disk.is_working

    @property
    def newest_at(self) -> float:
        """POSIX seconds of the newest request of an earlier process; 0: unknown."""
        return self.disk.newest_at if self.disk is not None else 0.0

    @property
    def taken(self) -> str:
        """How another process keeps the tier below memory off; empty unless one does."""
        return self.disk.taken if self.disk is not None else ""

    @property
    def is_empty(self) -> bool:
        """Whether nothing is stored, valid or not."""
        return not len(self.memory) and not (self.disk and self.disk.may_have_any)

    def peek(self, key: CacheKey) -> StoredResponse | None:
        """The stored response in memory, if none of its tags was invalidated; no await."""
        stored = self.memory.get(key)
        if stored is None or self._is_current(stored):
            return stored
        self.memory.drop(key)
        return None

    async def get(self, key: CacheKey) -> StoredResponse | None:
        """The same from memory or disk, stale or not; a failing disk is a miss."""
        stored = self.peek(key)
        if stored is not None or self.disk is None:
            return stored
        on_disk = await self.disk.get(key)
        # A response stored while the disk was read is newer.
        stored = self.peek(key)
        if stored is not None or on_disk is None or not self._is_current(on_disk):
            return stored
        self.memory.put(on_disk)
        return on_disk

    def put(self, stored: StoredResponse) -> bool:
        """Store a response unless one of its tags was invalidated or marked stale since."""
        if not self.is_valid_since(stored.tags, stored.requested_seq):
            return False
        self._put(stored)
        return True

    async def mark_missing(self, key: CacheKey, requested: RequestTime, confirmed_s: float) -> None:
        """Mark a stored response as stale since a 404 that was requested later (soft purge).

        A 404 that comes `confirmed_s` seconds after the first removes it.
        """
        stored = await self.get(key)
        if stored is None or stored.requested > requested:
            return
        if stored.missing_since is None:
            self._put(replace(stored, missing_since=requested.at))
        elif requested.at - stored.missing_since >= confirmed_s:
            self.drop(key)

    def drop(self, key: CacheKey) -> None:
        """Remove one stored response."""
        self.memory.drop(key)
        if self.disk is not None:
            self.disk.drop(key)
        self._notify((key_tag(key),))

    def purge(self, tags: Iterable[Tag]) -> None:
        """Purge responses with one of `tags` that were requested until now."""
        named = tuple(tags)
        self.epochs.invalidate(named)
        if self.disk is not None:
            self.disk.note_invalidation(named)
        self._notify(named)

    def mark_stale(self, tags: Iterable[Tag]) -> None:
        """Mark responses with one of `tags` that were requested until now stale (soft purge)."""
        named = tuple(tags)
        names = self.epochs.mark_stale(named)
        if self.disk is not None:
            self.disk.note_invalidation(names)
        self._notify(named)

    def is_stale_by_tag(self, stored: StoredResponse) -> bool:
        """Whether it was marked stale, at any age."""
        return stored.missing_since is not None or self.epochs.is_stale(
            stored.tags, stored.requested_seq
        )

    def add_aliases(self, entries: Iterable[AliasEntry]) -> None:
        """Add aliases found in a response; permanent ones are also stored on disk."""
        new = self.aliases.add(entries)
        if self.disk is not None:
            self.disk.add_aliases(new)

    def is_valid_since(self, tags: Iterable[Tag], requested_seq: int) -> bool:
        """Whether none of `tags` was invalidated or marked stale since `requested_seq`."""
        named = tuple(tags)
        epochs = self.epochs
        return epochs.is_current(named, requested_seq) and not epochs.is_stale(named, requested_seq)

    async def flush(self) -> bool:
        """Whether changes so far would survive a crash; after a second at most."""
        return self.disk is None or await self.disk.flush()

    def _put(self, stored: StoredResponse) -> None:
        self.memory.put(stored)
        if self.disk is not None:
            self.disk.put(stored)
        self._notify((key_tag(stored.key),))

    def _notify(self, tags: Iterable[Tag]) -> None:
        if self.barrier is not None:
            self.barrier.publish(tags)

    def _is_current(self, stored: StoredResponse) -> bool:
        return self.epochs.is_current(stored.tags, stored.requested_seq)
