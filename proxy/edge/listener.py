"""A listening socket whose connections are ours."""

import asyncio
import socket

from aiohttp import web

from proxy.edge.connection import Connection, Plans, Refuse

BACKLOG = 1024


def bound(host: str, port: int) -> socket.socket:
    """A socket that listens already; OSError when the address is taken or not ours."""
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
    ) -> None:
        super().__init__(runner, sock)
        self._plans = plans
        self._refuse = refuse

    async def start(self) -> None:
        """Take connections, those that have waited since the socket was bound among them."""
        await web.BaseSite.start(self)
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(self._connection, sock=self._sock, backlog=BACKLOG)

    def _connection(self) -> Connection:
        server = self._runner.server
        if server is None:
            raise RuntimeError("the runner is not set up")
        return Connection(server, self._plans, self._refuse)
