"""Memory held for clients: one budget over all connections (`limits.memory`). Pure accounting.

Counted are request bodies that are read whole, response bodies that one client alone is sent, and
the buffers of connections: what was received and not yet read, written and not yet taken. Stored
responses are not: they are shared, and bounded by `cache.memory`.

A hold that does not fit is refused before its bytes are there. A buffer is full already when it is
counted: where it does not fit, the connection whose buffer has been full the longest is aborted.
"""

from collections import OrderedDict
from collections.abc import Callable
from typing import Literal, Protocol, get_args

from proxy.errors import MemoryFull

Use = Literal["requests", "responses", "buffers"]

HOLDS_SHARE = 0.75
"""Of the budget: the rest is for buffers, so that who is being answered is answered to the end."""


class Buffered(Protocol):
    """A connection with bytes in its buffers."""

    def abort(self) -> None:
        """End it at once; what is buffered is lost."""


class MemoryBudget:
    """How many bytes are held for clients, by use, and what happens when there are too many."""

    def __init__(self, limit_bytes: int, on_full: Callable[[], None] = lambda: None) -> None:
        """`on_full` is called for each hold that is refused and each connection aborted."""
        self.limit_bytes = limit_bytes
        self.used_bytes: dict[str, int] = dict.fromkeys(get_args(Use), 0)
        self.aborted = 0
        """Connections, for want of room for their buffers."""
        self._on_full = on_full
        self._buffers: OrderedDict[Buffered, int] = OrderedDict()
        """The one whose buffers have been full the longest comes first."""

    @property
    def total_bytes(self) -> int:
        return sum(self.used_bytes.values())

    def hold(self) -> "Hold":
        """A hold of nothing yet."""
        return Hold(self)

    def take(self, use: Use, size_bytes: int) -> None:
        """Count so many bytes; MemoryFull, and nothing counted, when they do not fit."""
        if self.total_bytes + size_bytes > self.limit_bytes * HOLDS_SHARE:
            self._on_full()
            raise MemoryFull("The proxy holds as much for clients as it may; try again in a while.")
        self.used_bytes[use] += size_bytes

    def give_back(self, use: Use, size_bytes: int) -> None:
        self.used_bytes[use] -= size_bytes

    def buffer(self, connection: Buffered, size_bytes: int) -> None:
        """Count what the connection's buffers hold now, instead of what they held before."""
        self.used_bytes["buffers"] += size_bytes - self._buffers.get(connection, 0)
        if size_bytes:
            self._buffers[connection] = size_bytes
        else:
            self._buffers.pop(connection, None)
        while self._buffers and self.total_bytes > self.limit_bytes:
            longest, freed_bytes = self._buffers.popitem(last=False)
            self.used_bytes["buffers"] -= freed_bytes
            self.aborted += 1
            self._on_full()
            longest.abort()


class Hold:
    """What one request has of the budget, until it is released."""

    __slots__ = ("_budget", "_taken")

    def __init__(self, budget: MemoryBudget) -> None:
        self._budget = budget
        self._taken: dict[Use, int] = {}

    def take(self, use: Use, size_bytes: int) -> None:
        """More; MemoryFull when it does not fit."""
        self._budget.take(use, size_bytes)
        self._taken[use] = self._taken.get(use, 0) + size_bytes

    def give_back(self, use: Use, size_bytes: int) -> None:
        """Less."""
        self._budget.give_back(use, size_bytes)
        self._taken[use] = self._taken.get(use, 0) - size_bytes

    def release(self) -> None:
        """All of it, also where that was done before."""
        for use, size_bytes in self._taken.items():
            self._budget.give_back(use, size_bytes)
        self._taken.clear()
