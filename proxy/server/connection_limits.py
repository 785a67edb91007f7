"""The client connections of one listener: how many there may be, and which of them makes room.

An address has a share of them, so that one client cannot keep the others out. Where there are as
many as there may be, the one that has been idle the longest is closed for the one that comes; who
is being answered stays. Behind a front on another machine all clients have its one address: their
idle connections go first, and half of all are enough for those at work.
"""

import asyncio
from collections import deque
from collections.abc import Callable
from typing import Literal, Protocol, get_args

from proxy.runtime.memory_budget import MemoryBudget
from proxy.server.overload import OverloadProtocol

MOST_CONNECTIONS = 2000
ADMIN_CONNECTIONS = 64
"""To the operator's own address."""
OWN_FILES = 256
"""Descriptors for what is no client: connections to Trello, the store, files, the log."""
_REFUSED_SHARE = 8
"""One in so many more may be on its way out at a time."""
Reason = Literal["idle", "header", "slow", "memory"]
"""Why a connection is closed from here: for another one; its header did not come, or is endless;
nothing was taken; `limits.memory` was used up."""


class LimitedConnection(Protocol):
    """A connection as it is seen here."""

    @property
    def is_idle(self) -> bool:
        """Whether it waits for a request, and all that was sent is taken."""

    @property
    def last_used_at(self) -> float:
        """When it was made, or last answered; in seconds, of one clock for all."""

    def force_close(self) -> None: ...


class ConnectionLimits:
    """Admits connections and counts those that are closed, by reason."""

    def __init__(self, limit: int, memory: MemoryBudget, on_refused: Callable[[], None]) -> None:
        """`on_refused` is called for each one that there is no room for."""
        self.limit = limit
        self.memory = memory
        self._on_refused = on_refused
        self._count = self._refused = 0
        self.closed: dict[Reason, int] = dict.fromkeys(get_args(Reason), 0)
        self._groups: dict[str, _Group] = {}
        """By the clients' address."""

    def __len__(self) -> int:
        return self._count

    @property
    def share(self) -> int:
        """How many of them one address may have."""
        return max(1, self.limit // 2)

    def admit(self, connection: LimitedConnection, address: str) -> bool:
        """Whether there is room for it, once an idle one has made some."""
        own = self._groups.get(address, _Group())
        if len(own) >= self.share and not self._make_room(own):
            return False
        if len(self) >= self.limit:
            largest = max(self._groups.values(), key=len, default=own)
            if not self._make_room(largest):
                return False
        self._groups.setdefault(address, own).add(connection)
        self._count += 1
        return True

    def refuse(self, transport: asyncio.Transport) -> None:
        """Tell a client that there is no room; not so many at a time that this takes room too."""
        self._on_refused()
        if self._refused * _REFUSED_SHARE >= self.limit:
            transport.abort()
            return
        self._refused += 1
        busy = OverloadProtocol(self._refusal_over)
        transport.set_protocol(busy)
        busy.connection_made(transport)

    def leave(self, connection: LimitedConnection, address: str) -> None:
        """It has ended."""
        group = self._groups.get(address)
        if group is not None and group.discard(connection):
            self._count -= 1
            if not len(group):
                del self._groups[address]

    def _make_room(self, group: "_Group") -> bool:
        idle = group.oldest_idle()
        if idle is None:
            return False
        group.discard(idle)
        self._count -= 1
        self.closed["idle"] += 1
        idle.force_close()
        return True

    def _refusal_over(self) -> None:
        self._refused -= 1


class _Group:
    """The connections of one address."""

    __slots__ = ("_idle", "_members")

    def __init__(self) -> None:
        self._members: set[LimitedConnection] = set()
        self._idle: deque[tuple[float, LimitedConnection]] = deque()
        """Those that were idle at the last look, in the order of their last use: whichever of
        them was not used since is the oldest."""

    def __len__(self) -> int:
        return len(self._members)

    def add(self, connection: LimitedConnection) -> None:
        self._members.add(connection)

    def discard(self, connection: LimitedConnection) -> bool:
        """Whether it was there."""
        is_here = connection in self._members
        self._members.discard(connection)
        return is_here

    def oldest_idle(self) -> LimitedConnection | None:
        """The one that has been idle the longest; None where none is."""
        found = self._next_idle()
        if found is None:
            idle = [(each.last_used_at, each) for each in self._members if each.is_idle]
            self._idle = deque(sorted(idle, key=lambda pair: pair[0]))
            found = self._next_idle()
        return found

    def _next_idle(self) -> LimitedConnection | None:
        while self._idle:
            used_at, each = self._idle.popleft()
            if each in self._members and each.is_idle and each.last_used_at == used_at:
                return each
        return None


def limit_of(max_files: int) -> int:
    """How many connections of clients so many file descriptors allow."""
    return min(MOST_CONNECTIONS, max(max_files - OWN_FILES, max_files // 2))
