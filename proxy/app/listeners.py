"""Listeners: the sockets of this process, and what accepts connections on each."""

import socket
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass
from functools import cached_property, partial
from pathlib import Path
from typing import TypeVar

from aiohttp import web

from proxy.app.certificate_reloader import CertificateReloader
from proxy.app.components import Environment
from proxy.app.from_config import build_guard
from proxy.app.routes import ListenerRoutes
from proxy.cache.boards import Watch
from proxy.cache.store.store import ResponseStore
from proxy.config.certificates import CertificateFiles
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
from proxy.server.listener import (
    BACKLOG,
    CannotListen,
    Listener,
    listen_socket,
    shared_sockets,
)
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
    watched: Watch


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
        self._bound = set[socket.socket]()
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
        self._bound.update(sockets)
        return sockets

    def bind_each(self, address: Listen, count: int) -> list[list[socket.socket]]:
        """`count` lists of the listening sockets of one address, one for each worker.

        Connections to a Unix socket, and to one that the service manager holds, cannot be spread:
        it stands in each list, and whichever worker is first accepts. CannotListen.
        """
        inherited = len(self._inherited)
        sockets = self.bind(address)
        if address.path:
            self._remove_at_end(sockets[0])
        if address.path or len(self._inherited) < inherited:
            return [sockets] * count
        try:
            lists = shared_sockets(sockets, count)
        except OSError as error:
            raise CannotListen(address, error) from None
        for each in (sock for made in lists[1:] for sock in made):
            self._environment.shutdown.callback(each.close)
        return lists

    async def load_certificate(self) -> CertificateReloader | None:
        """Load the certificate of `tls`, if there is one, and again when it changes."""
        environment, tls = self._environment, self._environment.config.tls
        if tls.certificate is None:
            return None
        reloader = CertificateReloader(CertificateFiles(tls), environment.clock, environment.log)
        in_use = self.tls = ListenerTls(await reloader.load(), environment.log)
        environment.own(reloader).start(in_use.use)
        return reloader

    async def listen(self, groups: list[list[socket.socket]], serving: Serving) -> None:
        """Accept connections of clients: at `listen`, then at `admin.listen` if there is one.

        Without sockets for the first, workers accept those.
        """
        environment = self._environment
        on_refused = partial(count, environment.metrics.errors, "busy")
        limits = [
            ConnectionLimits(limit, environment.memory, on_refused, self._forwarding.trusts)
            for limit in (limit_of(self._max_fds), ADMIN_CONNECTIONS)[: len(groups)]
        ]
        environment.memory.max_requests = limits[0].limit_per_address
        used = [each for each, sockets in zip(limits, groups, strict=True) if sockets]
        environment.metrics.provide(client_readings(environment.memory, used))
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
        """Accept connections of the other nodes of a fleet, or of the workers."""
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
            listener = Listener(
                runner,
                sock,
                limits=limits,
                fast_path=middleware.fast_path,
                on_error=middleware.error_response,
                tls=None if sock.family == socket.AF_UNIX else tls,
            )
            await listener.start()
            if sock.family == socket.AF_UNIX and sock in self._bound:
                self._remove_at_end(sock)

    def _remove_at_end(self, sock: socket.socket) -> None:
        """Remove the file of a Unix socket before it is closed."""
        if path := address_of(sock).path:
            self._environment.shutdown.callback(remove_unix, path, inode_of(Path(path)))


def address_of(sock: socket.socket) -> Listen:
    """Where a socket listens; of an abstract Unix socket, which has no file, without a path."""
    name = sock.getsockname()
    if isinstance(name, tuple):
        return Listen(*name[:2])
    return Listen("localhost", 0, name if isinstance(name, str) else "")
