"""App: one proxy, from its configuration to its shutdown."""

import asyncio
import socket
from collections.abc import Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from urllib.parse import urlsplit

from aiohttp import web

from proxy.access.authentication import Authentication
from proxy.app.certificate_reloader import CertificateReloader
from proxy.app.components import Components, Environment
from proxy.app.factory import ComponentFactory
from proxy.app.from_config import build_guard, configuration_warnings, secrets_of
from proxy.app.reload import ConfigSource, ReloadableState, Reloader
from proxy.app.routes import RouteBuilder
from proxy.config.certificates import CertificateFiles
from proxy.config.schema import Config
from proxy.credentials.redaction import Redactor
from proxy.model import Credential, Listen
from proxy.observability.log import Log, LogFlusher
from proxy.observability.loop_errors import loop_error_handler
from proxy.observability.metrics import Metrics, count
from proxy.runtime.clock import Clock
from proxy.runtime.directory import inode_of
from proxy.runtime.memory_budget import MemoryBudget
from proxy.runtime.unix_socket import listen_unix, remove_unix
from proxy.server.audit_log import AuditLog
from proxy.server.client_readings import client_readings, tls_readings
from proxy.server.connection_limits import ADMIN_CONNECTIONS, ConnectionLimits, limit_of
from proxy.server.fast_path import FastPath
from proxy.server.forwarding import Forwarding
from proxy.server.listener import BACKLOG, Listener, listen_socket
from proxy.server.middleware import Middleware, Routes
from proxy.server.request_context import RequestIdGenerator, ServerDeps
from proxy.server.tls import ListenerTls
from proxy.status.readings import (
    attachment_readings,
    availability_readings,
    cache_readings,
    poller_readings,
    rate_limit_readings,
    verification_readings,
)

