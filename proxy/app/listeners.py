"""Listeners: the sockets of this process, and what accepts connections on each."""

import socket
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass
from functools import cached_property, partial
from pathlib import Path
from typing import TypeVar

from aiohttp import web

from proxy.app.components import Environment
from proxy.app.from_config import build_guard
from proxy.app.routes import ListenerRoutes
from proxy.cache.boards import WatchedBoards
from proxy.cache.store.store import ResponseStore
from proxy.model import Listen
from proxy.observability.metrics import count
from proxy.runtime.directory import inode_of
from proxy.runtime.service_manager import take_matching
from proxy.runtime.unix_socket import listen_unix, remove_unix
from proxy.server.client_readings import client_readings
from proxy.server.connection_limits import ADMIN_CONNECTIONS, ConnectionLimits, limit_of
from proxy.server.credential_usage import CredentialUsage
from proxy.server.fast_path import FastPath
from proxy.server.forwarding import Forwarding
from proxy.server.hit_log import HitLog
from proxy.server.listener import BACKLOG, CannotListen, Listener, listen_socket
from proxy.server.middleware import Middleware, Routes
from proxy.server.request_context import RequestIdGenerator, ServerDeps
from proxy.server.tls import ListenerTls

SHUTDOWN_S = 3.0
"""Seconds for requests in progress; aiohttp may take it twice, and `stop` must end within 10 s."""
_M = TypeVar("_M", bound=Middleware)


@dataclass(frozen=True, slots=True, kw_only=True)
class Serving:
    """What the listeners serve."""

    routes: ListenerRoutes
    credential_usage: CredentialUsage
    responses: ResponseStore
    """Of the hits that the fast path repeats, as `watched`; a fleet's leader replaces both."""
    watched: WatchedBoards


class Listeners:
    """Binds addresses and accepts connections; all of it ends at shutdown."""

    def __init__(
        self, environment: Environment, max_fds: int, inherited: Iterable[socket.socket] = ()
    ) -> None:
        """`inherited`: sockets that listen already."""
        self.fast_paths: list[FastPath] = []
        """One for each address of clients."""
        self.tls: ListenerTls | None = None
        """Of clients' connections."""
        self._environment = environment
        self._max_fds = max_fds
        self._inherited = list(inherited)
        config = environment.config
        self._forwarding = Forwarding(config.clients, environment.authentication)

    def bind(self, address: Listen) -> list[socket.socket]:
        """The listening sockets of one address; they are closed at the end. CannotListen."""
        try:
            if address.path:
                sockets = [listen_unix(address.path, BACKLOG)]
            else:
                sockets = take_matching(
                    self._inherited, address.host, address.port
                ) or listen_socket(address.host, address.port)
        except OSError as error:
            raise CannotListen(address, error) from None
        for each in sockets:
            self._environment.shutdown.callback(each.close)
        return sockets

    async def listen(self, groups: list[list[socket.socket]], serving: Serving) -> None:
        """Accept connections of clients: at `listen`, then at `admin.listen` if there is one."""
        environment = self._environment
        on_refused = partial(count, environment.metrics.errors, "busy")
        limits = [
            ConnectionLimits(limit, environment.memory, on_refused, self._forwarding.trusts)
            for limit in (limit_of(self._max_fds), ADMIN_CONNECTIONS)[: len(groups)]
        ]
        environment.memory.max_requests = limits[0].limit_per_address
        environment.metrics.provide(client_readings(environment.memory, limits))
        routes = serving.routes.clients, serving.routes.admin
        for sockets, each_routes, each_limits in zip(groups, routes, limits, strict=False):
            middleware = self.middleware(Middleware, serving, each_routes)
            self.fast_paths.append(middleware.fast_path)
            await self._accept(sockets, middleware, middleware.handle, each_limits, self.tls)

    async def listen_for_nodes(
        self,
        sockets: list[socket.socket],
        middleware: Middleware,
        handle: Callable[[web.BaseRequest], Awaitable[web.StreamResponse]],
    ) -> None:
        """Accept connections of the other nodes of a fleet."""
        on_refused = partial(count, self._environment.metrics.errors, "busy")
        limits = ConnectionLimits(
            limit_of(self._max_fds), self._environment.memory, on_refused, lambda _: True
        )
        await self._accept(sockets, middleware, handle, limits, None)

    def middleware(self, kind: type[_M], serving: Serving, routes: Routes) -> _M:
        """A middleware with a fast path of its own."""
        environment = self._environment
        fast_path = FastPath(
            self._deps,
            self._hit_log,
            store=serving.responses,
            watched=serving.watched,
            digest_key=environment.random(32),
        )
        return kind(
            self._deps,
            routes=routes,
            guard=build_guard(environment.config),
            via=environment.via,
            fast_path=fast_path,
            forwarding=self._forwarding,
            credential_usage=serving.credential_usage,
            audit=environment.audit,
        )

    @cached_property
    def _hit_log(self) -> HitLog:
        return HitLog(self._environment.log, self._environment.metrics)

    @cached_property
    def _deps(self) -> ServerDeps:
        environment = self._environment
        return ServerDeps(
            clock=environment.clock,
            log=environment.log,
            metrics=environment.metrics,
            memory=environment.memory,
            request_ids=RequestIdGenerator(environment.instance),
            redact=environment.redactor.redact_text,
        )

    async def _accept(
        self,
        sockets: list[socket.socket],
        middleware: Middleware,
        handle: Callable[[web.BaseRequest], Awaitable[web.StreamResponse]],
        limits: ConnectionLimits,
        tls: ListenerTls | None,
    ) -> None:
        environment = self._environment
        server = web.Server(handle, handler_cancellation=True)
        runner = web.ServerRunner(server, shutdown_timeout=SHUTDOWN_S)
        await runner.setup()
        environment.shutdown.push_async_callback(runner.cleanup)
        for sock in sockets:
            path = address_of(sock).path
            listener = Listener(
                runner,
                sock,
                limits=limits,
                fast_path=middleware.fast_path,
                on_error=middleware.error_response,
                tls=None if path else tls,
            )
            await listener.start()
            if path:
                environment.shutdown.callback(remove_unix, path, inode_of(Path(path)))


def address_of(sock: socket.socket) -> Listen:
    """Where a socket listens."""
    name = sock.getsockname()
    return Listen("localhost", 0, name) if isinstance(name, str) else Listen(*name[:2])
