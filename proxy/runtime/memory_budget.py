"""Memory budget: bytes held for clients over all connections (`limits.memory`, D49). Pure.

It counts buffered request bodies, response bodies sent to one client only, and the buffers of
connections: bytes received and not yet read, bytes written and not yet sent. Stored responses are
not counted: they are shared, and bounded by `cache.memory`.

A hold that does not fit is refused before its bytes arrive. A buffer is counted when it is already
full: if it does not fit, a connection of the client with the largest buffers is aborted, the one
whose buffer has been full the longest.
"""

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from math import inf
from typing import Literal, Protocol, get_args

from proxy.errors import ClientBusy, MemoryFull

Use = Literal["requests", "responses", "buffers"]

HOLDS_SHARE = 0.75
"""Share of the budget for holds; the rest is for buffers, so that responses can be completed."""
CLIENT_SHARE = 0.5
"""Share of the budget for the holds of one client (D61)."""


class Buffered(Protocol):
    """A connection whose buffers are counted."""

    @property
    def client(self) -> str:
        """Whose it is."""

    def abort(self) -> None:
        """Close at once; buffered bytes are lost."""


@dataclass(slots=True)
class ClientUse:
    """What one client uses."""

    requests: int = 0
    """In progress."""
    held_bytes: int = 0


class MemoryBudget:
    """Bytes held for clients, by use; holds that do not fit are refused, connections aborted."""

    def __init__(self, limit_bytes: int, on_full: Callable[[], None] = lambda: None) -> None:
        """`on_full` is called for each hold that is refused and each connection aborted."""
        self.limit_bytes = limit_bytes
        self.used_bytes: dict[str, int] = dict.fromkeys(get_args(Use), 0)
        self.aborted = 0
        """Connections aborted because their buffers did not fit."""
        self.max_requests = inf
        """Requests of one client that may be in progress."""
        self.clients: dict[str, ClientUse] = {}
        """Those with requests in progress."""
        self._on_full = on_full
        self._buffers: dict[Buffered, int] = {}
        """In the order in which their buffers filled."""

    @property
    def total_bytes(self) -> int:
        return sum(self.used_bytes.values())

    def hold(self) -> "Hold":
        """A new hold of 0 bytes."""
        return Hold(self)

    def enter(self, client: str) -> ClientUse:
        """Count a request of a client; ClientBusy if it has too many in progress."""
        use = self.clients.get(client, ClientUse())
        if use.requests >= self.max_requests:
            raise ClientBusy("Wait for the responses to your other requests.")
        self.clients[client] = use
        use.requests += 1
        return use

    def leave(self, client: str) -> None:
        """Count a request of a client no more."""
        use = self.clients[client]
        use.requests -= 1
        if not use.requests:
            del self.clients[client]

    def take(self, use: Use, size_bytes: int, client: ClientUse | None) -> None:
        """Count bytes of a hold; MemoryFull, and nothing is counted, if they do not fit."""
        is_too_much = (
            client is not None and client.held_bytes + size_bytes > self.limit_bytes * CLIENT_SHARE
        )
        if is_too_much or self.total_bytes + size_bytes > self.limit_bytes * HOLDS_SHARE:
            self._on_full()
            raise MemoryFull("The proxy holds as much for clients as it may; try again in a while.")
        self._add(use, size_bytes, client)

    def give_back(self, use: Use, size_bytes: int, client: ClientUse | None) -> None:
        self._add(use, -size_bytes, client)

    def _add(self, use: Use, size_bytes: int, client: ClientUse | None) -> None:
        self.used_bytes[use] += size_bytes
        if client is not None:
            client.held_bytes += size_bytes

    def buffer(self, connection: Buffered, size_bytes: int) -> None:
        """Replace the count of a connection's buffers."""
        self.used_bytes["buffers"] += size_bytes - self._buffers.get(connection, 0)
        if size_bytes:
            self._buffers[connection] = size_bytes
        else:
            self._buffers.pop(connection, None)
        while self._buffers and self.total_bytes > self.limit_bytes:
            longest = self._largest_clients_longest()
            self.used_bytes["buffers"] -= self._buffers.pop(longest)
            self.aborted += 1
            self._on_full()
            longest.abort()

    def _largest_clients_longest(self) -> Buffered:
        by_client = Counter[str]()
        for connection, size_bytes in self._buffers.items():
            by_client[connection.client] += size_bytes
        (largest, _), *_ = by_client.most_common(1)
        return next(each for each in self._buffers if each.client == largest)


class Hold:
    """The place of one request in the budget, and its bytes, until they are released."""

    __slots__ = ("_budget", "_client", "_taken", "_use")

    def __init__(self, budget: MemoryBudget) -> None:
        self._budget = budget
        self._client = ""
        self._use: ClientUse | None = None
        """The client's; None if it is held for several."""
        self._taken: dict[Use, int] = {}

    def assign(self, client: str) -> None:
        """Count it as the client's; ClientBusy, and it stays whose it was, if it has too many."""
        if client == self._client:
            return
        use = self._budget.enter(client)
        taken = sum(self._taken.values())
        use.held_bytes += taken
        if self._use is not None:
            self._use.held_bytes -= taken
        self._leave()
        self._client, self._use = client, use

    def _leave(self) -> None:
        if self._client:
            self._budget.leave(self._client)
        self._client, self._use = "", None

    def take(self, use: Use, size_bytes: int) -> None:
        """Add bytes; MemoryFull if they do not fit."""
        self._budget.take(use, size_bytes, self._use)
        self._taken[use] = self._taken.get(use, 0) + size_bytes

    def give_back(self, use: Use, size_bytes: int) -> None:
        """Subtract bytes."""
        self._budget.give_back(use, size_bytes, self._use)
        self._taken[use] = self._taken.get(use, 0) - size_bytes

    def release(self) -> None:
        """Release all bytes; may be called again."""
        for use, size_bytes in self._taken.items():
            self._budget.give_back(use, size_bytes, self._use)
        self._taken.clear()
        self._leave()