SHUTDOWN_S = 3.0
"""Seconds for requests in progress; aiohttp may take it twice, and `stop` must end within 10 s."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SystemPorts:
    """System access of the proxy: time, output of the log, randomness, configuration."""

    clock: Clock
    write_log: Callable[[bytes], None]
    random: Callable[[int], bytes]
    source: ConfigSource | None = None
    """None: no setting changes while the proxy runs."""
    max_fds: int = 16_384
    """Limit of open file descriptors of this process."""


class App:
    """A proxy with a stored credential; `start` once, `stop` once."""

    def __init__(self, config: Config, credential: Credential, ports: SystemPorts) -> None:
        self._config = config
        self._credential = credential
        self._ports = ports
        redactor = Redactor(secrets_of(config, credential))
        level, form = config.log.level, config.log.format
        log = Log(ports.write_log, ports.clock, level, form, redactor.redact_text)
        self._environment = Environment(
            config=config,
            clock=ports.clock,
            log=log,
            random=ports.random,
            metrics=Metrics(),
            memory=MemoryBudget(config.limits.memory_bytes, self._log_memory_full),
            redactor=redactor,
            authentication=Authentication(config.clients, config.admin.token),
            audit=AuditLog(config.audit.file, ports.clock, log, is_required=config.audit.required),
            shutdown=AsyncExitStack(),
            instance=ports.random(4).hex(),
        )
        self._forwarding = Forwarding(config.clients, self._environment.authentication)
        self.fast_paths: list[FastPath] = []
        """One for each address."""
        self.port = config.listen.port
        """Port for clients; after `start` the bound one."""
        self.admin_port: int | None = None
        """The port of `admin.listen`, after `start`."""
        self.reloader: Reloader | None = None
        """After `start`; None without `SystemPorts.source`."""
        self.certificate_reloader: CertificateReloader | None = None
        """After `start`; None without TLS."""
        self._tls: ListenerTls | None = None
        self._components: Components | None = None

    @property
    def components(self) -> Components:
        """The components, after `start`."""
        if self._components is None:
            raise RuntimeError("the proxy has not started")
        return self._components

    @property
    def public_url(self) -> str:
        """Origin by which clients reach the proxy; the bound port replaces port 0."""
        url = self._config.origin
        if urlsplit(url).port != 0:
            return url
        return f"{url.removesuffix(':0')}:{self.port}"

    async def start(self) -> None:
        """Open the stores and listen; OSError if an address is in use, UnusableFile for TLS."""
        self._handle_loop_errors()
        await self._load_certificate()
        groups = self._bind()
        self._environment.audit.reopen()
        self._environment.shutdown.callback(self._environment.audit.close)
        factory = ComponentFactory(self._environment, self.public_url)
        self._components = await factory.build(self._credential)
        self._components.services.scoping.resolver.on_change = self._clear_fast_paths
        self._provide_readings()
        self._start_log_flusher()
        await self._listen(groups)
        self._start_webhooks()
        self._start_credential_manager()
        self._start_reloader()
        self._log_start(groups)

    async def stop(self) -> None:
        """Finish requests in progress, within twice SHUTDOWN_S, and write pending data."""
        await self._environment.shutdown.aclose()
        self._environment.log.event("info", "stopped")

    def _clear_fast_paths(self) -> None:
        for fast_path in self.fast_paths:
            fast_path.clear()

    def _handle_loop_errors(self) -> None:
        loop = asyncio.get_running_loop()
        self._environment.shutdown.callback(
            loop.set_exception_handler, loop.get_exception_handler()
        )
        loop.set_exception_handler(loop_error_handler(self._environment.log))

    async def _load_certificate(self) -> None:
        """With `tls`, load its certificate, and again when it changes."""
        environment, tls = self._environment, self._config.tls
        if tls.certificate is None:
            return
        reloader = CertificateReloader(CertificateFiles(tls), environment.clock, environment.log)
        in_use = self._tls = ListenerTls(await reloader.load(), environment.log)
        environment.own(reloader).start(in_use.use)
        self.certificate_reloader = reloader

    def _log_memory_full(self) -> None:
        used = self._environment.memory.used_bytes
        self._environment.log.event_once_a_minute("warning", "client memory full", **used)

    def _bind(self) -> list[list[socket.socket]]:
        """The listening sockets for clients, then those of `admin.listen` if there is one."""
        listen, admin = self._config.listen, self._config.admin.listen
        groups = [self._bind_address(each) for each in ((listen, admin) if admin else (listen,))]
        ports = [_address_of(sockets[0]).port for sockets in groups]
        self.port, self.admin_port = ports[0], ports[1] if admin else None
        return groups

    def _bind_address(self, address: Listen) -> list[socket.socket]:
        """The listening sockets of one address; they are closed at the end."""
        if address.path:
            sockets = [listen_unix(address.path, BACKLOG)]
        else:
            sockets = listen_socket(address.host, address.port)
        for each in sockets:
            self._environment.shutdown.callback(each.close)
        return sockets

    def _provide_readings(self) -> None:
        """Register the readings of the components, taken when /metrics is scraped."""
        components, metrics = self.components, self._environment.metrics
        upstream, stores = components.upstream, components.stores
        metrics.provide(rate_limit_readings(upstream.limiter, upstream.stored))
        metrics.provide(availability_readings(upstream.availability, components.credential_manager))
        metrics.provide(cache_readings(stores.responses, self._config, stores.redis))
        metrics.provide(attachment_readings(stores.attachments, metrics))
        metrics.provide(poller_readings(components.changes.poller))
        metrics.provide(verification_readings(components.services.verifier))
        metrics.provide(tls_readings(self._tls, self._environment.clock))
        metrics.provide({"client_credentials_total": components.credential_usage.counts})
        last_used = self._environment.authentication.keys.last_used
        metrics.provide({"client_key_last_used_timestamp_seconds": last_used})

    def _start_log_flusher(self) -> None:
        ticks = self.components.services.cache.clock_monitor.tick, self.components.dashboard.tick
        self._environment.own(LogFlusher(self._environment.log, ticks)).start()

    async def _listen(self, groups: list[list[socket.socket]]) -> None:
        environment = self._environment
        routes = RouteBuilder(environment, self.components).build()
        on_refused = partial(count, environment.metrics.errors, "busy")
        limits = [
            ConnectionLimits(limit, environment.memory, on_refused, self._forwarding.trusts)
            for limit in (limit_of(self._ports.max_fds), ADMIN_CONNECTIONS)[: len(groups)]
        ]
        environment.memory.max_requests = limits[0].limit_per_address
        environment.metrics.provide(client_readings(environment.memory, limits))
        deps = ServerDeps(
            clock=environment.clock,
            log=environment.log,
            metrics=environment.metrics,
            memory=environment.memory,
            request_ids=RequestIdGenerator(environment.instance),
            redact=environment.redactor.redact_text,
        )
        await self._serve(groups[0], deps, routes.clients, limits[0])
        if len(groups) > 1:
            await self._serve(groups[1], deps, routes.admin, limits[1])

    async def _serve(
        self,
        sockets: list[socket.socket],
        deps: ServerDeps,
        routes: Routes,
        limits: ConnectionLimits,
    ) -> None:
        """Accept connections on the sockets of one address."""
        components, environment = self.components, self._environment
        fast_path = FastPath(
            deps,
            store=components.stores.responses,
            watched=components.services.cache.watched,
            digest_key=environment.random(32),
        )
        middleware = Middleware(
            deps,
            routes=routes,
            guard=build_guard(self._config),
            via=environment.via,
            fast_path=fast_path,
            forwarding=self._forwarding,
            credential_usage=components.credential_usage,
            audit=environment.audit,
        )
        server = web.Server(middleware.handle, handler_cancellation=True)
        runner = web.ServerRunner(server, shutdown_timeout=SHUTDOWN_S)
        await runner.setup()
        environment.shutdown.push_async_callback(runner.cleanup)
        self.fast_paths.append(fast_path)
        for sock in sockets:
            path = _address_of(sock).path
            listener = Listener(
                runner,
                sock,
                limits=limits,
                fast_path=fast_path,
                on_error=middleware.error_response,
                tls=None if path else self._tls,
            )
            await listener.start()
            if path:
                environment.shutdown.callback(remove_unix, path, inode_of(Path(path)))

    def _start_webhooks(self) -> None:
        """Start the webhook manager, after listening: Trello probes the callback."""
        manager = self.components.changes.webhook_manager
        if manager is not None:
            self._environment.own(manager).start()

    def _start_credential_manager(self) -> None:
        manager = self._environment.own(self.components.credential_manager)
        manager.start(learns=self._ports.source is not None)

    def _start_reloader(self) -> None:
        if self._ports.source is None:
            return
        environment, components = self._environment, self.components
        state = ReloadableState(
            routes=components.upstream.routes,
            limiter=components.upstream.limiter,
            redactor=environment.redactor,
            authentication=environment.authentication,
            webhook_receiver=components.changes.webhook_receiver,
            fast_paths=self.fast_paths,
            memory=environment.memory,
            certificates=self.certificate_reloader,
        )
        self.reloader = environment.own(
            Reloader(
                source=self._ports.source,
                config=self._config,
                credential_manager=components.credential_manager,
                apply=state.apply,
                audit=environment.audit,
                clock=environment.clock,
                log=environment.log,
            )
        )
        self.reloader.start()

    def _log_start(self, groups: list[list[socket.socket]]) -> None:
        """Log the addresses listened on, both of `::`, and the configuration's warnings."""
        addresses = [", ".join(str(_address_of(each)) for each in sockets) for sockets in groups]
        log = self._environment.log
        log.event("info", "listening", **dict(zip(("address", "admin"), addresses, strict=False)))
        for warning in configuration_warnings(self._config):
            log.event("warning", "configuration", detail=warning)


def _address_of(sock: socket.socket) -> Listen:
    """Where a socket listens."""
    name = sock.getsockname()
    return Listen("localhost", 0, name) if isinstance(name, str) else Listen(*name[:2])
