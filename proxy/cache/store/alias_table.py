"""What answers have shown of names and owners; in memory, bounded, least recently used first out.

Whether a fact still holds is for its reader to ask: this only remembers what was said last.
"""

from collections import OrderedDict
from collections.abc import Iterable, Mapping

from proxy.model import NEVER_EXPIRES, AliasEntry

MAX_ALIASES = 50_000
"""About 20 MB of memory when full."""


class AliasTable:
    """Facts, by what they are about."""

    def __init__(self) -> None:
        self._entries: OrderedDict[str, AliasEntry] = OrderedDict()

    def __len__(self) -> int:
        return len(self._entries)

    def get(self, about: str) -> AliasEntry | None:
        """The fact, now the most recently used one."""
        entry = self._entries.get(about)
        if entry is not None:
            self._entries.move_to_end(about)
        return entry

    def add(self, entries: Iterable[AliasEntry]) -> dict[str, str]:
        """Remember what was asked for last; of names that hold for ever, those that are new."""
        new: dict[str, str] = {}
        for entry in entries:
            held = self._entries.get(entry.name)
            if held is not None and held.target_ids == entry.target_ids:
                if entry.expires_at != NEVER_EXPIRES:
                    self._put(_confirmed(held, entry))
            elif held is None or _asked(held) <= _asked(entry):
                self._put(entry)
                if entry.expires_at == NEVER_EXPIRES:
                    new[entry.name] = entry.target_ids[0]
        return new

    def restore(self, names: Mapping[str, str]) -> None:
        """Take in the names that an earlier process had learned."""
        for about, known_id in names.items():
            if about not in self._entries:
                self._put(AliasEntry(about, (known_id,), 0.0, 0, NEVER_EXPIRES))

    def _put(self, entry: AliasEntry) -> None:
        self._entries[entry.name] = entry
        if len(self._entries) > MAX_ALIASES:
            self._entries.popitem(last=False)


def _asked(entry: AliasEntry) -> tuple[int, float]:
    return entry.requested_seq, entry.requested_at


def _confirmed(held: AliasEntry, entry: AliasEntry) -> AliasEntry:
    """The later of two answers that say the same, used as long as either could be."""
    later = entry if _asked(entry) >= _asked(held) else held
    until = max(held.expires_at, entry.expires_at)
    return later if later.expires_at == until else later._replace(expires_at=until)
