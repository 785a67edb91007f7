"""Bounded maps: the least recently used entry is evicted."""

from collections import OrderedDict
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


K = TypeVar("K")
V = TypeVar("V")


class LruDict(OrderedDict[K, V]):
    """At most `max_items` entries, in the order of their last use: setting, or `use`.

    Reading with `[]` or `get` is not a use.
    """

    def __init__(self, max_items: int) -> None:
        super().__init__()
        self.max_items = max_items
        self.evictions = 0
        """How many entries were evicted so far."""

    def __setitem__(self, key: K, value: V) -> None:
        super().__setitem__(key, value)
        self.move_to_end(key)
        if len(self) > self.max_items:
            self.popitem(last=False)
            self.evictions += 1

    def use(self, key: K) -> V | None:
        """The value, now the most recently used; None when there is none."""
        value = self.get(key)
        if value is not None:
            self.move_to_end(key)
        return value
