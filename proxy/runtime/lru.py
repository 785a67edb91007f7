"""LRU map: bounded; the least recently used entry is evicted."""

from collections import OrderedDict
from typing import TypeVar

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
