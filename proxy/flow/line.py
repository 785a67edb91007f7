"""Who goes next: the more urgent first, and of one urgency one request of each tool in turn."""

from collections import OrderedDict, deque
from typing import Generic, Protocol, TypeVar

from proxy.model import Urgency

MOST_TOOLS = 256
"""Each with its own turn; further ones share one."""
_OTHERS = ""


class Waiter(Protocol):
    """Somebody in the line."""

    @property
    def urgency(self) -> Urgency: ...

    @property
    def tool(self) -> str: ...


W = TypeVar("W", bound=Waiter)


class Line(Generic[W]):
    """Waiters for the same limits."""

    def __init__(self) -> None:
        self._tools: dict[Urgency, OrderedDict[str, deque[W]]] = {
            urgency: OrderedDict() for urgency in Urgency
        }
        self._lengths = dict.fromkeys(Urgency, 0)

    def __len__(self) -> int:
        return sum(self._lengths.values())

    def urgencies(self) -> list[Urgency]:
        """Those that somebody waits with, the most urgent first."""
        return [urgency for urgency, length in self._lengths.items() if length]

    def push(self, waiter: W) -> None:
        """At the end of its tool's; a tool that had nobody here is the last to get a turn."""
        tools = self._tools[waiter.urgency]
        tool = waiter.tool if waiter.tool in tools or len(tools) < MOST_TOOLS else _OTHERS
        tools.setdefault(tool, deque()).append(waiter)
        self._lengths[waiter.urgency] += 1

    def first(self, urgency: Urgency) -> W:
        """Whose turn is next of this urgency; there is somebody."""
        return next(iter(self._tools[urgency].values()))[0]

    def remove(self, waiter: W) -> None:
        """Out of the line: served, or gone; its tool's next one waits for all the others' turns."""
        tools = self._tools[waiter.urgency]
        tool = waiter.tool if waiter in tools.get(waiter.tool, ()) else _OTHERS
        waiting = tools[tool]
        is_first = waiting[0] is waiter
        waiting.remove(waiter)
        if not waiting:
            del tools[tool]
        elif is_first:
            tools.move_to_end(tool)
        self._lengths[waiter.urgency] -= 1

    def ahead(self, urgency: Urgency, tool: str) -> int:
        """How many will go before one more of this tool, as far as can be foreseen.

        Tools that wait for fewer turns than it does go on asking: half as many again are expected
        to come in time. Nobody more urgent is.
        """
        ahead = sum(length for each, length in self._lengths.items() if each < urgency)
        tools = self._tools[urgency]
        if tool not in tools and len(tools) >= MOST_TOOLS:
            tool = _OTHERS
        rounds = len(tools.get(tool, ())) + 1
        turns = rounds
        for each, waiting in tools.items():
            if each == tool:
                ahead += rounds - 1
                turns = rounds - 1  # those behind it in the round
            else:
                ahead += min(len(waiting) * 3 // 2, turns)
        return ahead

    def before(self, urgency: Urgency, most: int) -> int:
        """How many would go before somebody elsewhere: `most` of those that urge as much."""
        more = sum(length for each, length in self._lengths.items() if each < urgency)
        return more + min(self._lengths[urgency], most)
