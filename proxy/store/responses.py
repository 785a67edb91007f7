"""Stored responses: memory first, then disk; what was invalidated is never handed out."""

from collections.abc import Iterable
from dataclasses import replace

from proxy.model import CacheKey, Fact, StoredResponse, Tag
from proxy.store.aliases import Aliases
from proxy.store.durable import Durable
from proxy.store.epochs import Epochs
from proxy.store.memory import Memory


class Responses:
    """The one door to what is stored. Its state changes in synchronous methods only."""

    def __init__(self, memory: Memory, durable: Durable | None, epochs: Epochs) -> None:
        self.memory = memory
        self.durable = durable
        self.aliases = durable.aliases if durable is not None else Aliases()
        self._epochs = epochs

    @property
    def seq(self) -> int:
        """Advances with every change told of; a flight may be joined while it has not moved."""
        return self._epochs.seq

    @property
    def works(self) -> bool:
        """Whether everything there is to store with works."""
        return self.durable is None or self.durable.works

    @property
    def newest_at(self) -> float:
        """POSIX seconds when an earlier process had last asked for what is stored; 0: unknown."""
        return self.durable.newest_at if self.durable is not None else 0.0

    @property
    def is_taken(self) -> bool:
        """Whether another process uses the directory, so that this one keeps nothing on disk."""
        return self.durable is not None and self.durable.is_taken

    @property
    def is_empty(self) -> bool:
        """Whether nothing is stored, usable or not."""
        return not len(self.memory) and not (self.durable and self.durable.may_have_any)

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
        if stored is not None or self.durable is None:
            return stored
        on_disk = await self.durable.get(key)
        # While the disk was read a flight may have landed: what it brought is newer.
        stored = self.peek(key)
        if stored is not None or on_disk is None or not self._is_current(on_disk):
            return stored
        self.memory.put(on_disk)
        return on_disk

    def put(self, stored: StoredResponse) -> bool:
        """Keep it, unless one of its tags was invalidated or outdated after it was asked for."""
        if not self.holds(stored.tags, stored.asked_seq):
            return False
        self._put(stored)
        return True

    async def mark_missing(
        self, key: CacheKey, asked: tuple[int, float], confirmed_s: float
    ) -> None:
        """Mark a stored response as stale since a 404 that was `asked` for later (soft purge).

        A 404 that comes `confirmed_s` seconds after the first removes it.
        """
        stored, at = await self.get(key), asked[1]
        if stored is None or stored.asked > asked:
            return
        if stored.missing_since is None:
            self._put(replace(stored, missing_since=at))
        elif at - stored.missing_since >= confirmed_s:
            self.drop(key)

    def drop(self, key: CacheKey) -> None:
        """Forget one stored response."""
        self.memory.drop(key)
        if self.durable is not None:
            self.durable.drop(key)

    def invalidate(self, tags: Iterable[Tag]) -> None:
        """From here on nothing asked for earlier under one of `tags` is handed out."""
        named = tuple(tags)
        self._epochs.advance(named)
        if self.durable is not None:
            self.durable.invalidated(named)

    def outdate(self, tags: Iterable[Tag]) -> None:
        """From here on what was asked for earlier under one of `tags` is stale, and kept."""
        names = self._epochs.outdate(tags)
        if self.durable is not None:
            self.durable.invalidated(names)

    def is_outdated(self, stored: StoredResponse) -> bool:
        """Whether it is known to be stale, whatever its age."""
        return stored.missing_since is not None or self._epochs.is_outdated(
            stored.tags, stored.asked_seq
        )

    def learn(self, facts: Iterable[Fact]) -> None:
        """Remember what an answer has shown; of that, names that hold for ever outlive this."""
        new = self.aliases.learn(facts)
        if self.durable is not None:
            self.durable.learned(new)

    def holds(self, tags: Iterable[Tag], asked_seq: int) -> bool:
        """Whether none of `tags` was invalidated or outdated since `asked_seq`."""
        named = tuple(tags)
        is_outdated = self._epochs.is_outdated(named, asked_seq)
        return self._epochs.is_current(named, asked_seq) and not is_outdated

    async def flushed(self) -> None:
        """Return when what was said so far would survive a crash, or after a second at most."""
        if self.durable is not None:
            await self.durable.flushed()

    def _put(self, stored: StoredResponse) -> None:
        self.memory.put(stored)
        if self.durable is not None:
            self.durable.put(stored)

    def _is_current(self, stored: StoredResponse) -> bool:
        return self._epochs.is_current(stored.tags, stored.asked_seq)
