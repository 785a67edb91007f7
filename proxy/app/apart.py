"""Apart mode: what serves reads at a node that reaches neither a leader nor Redis (D65).

It requests each from Trello, with its share of the limits, and stores nothing: a write at another
node would not be known to this one.
"""

import asyncio
from contextlib import AsyncExitStack
from dataclasses import replace

from aiohttp import web

from proxy.app.components import Environment
from proxy.app.factory import ComponentFactory
from proxy.app.routes import RouteBuilder
from proxy.config.schema import Config, Fleet
from proxy.fleet.errors import NoLeader
from proxy.fleet.node import Node, Role
from proxy.model import Credential, Detail, Rate
from proxy.ratelimit.send_log import PriorSends, longest_window_s
from proxy.runtime.tasks import TaskSet
from proxy.server.middleware import Handler, Routes
from proxy.server.request_context import RequestContext
from proxy.server.response import WireResponse


class ApartMode:
    """Components for reads, built when they are needed, and dropped when there is a leader."""

    def __init__(self, environment: Environment, public_url: str, node: Node) -> None:
        self._environment = environment
        self._public_url = public_url
        self._node = node
        self._routes: Routes | None = None
        self._shutdown = AsyncExitStack()
        self._lock = asyncio.Lock()
        self._is_stopped = False
        self._tasks = TaskSet()

    async def stop(self) -> None:
        """Drop the components, and build no more."""
        async with self._lock:
            self._is_stopped = True
            await self._tasks.stop()
            await self._shutdown.aclose()

    async def handler(self, credential: Credential) -> Handler:
        """The handler of reads; NoLeader once it is stopped."""
        async with self._lock:
            if self._is_stopped:
                raise NoLeader
            if self._routes is None:
                self._routes = await self._build(credential)
                self._tasks.spawn(self._drop_when_over())
        return self._serve

    async def _serve(self, request: web.BaseRequest, context: RequestContext) -> WireResponse:
        """The response; NoLeader if the components were dropped meanwhile: there is a leader."""
        routes = self._routes
        if routes is None:
            raise NoLeader
        try:
            return await routes.find(request.method, request.raw_path)(request, context)
        except (Exception, asyncio.CancelledError):
            task = asyncio.current_task()
            if routes is self._routes or (task is not None and task.cancelling()):
                raise
            raise NoLeader from None

    async def _build(self, credential: Credential) -> Routes:
        shutdown = self._shutdown = AsyncExitStack()
        others = len(self._node.members)
        config = apart_config(self._environment.config, others)
        environment = replace(self._environment, config=config, shutdown=shutdown)
        try:
            components = await ComponentFactory(environment, self._public_url).build(credential)
        except BaseException:
            await shutdown.aclose()
            raise
        now, window_s = environment.clock.monotonic, longest_window_s(config.limits)
        components.upstream.limiter.succeed(PriorSends(now, now() + window_s))
        return RouteBuilder(environment, components, Detail.APART).build().clients

    async def _drop_when_over(self) -> None:
        while self._node.role in {Role.APART, Role.SEEKING}:
            await self._node.wait_for_change()
        await self.drop()

    async def drop(self) -> None:
        """Drop the components; what they serve now is served again, by the leader."""
        self._routes = None
        await self._shutdown.aclose()


def apart_config(config: Config, members: int) -> Config:
    """The configuration of a node that is apart: a share of the limits, and nothing is stored."""
    nodes, limits = max(config.fleet.nodes, members), config.limits

    def share(rate: Rate) -> Rate:
        return Rate(max(1, rate.count // nodes), rate.window_s)

    return replace(
        config,
        cache=replace(config.cache, backend="memory", memory_bytes=0),
        fleet=Fleet(nodes=config.fleet.nodes),
        freshness=replace(config.freshness, watch_s="off", webhook_url=None),
        limits=replace(
            limits,
            token=share(limits.token),
            key=share(limits.key),
            members=share(limits.members),
            search=share(limits.search),
        ),
    )
