"""Memory budget: bytes held for clients over all connections (`limits.memory`). Pure accounting.

It counts buffered request bodies, response bodies sent to one client only, and the buffers of
connections: bytes received and not yet read, bytes written and not yet sent. Stored responses are
not counted: they are shared, and bounded by `cache.memory`.

A hold that does not fit is refused before its bytes arrive. A buffer is counted when it is already
full: if it does not fit, the connection whose buffer has been full the longest is aborted.
"""

from collections.abc import Callable
from typing import Literal, Protocol, get_args

from proxy.errors import MemoryFull

Use = Literal["requests", "responses", "buffers"]

HOLDS_SHARE = 0.75
"""Share of the budget for holds; the rest is for buffers, so that responses can be completed."""


class Buffered(Protocol):
    """A connection whose buffers are counted."""

    def abort(self) -> None:
        """Close at once; buffered bytes are lost."""


class MemoryBudget:
    """Bytes held for clients, by use; holds that do not fit are refused, connections aborted."""

    def __init__(self, limit_bytes: int, on_full: Callable[[], None] = lambda: None) -> None:
        """`on_full` is called for each hold that is refused and each connection aborted."""
        self.limit_bytes = limit_bytes
        self.used_bytes: dict[str, int] = dict.fromkeys(get_args(Use), 0)
        self.aborted = 0
        """Connections aborted because their buffers did not fit."""
        self._on_full = on_full
        self._buffers: dict[Buffered, int] = {}
        """In the order in which their buffers filled."""

    @property
    def total_bytes(self) -> int:
        return sum(self.used_bytes.values())

    def hold(self) -> "Hold":
        """A new hold of 0 bytes."""
        return Hold(self)

    def take(self, use: Use, size_bytes: int) -> None:
        """Count bytes of a hold; MemoryFull, and nothing is counted, if they do not fit."""
        if self.total_bytes + size_bytes > self.limit_bytes * HOLDS_SHARE:
            self._on_full()
            raise MemoryFull("The proxy holds as much for clients as it may; try again in a while.")
        self.used_bytes[use] += size_bytes

    def give_back(self, use: Use, size_bytes: int) -> None:
        self.used_bytes[use] -= size_bytes

    def buffer(self, connection: Buffered, size_bytes: int) -> None:
        """Replace the count of a connection's buffers."""
        self.used_bytes["buffers"] += size_bytes - self._buffers.get(connection, 0)
        if size_bytes:
            self._buffers[connection] = size_bytes
        else:
            self._buffers.pop(connection, None)
        while self._buffers and self.total_bytes > self.limit_bytes:
            longest = next(iter(self._buffers))
            self.used_bytes["buffers"] -= self._buffers.pop(longest)
            self.aborted += 1
            self._on_full()
            longest.abort()


class Hold:
    """The bytes of one request in the budget, until they are released."""

    __slots__ = ("_budget", "_taken")

    def __init__(self, budget: MemoryBudget) -> None:
        self._budget = budget
        self._taken: dict[Use, int] = {}

    def take(self, use: Use, size_bytes: int) -> None:
        """Add bytes; MemoryFull if they do not fit."""
        self._budget.take(use, size_bytes)
        self._taken[use] = self._taken.get(use, 0) + size_bytes

    def give_back(self, use: Use, size_bytes: int) -> None:
        """Subtract bytes."""
        self._budget.give_back(use, size_bytes)
        self._taken[use] = self._taken.get(use, 0) - size_bytes

    def release(self) -> None:
        """Release all bytes; may be called again."""
        for use, size_bytes in self._taken.items():
            self._budget.give_back(use, size_bytes)
        self._taken.clear()
