"""Fair queue: higher priority first, and round robin over the clients of one priority. Pure."""

from collections import OrderedDict, deque
from typing import Generic, Protocol, TypeVar

from proxy.model import Priority

MAX_CLIENTS = 256
"""Clients of one priority that are queued separately; further ones share one queue."""
_OTHERS = ""


class Queueable(Protocol):
    """An item of a fair queue."""

    @property
    def priority(self) -> Priority: ...

    @property
    def client(self) -> str: ...


T = TypeVar("T", bound=Queueable)


class FairQueue(Generic[T]):
    """Requests that wait for the same limits."""

    def __init__(self) -> None:
        self._clients: dict[Priority, OrderedDict[str, deque[T]]] = {
            priority: OrderedDict() for priority in Priority
        }
        """By priority and client; the client that is served next comes first."""
        self._lengths = dict.fromkeys(Priority, 0)

    def __len__(self) -> int:
        return sum(self._lengths.values())

    def priorities(self) -> list[Priority]:
        """The priorities of the queued items, highest first."""
        return [priority for priority, length in self._lengths.items() if length]

    def push(self, item: T) -> None:
        """Append the item to its client's queue; a new client is served after all others."""
        clients = self._clients[item.priority]
        is_known = item.client in clients or len(clients) < MAX_CLIENTS
        client = item.client if is_known else _OTHERS
        clients.setdefault(client, deque()).append(item)
        self._lengths[item.priority] += 1

    def first(self, priority: Priority) -> T:
        """The next item of this priority; there must be one."""
        return next(iter(self._clients[priority].values()))[0]

    def remove(self, item: T) -> None:
        """Remove a served or cancelled item; if it was next, its client is served last."""
        clients = self._clients[item.priority]
        client = item.client if item in clients.get(item.client, ()) else _OTHERS
        queue = clients[client]
        was_first = queue[0] is item
        queue.remove(item)
        if not queue:
            del clients[client]
        elif was_first:
            clients.move_to_end(client)
        self._lengths[item.priority] -= 1

    def ahead(self, priority: Priority, client: str) -> int:
        """The predicted number of items served before one more of this client.

        Clients with fewer queued items keep sending: half as many again are expected to arrive in
        time. No later item of higher priority is expected.
        """
        ahead = sum(length for each, length in self._lengths.items() if each < priority)
        clients = self._clients[priority]
        if client not in clients and len(clients) >= MAX_CLIENTS:
            client = _OTHERS
        rounds = len(clients.get(client, ())) + 1
        max_rounds = rounds
        for each, queue in clients.items():
            if each == client:
                ahead += rounds - 1
                max_rounds = rounds - 1  # those after it in the round
            else:
                ahead += min(len(queue) * 3 // 2, max_rounds)
        return ahead

    def before(self, priority: Priority, max_equal: int) -> int:
        """The number of items served before one of another queue: `max_equal` of its priority."""
        higher = sum(length for each, length in self._lengths.items() if each < priority)
        return higher + min(self._lengths[priority], max_equal)
