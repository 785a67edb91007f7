"""Stored responses: memory first, then disk; what was invalidated is never handed out."""

from collections.abc import Iterable
from dataclasses import replace

from proxy.cache.store.alias_table import AliasTable
from proxy.cache.store.disk_tier import WriteBehindTier
from proxy.cache.store.memory_tier import MemoryTier
from proxy.cache.store.tag_epochs import TagEpochs
from proxy.model import (
    AliasEntry,
    CacheKey,
    RequestTime,
    StoredResponse,
    Tag,
)


class ResponseStore:
    """The one door to what is stored. Its state changes in synchronous methods only."""

    def __init__(self, memory: MemoryTier, disk: WriteBehindTier | None, epochs: TagEpochs) -> None:
        self.memory = memory
        self.disk = disk
        self.aliases = disk.aliases if disk is not None else AliasTable()
        self._epochs = epochs

    @property
    def seq(self) -> int:
        """Advances with every change told of; a flight may be joined while it has not moved."""
        return self._epochs.seq

    @property
    def is_working(self) -> bool:
        """Whether everything there is to store with works."""
        return self.disk is None or self.disk.is_working

    @property
    def newest_at(self) -> float:
        """POSIX seconds when an earlier process had last asked for what is stored; 0: unknown."""
        return self.disk.newest_at if self.disk is not None else 0.0

    @property
    def is_taken(self) -> bool:
        """Whether another process uses the directory, so that this one keeps nothing on disk."""
        return self.disk is not None and self.disk.is_taken

    @property
    def is_empty(self) -> bool:
        """Whether nothing is stored, usable or not."""
        return not len(self.memory) and not (self.disk and self.disk.may_have_any)

    def peek(self, key: CacheKey) -> StoredResponse | None:
        """The stored response in memory, if none of its tags was invalidated; no await."""
        stored = self.memory.get(key)
        if stored is None or self._is_current(stored):
            return stored
        self.memory.drop(key)
        return None

    async def get(self, key: CacheKey) -> StoredResponse | None:
        """The same from memory or disk, outdated or not; a failing disk is a miss."""
        stored = self.peek(key)
        if stored is not None or self.disk is None:
            return stored
        on_disk = await self.disk.get(key)
        # While the disk was read a flight may have landed: what it brought is newer.
        stored = self.peek(key)
        if stored is not None or on_disk is None or not self._is_current(on_disk):
            return stored
        self.memory.put(on_disk)
        return on_disk

    def put(self, stored: StoredResponse) -> bool:
        """Keep it, unless one of its tags was invalidated or outdated after it was asked for."""
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
        """Forget one stored response."""
        self.memory.drop(key)
        if self.disk is not None:
            self.disk.drop(key)

    def invalidate(self, tags: Iterable[Tag]) -> None:
        """From here on nothing asked for earlier under one of `tags` is handed out."""
        named = tuple(tags)
        self._epochs.invalidate(named)
        if self.disk is not None:
            self.disk.note_invalidation(named)

    def mark_stale(self, tags: Iterable[Tag]) -> None:
        """From here on what was asked for earlier under one of `tags` is stale, and kept."""
        names = self._epochs.mark_stale(tags)
        if self.disk is not None:
            self.disk.note_invalidation(names)

    def is_stale_by_tag(self, stored: StoredResponse) -> bool:
        """Whether it is known to be stale, whatever its age."""
        return stored.missing_since is not None or self._epochs.is_outdated(
            stored.tags, stored.requested_seq
        )

    def add_aliases(self, entries: Iterable[AliasEntry]) -> None:
        """Remember what an answer has shown; of that, names that hold for ever outlive this."""
        new = self.aliases.add(entries)
        if self.disk is not None:
            self.disk.add_aliases(new)

    def is_valid_since(self, tags: Iterable[Tag], requested_seq: int) -> bool:
        """Whether none of `tags` was invalidated or outdated since `asked_seq`."""
        named = tuple(tags)
        is_outdated = self._epochs.is_outdated(named, requested_seq)
        return self._epochs.is_current(named, requested_seq) and not is_outdated

    async def flush(self) -> None:
        """Return when what was said so far would survive a crash, or after a second at most."""
        if self.disk is not None:
            await self.disk.flush()

    def _put(self, stored: StoredResponse) -> None:
        self.memory.put(stored)
        if self.disk is not None:
            self.disk.put(stored)

    def _is_current(self, stored: StoredResponse) -> bool:
        return self._epochs.is_current(stored.tags, stored.requested_seq)
