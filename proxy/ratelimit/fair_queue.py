"""Who goes next: the more urgent first, and of one urgency one request of each tool in turn."""

from collections import OrderedDict, deque
from typing import Generic, Protocol, TypeVar

from proxy.model import Priority

MAX_CLIENTS = 256
"""Each with its own turn; further ones share one."""
_OTHERS = ""


class Queueable(Protocol):
    """Somebody in the line."""

    @property
    def priority(self) -> Priority: ...

    @property
    def client(self) -> str: ...


W = TypeVar("W", bound=Queueable)


class FairQueue(Generic[W]):
    """Waiters for the same limits."""

    def __init__(self) -> None:
        self._clients: dict[Priority, OrderedDict[str, deque[W]]] = {
            priority: OrderedDict() for priority in Priority
        }
        self._lengths = dict.fromkeys(Priority, 0)

    def __len__(self) -> int:
        return sum(self._lengths.values())

    def priorities(self) -> list[Priority]:
        """Those that somebody waits with, the most urgent first."""
        return [priority for priority, length in self._lengths.items() if length]

    def push(self, waiter: W) -> None:
        """At the end of its tool's; a tool that had nobody here is the last to get a turn."""
        tools = self._clients[waiter.priority]
        tool = waiter.client if waiter.client in tools or len(tools) < MAX_CLIENTS else _OTHERS
        tools.setdefault(tool, deque()).append(waiter)
        self._lengths[waiter.priority] += 1

    def first(self, priority: Priority) -> W:
        """Whose turn is next of this urgency; there is somebody."""
        return next(iter(self._clients[priority].values()))[0]

    def remove(self, waiter: W) -> None:
        """Out of the line: served, or gone; its tool's next one waits for all the others' turns."""
        tools = self._clients[waiter.priority]
        tool = waiter.client if waiter in tools.get(waiter.client, ()) else _OTHERS
        waiting = tools[tool]
        is_first = waiting[0] is waiter
        waiting.remove(waiter)
        if not waiting:
            del tools[tool]
        elif is_first:
            tools.move_to_end(tool)
        self._lengths[waiter.priority] -= 1

    def ahead(self, priority: Priority, tool: str) -> int:
        """How many will go before one more of this tool, as far as can be foreseen.

        Tools that wait for fewer turns than it does go on asking: half as many again are expected
        to come in time. Nobody more urgent is.
        """
        ahead = sum(length for each, length in self._lengths.items() if each < priority)
        tools = self._clients[priority]
        if tool not in tools and len(tools) >= MAX_CLIENTS:
            tool = _OTHERS
        rounds = len(tools.get(tool, ())) + 1
        limiter = rounds
        for each, waiting in tools.items():
            if each == tool:
                ahead += rounds - 1
                limiter = rounds - 1  # those behind it in the round
            else:
                ahead += min(len(waiting) * 3 // 2, limiter)
        return ahead

    def before(self, priority: Priority, most: int) -> int:
        """How many would go before somebody elsewhere: `most` of those that urge as much."""
        more = sum(length for each, length in self._lengths.items() if each < priority)
        return more + min(self._lengths[priority], most)
