"""Connection limits: how many client connections a listener has, and which is closed for another.

One client address has at most half of them, so that it cannot keep the others out. When the limit
is reached, the connection that has been idle the longest is closed for the new one; connections
that serve a request stay. Behind a reverse proxy on another machine all clients share its address:
its idle connections are closed first, and half of all connections are enough for the active ones.
"""

import asyncio
from collections import deque
from collections.abc import Callable
from typing import Literal, Protocol, get_args

from proxy.runtime.memory_budget import MemoryBudget

WRITE_IDLE_S = 60.0
"""A client that receives no byte of a response for this long is disconnected."""
MAX_CONNECTIONS = 2000
ADMIN_CONNECTIONS = 64
"""At `admin.listen`."""
RESERVED_FDS = 256
"""File descriptors for everything else: connections to Trello, the store, attachments, the log."""
REFUSAL_TIMEOUT_S = 1.0
"""How long a refused client may take to send the request that gets a 503."""
_REFUSAL_SHARE = 8
"""`limit` divided by this: additional connections that may be in the course of being refused."""
_PROBLEM = (
    b'{"type":"urn:trello-proxy:busy","title":"Too many connections","status":503,'
    b'"detail":"The proxy holds as many connections as it can; try again later."}'
)
_BUSY = (
    b"HTTP/1.1 503 Service Unavailable\r\nContent-Type: application/problem+json\r\n"
    b"Cache-Control: no-store\r\nRetry-After: 5\r\nProxy-Status: trello-proxy; "
    b"error=connection_limit_reached\r\nConnection: close\r\nContent-Length: %d\r\n\r\n%b"
) % (len(_PROBLEM), _PROBLEM)

Reason = Literal["idle", "header", "slow", "memory", "tls"]
"""Why the proxy closed a connection: idle, and closed for another one; no complete header; no byte
of the response received; `limits.memory` full; the TLS handshake failed."""


class LimitedConnection(Protocol):
    """A connection as its limits see it."""

    @property
    def is_idle(self) -> bool:
        """Whether it waits for a request, and the client has received all that was written."""

    @property
    def last_used_at(self) -> float:
        """When it was opened or last used; seconds, of the same clock for all connections."""

    def force_close(self) -> None: ...


class ConnectionLimits:
    """Admits connections, and counts those that the proxy closes, by reason."""

    def __init__(
        self,
        limit: int,
        memory: MemoryBudget,
        on_refused: Callable[[], None],
        trusts: Callable[[str], bool],
    ) -> None:
        """`on_refused` is called for each connection that is not admitted.

        `trusts`: whether an address is that of a trusted proxy, which may have all connections.
        """
        self.limit = limit
        self.trusts = trusts
        self.memory = memory
        self._on_refused = on_refused
        self._count = self._refusals = 0
        self.closed: dict[Reason, int] = dict.fromkeys(get_args(Reason), 0)
        self._groups: dict[str, _Group] = {}
        """By client address."""

    def __len__(self) -> int:
        return self._count

    @property
    def limit_per_address(self) -> int:
        """How many connections one client address may have."""
        return max(1, self.limit // 2)

    def admit(self, connection: LimitedConnection, address: str) -> bool:
        """Whether it is admitted; an idle connection may be closed for it."""
        own = self._groups.get(address, _Group())
        is_limited = len(own) >= self.limit_per_address and not self.trusts(address)
        if is_limited and not self._make_room(own):
            return False
        if len(self) >= self.limit:
            largest = max(self._groups.values(), key=len, default=own)
            if not self._make_room(largest):
                return False
        self._groups.setdefault(address, own).add(connection)
        self._count += 1
        return True

    def refuse(self, transport: asyncio.Transport) -> None:
        """Respond 503 on a connection that is not admitted; abort it if too many are refused."""
        if self._refusals * _REFUSAL_SHARE >= self.limit:
            self.refuse_unread(transport)
            return
        self._on_refused()
        self._refusals += 1
        protocol = OverloadProtocol(self._on_refusal_end)
        transport.set_protocol(protocol)
        protocol.connection_made(transport)

    def refuse_unread(self, transport: asyncio.Transport) -> None:
        """Abort a connection that is not admitted: before its handshake it can read no response."""
        self._on_refused()
        transport.abort()

    def leave(self, connection: LimitedConnection, address: str) -> None:
        """Remove a connection from the count, if it was admitted."""
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

    def _on_refusal_end(self) -> None:
        self._refusals -= 1


class _Group:
    """The connections of one client address."""

    __slots__ = ("_idle", "_members")

    def __init__(self) -> None:
        self._members: set[LimitedConnection] = set()
        self._idle: deque[tuple[float, LimitedConnection]] = deque()
        """Those idle at the last search, by last use. The first one not used since is the
        oldest, so the next search is due when all have been tried."""

    def __len__(self) -> int:
        return len(self._members)

    def add(self, connection: LimitedConnection) -> None:
        self._members.add(connection)

    def discard(self, connection: LimitedConnection) -> bool:
        """Whether it was a member."""
        is_member = connection in self._members
        self._members.discard(connection)
        return is_member

    def oldest_idle(self) -> LimitedConnection | None:
        """The connection that has been idle the longest; None if none is idle."""
        oldest = self._next_idle()
        if oldest is None:
            idle = [(each.last_used_at, each) for each in self._members if each.is_idle]
            self._idle = deque(sorted(idle, key=lambda pair: pair[0]))
            oldest = self._next_idle()
        return oldest

    def _next_idle(self) -> LimitedConnection | None:
        while self._idle:
            used_at, each = self._idle.popleft()
            if each in self._members and each.is_idle and each.last_used_at == used_at:
                return each
        return None


class OverloadProtocol(asyncio.Protocol):
    """Protocol of a connection that is not admitted: 503 to its first bytes, then it closes."""

    def __init__(self, on_end: Callable[[], None]) -> None:
        self._on_end = on_end

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        loop = asyncio.get_running_loop()
        self._deadline = loop.call_later(REFUSAL_TIMEOUT_S, transport.close)
        self._transport = transport

    def data_received(self, _: bytes) -> None:
        # Not before the client's first bytes: closing with unread data would reset the connection,
        # and the response could be lost (RFC 9112 §9.6).
        if isinstance(self._transport, asyncio.Transport):
            self._transport.write(_BUSY)
        self._transport.close()

    def connection_lost(self, _: Exception | None) -> None:
        self._deadline.cancel()
        self._on_end()


def limit_of(max_fds: int) -> int:
    """The number of client connections for a process with `max_fds` file descriptors."""
    return min(MAX_CONNECTIONS, max(max_fds - RESERVED_FDS, max_fds // 2))
