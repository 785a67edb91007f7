"""Listener: a listening socket whose connections are `Connection`s."""

import asyncio
import socket
from contextlib import suppress
from errno import EACCES, EADDRINUSE, EADDRNOTAVAIL

from aiohttp import web

from proxy.model import Listen
from proxy.server.connection import Connection, ErrorHandler
from proxy.server.connection_limits import ConnectionLimits
from proxy.server.fast_path import FastPath
from proxy.server.tls import ListenerTls, TlsProtocol

BACKLOG = 1024
EVERY_IPV4 = "0.0.0.0"  # noqa: S104 — besides `::`, where every address is configured
MAX_ANY_PORT_ATTEMPTS = 8
"""For port 0 on both families: any port that is free for one may be taken in the other."""
MAX_ACCEPTED_AT_ONCE = 64
"""Connections accepted before the event loop does anything else."""


class CannotListen(Exception):
    """An address cannot be bound; `str()` names it, the reason and a cure."""

    def __init__(self, address: Listen, error: OSError) -> None:
        if error.errno == EADDRINUSE:
            text = f"{address} is taken; stop what listens there, or write another listen or --port"
        elif error.errno == EACCES:
            text = f"{address} needs privileges; write a port from 1024, or see the unit in deploy"
        elif error.errno == EADDRNOTAVAIL:
            text = f"{address} is no address of this machine; write 0.0.0.0 or one that it has"
        else:
            text = f"cannot listen at {address}: {error.strerror or error}"
        super().__init__(text)


def listen_socket(host: str, port: int) -> list[socket.socket]:
    """Listening sockets of an address; OSError if it is in use or not one of this machine.

    `::` is every address, IPv4 included: one socket per family, so that an IPv4 client's address is
    never an IPv4-mapped IPv6 one (RFC 4291 §2.5.5.2).
    """
    if host != "::":
        return [_bound(host, port)]
    for _ in range(0 if port else MAX_ANY_PORT_ATTEMPTS):
        with suppress(OSError):
            return _both_families(0)
    return _both_families(port)


def shared_sockets(sockets: list[socket.socket], count: int) -> list[list[socket.socket]]:
    """`count` lists of sockets that listen where these do; the kernel spreads the connections.

    The first list is the given one. Its sockets were bound for this process alone, so no other
    proxy has the port; only then do they share it (SO_REUSEPORT, socket(7)). OSError.
    """
    for each in sockets:
        each.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    lists = [sockets]
    try:
        while len(lists) < count:
            lists.append([])
            for each in sockets:
                lists[-1].append(
                    socket.create_server(
                        each.getsockname()[:2],
                        family=each.family,
                        backlog=BACKLOG,
                        reuse_port=True,
                    )
                )
    except OSError:
        for each in (sock for made in lists[1:] for sock in made):
            each.close()
        raise
    return lists


def _both_families(port: int) -> list[socket.socket]:
    ipv6 = _bound("::", port)
    try:
        return [ipv6, _bound(EVERY_IPV4, ipv6.getsockname()[1])]
    except OSError:
        ipv6.close()
        raise


def _bound(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    return socket.create_server((host, port), family=family, backlog=BACKLOG)


class Listener(web.SockSite):
    """SockSite of aiohttp that creates our connections instead of aiohttp's."""

    def __init__(
        self,
        runner: web.ServerRunner,
        sock: socket.socket,
        *,
        limits: ConnectionLimits,
        fast_path: FastPath,
        on_error: ErrorHandler,
        tls: ListenerTls | None = None,
    ) -> None:
        super().__init__(runner, sock)
        self._limits = limits
        self._fast_path = fast_path
        self._on_error = on_error
        self._tls = tls
        self._handshakes = set[TlsProtocol]()

    async def start(self) -> None:
        """Accept connections, also those made since the socket was bound."""
        await web.BaseSite.start(self)
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(
            self._connection, sock=self._sock, backlog=MAX_ACCEPTED_AT_ONCE
        )
        self._sock.listen(BACKLOG)  # asyncio has one parameter for both

    async def stop(self) -> None:
        """Accept no more connections; handshakes in progress are aborted."""
        await super().stop()
        for each in list(self._handshakes):
            each.force_close()

    def _connection(self) -> asyncio.BaseProtocol:
        server = self._runner.server
        if server is None:
            raise RuntimeError("the runner is not set up")
        connection = Connection(
            server, limits=self._limits, fast_path=self._fast_path, on_error=self._on_error
        )
        if self._tls is None:
            return connection
        return TlsProtocol(connection, self._tls, self._limits, self._handshakes)
