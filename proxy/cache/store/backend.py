"""Storage backend: the interface of durable stores (SQLite on one machine, Redis: D8)."""

from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from proxy.model import (
    CacheKey,
    StoredResponse,
    Tag,
)


@dataclass(slots=True)
class WriteBatch:
    """Changes to write in one transaction."""

    puts: dict[CacheKey, StoredResponse] = field(default_factory=dict)
    deletes: set[CacheKey] = field(default_factory=set)
    epochs: dict[Tag, int] = field(default_factory=dict)
    min_valid_seq: int = 0
    put_bytes: int = 0
    aliases: dict[str, str] = field(default_factory=dict)
    """Permanent names, and the ids they mean."""
    identity: str = ""
    """Identity of the cache partitions; empty: unchanged. Only Redis keeps it."""

    def __bool__(self) -> bool:
        changes = self.puts, self.deletes, self.epochs, self.aliases
        return any(map(bool, changes)) or bool(self.min_valid_seq or self.identity)


@dataclass(frozen=True, slots=True)
class RecoveredState:
    """State of an earlier process: invalidations, permanent names in order, newest response."""

    epochs: Mapping[Tag, int]
    min_valid_seq: int
    aliases: Mapping[str, str] = field(default_factory=dict)
    newest_at: float = 0.0
    """POSIX seconds when the newest stored response was requested."""
    is_other: bool = False
    """Whether it is not empty, and not the one that this process had open before."""
    is_incomplete: bool = False
    """Whether epochs, names and identity were lost: the next batch must hold all of them."""
    identity: str = ""


class StorageBackend(Protocol):
    """A durable store; methods raise only StoreError, and only `get` is called concurrently."""

    async def open(self) -> RecoveredState:
        """Open the store; called again after a failure."""

    async def get(self, key: CacheKey) -> StoredResponse | None:
        """The stored response, valid or not; None also if it is damaged."""

    async def write(self, batch: WriteBatch) -> int:
        """Apply the batch within the size limit; the number of evicted responses."""

    def keys(self) -> AsyncIterator[Sequence[CacheKey]]:
        """All keys, in pages."""

    async def used_bytes(self) -> int:
        """Bytes used of the size limit."""

    async def check(self) -> None:
        """StoreError if the open store was removed or replaced on disk."""

    async def close(self) -> None:
        """Close the store."""
