"""What a durable store must do, whichever it is: SQLite on one machine, Redis beyond it (D8)."""

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
    """What is to be written, in one transaction."""

    puts: dict[CacheKey, StoredResponse] = field(default_factory=dict)
    deletes: set[CacheKey] = field(default_factory=set)
    epochs: dict[Tag, int] = field(default_factory=dict)
    min_valid_seq: int = 0
    put_bytes: int = 0
    aliases: dict[str, str] = field(default_factory=dict)
    """Names that hold for ever, and what they stand for."""

    def __bool__(self) -> bool:
        return bool(self.puts or self.deletes or self.epochs or self.min_valid_seq or self.aliases)


@dataclass(frozen=True, slots=True)
class RecoveredState:
    """What an earlier process left: invalidations, names the earliest first, and its last time."""

    epochs: Mapping[Tag, int]
    min_valid_seq: int
    aliases: Mapping[str, str] = field(default_factory=dict)
    newest_at: float = 0.0
    """POSIX seconds when the response that was stored last had been asked for."""
    is_other: bool = False
    """Whether it was filled, and is not what this process had open before."""


class StorageBackend(Protocol):
    """Any method may raise StoreError, and nothing else; only `get` is called concurrently."""

    async def open(self) -> RecoveredState:
        """Make it ready; called again after a failure."""

    async def get(self, key: CacheKey) -> StoredResponse | None:
        """The stored response, whether or not it is still usable; None also for a damaged one."""

    async def write(self, batch: WriteBatch) -> int:
        """Apply the batch and keep to the bound; how many stored responses had to go."""

    def keys(self) -> AsyncIterator[Sequence[CacheKey]]:
        """Every key, some thousands at a time."""

    async def used_bytes(self) -> int:
        """What it takes of its bound."""

    async def check(self) -> None:
        """Fail where what is open is not what would be found there."""

    async def close(self) -> None:
        """Let go of it."""
