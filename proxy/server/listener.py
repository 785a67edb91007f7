"""A listening socket whose connections are ours."""

import asyncio
import socket

from aiohttp import web

from proxy.server.connection import (
    Connection,
    ErrorHandler,
    FastPathCache,
)
from proxy.server.connection_limits import ConnectionLimits

BACKLOG = 1024
EVERY_IPV4 = "0.0.0.0"  # noqa: S104 — beside `::`, where the operator asks for every address
ACCEPTED_AT_ONCE = 64
"""Connections, before the loop looks at anything else."""


def listen_socket(host: str, port: int) -> list[socket.socket]:
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
        fast_path: FastPathCache,
        refuse: ErrorHandler,
        connections: ConnectionLimits,
    ) -> None:
        super().__init__(runner, sock)
        self._fast_path = fast_path
        self._on_error = refuse
        self._connections = connections

    async def start(self) -> None:
        """Take connections, those that have waited since the socket was bound among them."""
        await web.BaseSite.start(self)
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(
            self._connection, sock=self._sock, backlog=ACCEPTED_AT_ONCE
        )
        self._sock.listen(BACKLOG)  # asyncio takes both for one

    def _connection(self) -> asyncio.Protocol:
        server = self._runner.server
        if server is None:
            raise RuntimeError("the runner is not set up")
        return Connection(server, self._fast_path, self._on_error, self._connections)
