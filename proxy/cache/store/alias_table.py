"""Alias table: names and owners learned from responses; in memory, LRU.

Whether an entry is still valid is for its reader to check: the table holds the latest one.
"""

from collections.abc import Callable, Iterable, Mapping

from proxy.model import NEVER_EXPIRES, AliasEntry
from proxy.runtime.lru import LruDict

MAX_ALIASES = 50_000
"""About 20 MB of memory when full."""


class AliasTable:
    """Alias entries by name."""

    def __init__(self) -> None:
        self._entries: LruDict[str, AliasEntry] = LruDict(MAX_ALIASES)
        self.on_move: Callable[[], None] = _nothing
        """Called when an object is seen on another board: it may have left a client's scope."""

    def __len__(self) -> int:
        return len(self._entries)

    def get(self, name: str) -> AliasEntry | None:
        """The entry, now the most recently used one."""
        return self._entries.use(name)

    def add(self, entries: Iterable[AliasEntry]) -> dict[str, str]:
        """Add entries unless a later request has shown others; returns new permanent names."""
        new: dict[str, str] = {}
        for entry in entries:
            held = self._entries.get(entry.name)
            if held is not None and held.target_ids == entry.target_ids:
                if entry.expires_at != NEVER_EXPIRES:
                    self._put(_confirmed(held, entry))
            elif held is None or _requested(held) <= _requested(entry):
                self._put(entry)
                if held is not None and held.target_ids[-1] != entry.target_ids[-1]:
                    self.on_move()
                if entry.expires_at == NEVER_EXPIRES:
                    new[entry.name] = entry.target_ids[0]
        return new

    def restore(self, names: Mapping[str, str]) -> None:
        """Add the permanent names that an earlier process learned."""
        for name, known_id in names.items():
            if name not in self._entries:
                self._put(AliasEntry(name, (known_id,), 0.0, 0, NEVER_EXPIRES))

    def permanent(self) -> dict[str, str]:
        """The names that hold for ever."""
        return {
            entry.name: entry.target_ids[0]
            for entry in self._entries.values()
            if entry.expires_at == NEVER_EXPIRES
        }

    def _put(self, entry: AliasEntry) -> None:
        self._entries[entry.name] = entry


def _requested(entry: AliasEntry) -> tuple[int, float]:
    return entry.requested_seq, entry.requested_at


def _nothing() -> None:
    return None


def _confirmed(held: AliasEntry, entry: AliasEntry) -> AliasEntry:
    """The later of two equal entries, with the later expiry."""
    later = entry if _requested(entry) >= _requested(held) else held
    until = max(held.expires_at, entry.expires_at)
    return later if later.expires_at == until else later._replace(expires_at=until)
