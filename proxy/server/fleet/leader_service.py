"""Leader's service: requests served by this node while it leads, its own clients' and relayed ones.

No response is given by a node that does not lead any more: another one may have changed what it
shows. A read is then served by the next leader; the outcome of a write is unknown.
"""

import asyncio

from aiohttp import web

from proxy.errors import ProxyError
from proxy.fleet.errors import LeaderLost, NoLeader
from proxy.fleet.node import Node
from proxy.server.middleware import Routes
from proxy.server.request_context import RequestContext
from proxy.server.response import WireResponse

_SAFE = frozenset({"GET", "HEAD"})


class LeaderService:
    """The routes of the leader's term, while there is one."""

    def __init__(self, node: Node) -> None:
        self._node = node
        self._clients: Routes | None = None
        self._admin: Routes | None = None
        self._in_progress = 0
        self._is_idle = asyncio.Event()
        self._is_idle.set()

    def open(self, clients: Routes, admin: Routes) -> None:
        """Serve by these routes: those of clients, and those of `admin.listen`."""
        self._clients, self._admin = clients, admin

    def close(self) -> None:
        """Serve nothing any more."""
        self._clients = self._admin = None

    async def wait_idle(self) -> None:
        """Return when no request is in progress."""
        await self._is_idle.wait()

    async def serve(
        self, request: web.BaseRequest, context: RequestContext, *, is_admin: bool
    ) -> WireResponse:
        """The response; NoLeader: nothing was done, LeaderLost: a write may have been."""
        routes = self._admin if is_admin else self._clients
        if routes is None or not self._node.acts():
            raise NoLeader
        self._in_progress += 1
        self._is_idle.clear()
        try:
            response = await self._respond(routes, request, context)
        finally:
            self._in_progress -= 1
            if not self._in_progress:
                self._is_idle.set()
        if self._is_over(routes):
            if not isinstance(response.content, bytes):
                await response.content.aclose()
            raise _failure(request)
        return response

    def _is_over(self, routes: Routes) -> bool:
        """Whether the term has ended that they belong to; this node may lead in another."""
        is_current = routes is self._clients or routes is self._admin
        return not is_current or not self._node.acts()

    async def _respond(
        self, routes: Routes, request: web.BaseRequest, context: RequestContext
    ) -> WireResponse:
        try:
            return await routes.find(request.method, request.raw_path)(request, context)
        except (NoLeader, LeaderLost):
            raise
        except (Exception, asyncio.CancelledError):
            task = asyncio.current_task()
            is_cancelled = task is not None and task.cancelling() > 0
            if is_cancelled or not self._is_over(routes):
                raise
            # What it waited for was stopped with the term, or a connection that it uses was closed.
            raise _failure(request) from None


def _failure(request: web.BaseRequest) -> ProxyError:
    return NoLeader() if request.method in _SAFE else LeaderLost()
