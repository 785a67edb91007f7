"""Table of names that clients choose: bounded; idle names make room, the rest share one entry."""

from collections.abc import Callable, Collection
from typing import Generic, Protocol, TypeVar

OTHER = "other"
"""The name of the shared entry."""
IDLE_S = 3600.0
"""A name that was not used for this long may be evicted."""


class Entry(Protocol):
    @property
    def last_used_at(self) -> float: ...


E = TypeVar("E", bound=Entry)


class NameTable(Generic[E]):
    """At most `max_names` names with an entry each, and OTHER.

    A new name takes the place of the least recently used one when that is idle; else it gets the
    entry of OTHER.
    """

    def __init__(
        self, max_names: int, make: Callable[[str, float], E], permanent: Collection[str] = ()
    ) -> None:
        """`make` gets name and time; `permanent` names have entries from the start, uncounted."""
        self.entries = {name: make(name, 0.0) for name in (OTHER, *permanent)}
        self._make = make
        self._permanent = frozenset(self.entries)
        self._max_entries = max_names + len(self._permanent)

    def entry(self, name: str, now: float) -> E:
        """The entry of `name`, or of OTHER; `now` on the clock of `last_used_at`."""
        entry = self.entries.get(name)
        return self._admit(name, now) if entry is None else entry

    def _admit(self, name: str, now: float) -> E:
        if len(self.entries) >= self._max_entries and not self._evict_idle(now):
            return self.entries[OTHER]
        entry = self.entries[name] = self._make(name, now)
        return entry

    def _evict_idle(self, now: float) -> bool:
        names = (name for name in self.entries if name not in self._permanent)
        oldest = min(names, key=lambda name: self.entries[name].last_used_at)
        if now - self.entries[oldest].last_used_at < IDLE_S:
            return False
        del self.entries[oldest]
        return True
