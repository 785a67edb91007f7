"""A listening socket whose connections are ours."""

import asyncio
import socket
from collections.abc import Callable

from aiohttp import web

from proxy.edge.connection import Connection, Plans, Refuse

BACKLOG = 1024
EVERY_IPV4 = "0.0.0.0"  # noqa: S104 — beside `::`, where the operator asks for every address
MOST_CONNECTIONS = 2000
"""Of clients, at one time."""
BUSY_S = 1.0
"""How long one too many may take to ask."""
_SAID = (
    b'{"type":"urn:trello-proxy:busy","title":"Too many connections","status":503,'
    b'"detail":"The proxy holds as many connections as it can; try again later."}'
)
_BUSY = (
    b"HTTP/1.1 503 Service Unavailable\r\nContent-Type: application/problem+json\r\n"
    b"Cache-Control: no-store\r\nRetry-After: 5\r\nProxy-Status: trello-proxy; "
    b"error=connection_limit_reached\r\nConnection: close\r\nContent-Length: %d\r\n\r\n%b"
) % (len(_SAID), _SAID)


def bound(host: str, port: int) -> list[socket.socket]:
    """Listening sockets for an address; OSError when it is taken or not the machine's.

    `::` is every address, those of IPv4 too: one socket per family, so that an IPv4 client's
    address is never an IPv4-mapped IPv6 one (RFC 4291 §2.5.5.2).
    """
    if host != "::":
        return [_bound(host, port)]
    ipv6 = _bound(host, port)
    try:
        return [ipv6, _bound(EVERY_IPV4, ipv6.getsockname()[1])]
    except OSError:
        ipv6.close()
        raise


def _bound(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    return socket.create_server((host, port), family=family, backlog=BACKLOG)


class Listener(web.SockSite):
    """As SockSite, with connections of ours."""

    def __init__(
        self,
        runner: web.ServerRunner,
        sock: socket.socket,
        plans: Plans,
        refuse: Refuse,
        told_busy: Callable[[], None],
    ) -> None:
        """`told_busy` counts the connections that are too many."""
        super().__init__(runner, sock)
        self._plans = plans
        self._refuse = refuse
        self._told_busy = told_busy

    async def start(self) -> None:
        """Take connections, those that have waited since the socket was bound among them."""
        await web.BaseSite.start(self)
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(self._connection, sock=self._sock, backlog=BACKLOG)

    def _connection(self) -> asyncio.Protocol:
        server = self._runner.server
        if server is None:
            raise RuntimeError("the runner is not set up")
        if len(server.connections) >= MOST_CONNECTIONS:
            self._told_busy()
            return Busy()
        return Connection(server, self._plans, self._refuse)


class Busy(asyncio.Protocol):
    """A connection too many: told so when it begins to ask, and closed."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._deadline = asyncio.get_running_loop().call_later(BUSY_S, transport.close)
        self._transport = transport

    def data_received(self, _: bytes) -> None:
        # Not before: closing with something unread would take the answer back (RFC 9112 §9.6).
        if isinstance(self._transport, asyncio.Transport):
            self._transport.write(_BUSY)
        self._transport.close()

    def connection_lost(self, _: Exception | None) -> None:
        self._deadline.cancel()
