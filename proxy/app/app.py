"""App: one proxy, from its configuration to its shutdown."""

import socket
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from proxy.app.certificate_reloader import CertificateReloader
from proxy.app.components import Components
from proxy.app.environment import build_environment, report_faults
from proxy.app.factory import ComponentFactory
from proxy.app.from_config import configuration_warnings, secrets_of
from proxy.app.listeners import Listeners, Serving, address_of
from proxy.app.readings import component_readings
from proxy.app.reload import ConfigSource, ReloadableState, Reloader, ReplacesCredential
from proxy.app.routes import RouteBuilder
from proxy.cache.boards import WatchedBoards
from proxy.cache.store.store import MemoryTier, ResponseStore
from proxy.cache.store.tag_epochs import TagEpochs
from proxy.config.schema import Config
from proxy.model import Credential, Listen
from proxy.observability.log import LogFlusher
from proxy.runtime.clock import BootClock
from proxy.server.client_readings import tls_readings
from proxy.server.fast_path import FastPath
from proxy.status.readings import attachment_readings

if TYPE_CHECKING:
    from proxy.app.fleet_node import FleetNode
    from proxy.app.workers.pool import WorkerPool


@dataclass(frozen=True, slots=True, kw_only=True)
class SystemPorts:
    """System access of the proxy: time, output of the log, randomness, configuration."""

    clock: BootClock
    write_log: Callable[[bytes], None]
    random: Callable[[int], bytes]
    source: ConfigSource | None = None
    """None: no setting changes while the proxy runs."""
    max_fds: int = 16_384
    """Limit of open file descriptors of this process."""
    cores: int = 64
    """Of this machine."""
    sockets: tuple[socket.socket, ...] = ()
    """Listening sockets that the service manager holds; each is used where its address is."""
    environ: Mapping[str, str] = field(default_factory=dict)
    """Environment variables of workers."""


class App:
    """A proxy with a stored credential; `start` once, `stop` once."""

    def __init__(self, config: Config, credential: Credential, ports: SystemPorts) -> None:
        self._config = config
        self._credential = credential
        self._ports = ports
        self._environment = build_environment(
            config,
            secrets_of(config, credential),
            clock=ports.clock,
            write_log=ports.write_log,
            random=ports.random,
        )
        self._listeners = Listeners(self._environment, ports.max_fds, ports.sockets)
        self.port = config.listen.port
        """Port for clients; after `start` the bound one."""
        self.admin_port: int | None = None
        """The port of `admin.listen`, after `start`."""
        self.reloader: Reloader | None = None
        """After `start`; None without `SystemPorts.source`."""
        self.certificate_reloader: CertificateReloader | None = None
        """After `start`; None without TLS."""
        self._worker_sockets: list[list[socket.socket]] = []
        """A list for each worker; empty without them."""
        self._components: Components | None = None
        self.fleet: FleetNode | None = None
        """After `start`; None without a fleet."""
        self.workers: WorkerPool | None = None
        """After `start`; None without workers."""

    @property
    def components(self) -> Components:
        """The components, after `start`."""
        if self._components is None:
            raise RuntimeError("the proxy has not started")
        return self._components

    @property
    def fast_paths(self) -> list[FastPath]:
        """One for each address."""
        return self._listeners.fast_paths

    @property
    def public_url(self) -> str:
        """Origin by which clients reach the proxy; the bound port replaces port 0."""
        url = self._config.origin
        if urlsplit(url).port != 0:
            return url
        return f"{url.removesuffix(':0')}:{self.port}"

    async def start(self) -> None:
        """Open the stores and listen; OSError if an address is in use, UnusableFile for TLS."""
        report_faults(self._environment)
        self.certificate_reloader = await self._listeners.load_certificate()
        groups = self._bind()
        self._environment.audit.reopen()
        self._environment.shutdown.callback(self._environment.audit.close)
        self._provide_readings()
        if self._config.fleet.listen is None:
            await self._start_alone(groups)
        else:
            await self._start_node(groups, self._config.fleet.listen)
        self._log_start(groups)

    async def _start_alone(self, groups: list[list[socket.socket]]) -> None:
        environment = self._environment
        factory = ComponentFactory(environment, self.public_url)
        components = self._components = await factory.build(self._credential)
        components.services.scoping.resolver.on_change = self._clear_fast_paths
        components.stores.responses.aliases.on_move = self._clear_fast_paths
        environment.metrics.provide(component_readings(components, environment))
        files = components.stores.attachments
        environment.metrics.provide(attachment_readings(files, environment.metrics))
        usage = components.credential_usage
        environment.metrics.provide({"client_credentials_total": usage.counts})
        ticks = components.services.cache.clock_monitor.tick, components.dashboard.tick
        environment.own(LogFlusher(environment.log, ticks)).start()
        serving = Serving(
            routes=RouteBuilder(environment, components).build(),
            credential_usage=usage,
            responses=components.stores.responses,
            watched=components.services.cache.watched,
        )
        if not self._worker_sockets:
            await self._listeners.listen(groups, serving)
        else:
            await self._listeners.listen([[], *groups[1:]], serving)
            self.workers = self._worker_pool()
            await self.workers.start(self._listeners, serving, components)
        self._start_webhooks(components)
        manager = environment.own(components.credential_manager)
        manager.start(learns=self._ports.source is not None)
        self._start_reloader(self.workers or manager, lambda: components, self._reconfigure)

    def _worker_pool(self) -> "WorkerPool":
        """The workers, not started (D74)."""
        from proxy.app.workers.pool import WorkerPool  # noqa: PLC0415 — delays the start
        from proxy.runtime.child_process import start_child  # noqa: PLC0415 — as above

        ports = self._ports
        return WorkerPool(
            self._environment,
            self._worker_sockets,
            self._worker_settings(self._config),
            start=lambda sockets: start_child("worker", sockets, ports.environ),
            write_log=ports.write_log,
        )

    def _worker_settings(self, config: Config) -> str:
        from proxy.app.workers.settings import worker_settings  # noqa: PLC0415 — delays the start

        return worker_settings(config, self.public_url, self.port)

    def _reconfigure(self, config: Config) -> None:
        if self.workers is not None:
            self.workers.reload(self._worker_settings(config))

    async def _start_node(self, groups: list[list[socket.socket]], listen: Listen) -> None:
        """Start as a node of a fleet (D65)."""
        from proxy.app.fleet_node import FleetNode  # noqa: PLC0415 — needs an extra

        environment, sockets = self._environment, self._listeners.bind(listen)
        bound = replace(listen, port=address_of(sockets[0]).port)
        fleet = self.fleet = FleetNode(
            environment,
            self.public_url,
            self._credential,
            address=self._config.fleet.address or str(bound),
            learns=self._ports.source is not None,
        )
        environment.own(LogFlusher(environment.log, (fleet.tick,))).start()
        serving = Serving(
            routes=fleet.routes(),
            credential_usage=fleet.credential_usage,
            responses=ResponseStore(MemoryTier(0), None, TagEpochs(0)),
            watched=WatchedBoards(environment.clock),
        )
        environment.metrics.provide({"client_credentials_total": fleet.credential_usage.counts})
        await fleet.start(self._listeners, sockets, serving)
        await self._listeners.listen(groups, serving)
        fleet.use_fast_paths(self.fast_paths)
        self._start_reloader(fleet, lambda: fleet.components, fleet.reconfigure)

    async def stop(self) -> None:
        """Finish requests in progress, within seconds, and write pending data."""
        await self._environment.shutdown.aclose()
        self._environment.log.event("info", "stopped")

    def _clear_fast_paths(self) -> None:
        for fast_path in self.fast_paths:
            fast_path.clear()

    def _bind(self) -> list[list[socket.socket]]:
        """The listening sockets for clients, then those of `admin.listen` if there is one."""
        listen, admin = self._config.listen, self._config.admin.listen
        if self._config.workers > 1:
            self._worker_sockets = self._listeners.bind_each(listen, self._config.workers)
            groups = self._worker_sockets[:1]
        else:
            groups = [self._listeners.bind(listen)]
        if admin:
            groups.append(self._listeners.bind(admin))
        ports = [address_of(sockets[0]).port for sockets in groups]
        self.port, self.admin_port = ports[0], ports[1] if admin else None
        return groups

    def _provide_readings(self) -> None:
        """Register the readings of the process, taken when /metrics is scraped."""
        metrics = self._environment.metrics
        metrics.provide(tls_readings(self._listeners.tls, self._environment.clock))
        last_used = self._environment.authentication.keys.last_used
        metrics.provide({"client_key_last_used_timestamp_seconds": last_used})

    def _start_webhooks(self, components: Components) -> None:
        """Start the webhook manager, after listening: Trello probes the callback."""
        manager = components.changes.webhook_manager
        if manager is not None:
            self._environment.own(manager).start()

    def _start_reloader(
        self,
        credential_manager: ReplacesCredential,
        components: Callable[[], Components | None],
        reconfigure: Callable[[Config], None],
    ) -> None:
        """`reconfigure` is called with a configuration that was applied."""
        if self._ports.source is None:
            return
        environment = self._environment
        state = ReloadableState(
            components=components,
            redactor=environment.redactor,
            authentication=environment.authentication,
            fast_paths=self.fast_paths,
            memory=environment.memory,
            certificates=self.certificate_reloader,
        )

        def apply(config: Config) -> None:
            state.apply(config)
            reconfigure(config)

        self.reloader = environment.own(
            Reloader(
                source=self._ports.source,
                config=self._config,
                credential_manager=credential_manager,
                apply=apply,
                audit=environment.audit,
                clock=environment.clock,
                log=environment.log,
            )
        )
        self.reloader.start()

    def _log_start(self, groups: list[list[socket.socket]]) -> None:
        """Log the addresses listened on, both of `::`, and the configuration's warnings."""
        addresses = [", ".join(str(address_of(each)) for each in sockets) for sockets in groups]
        log = self._environment.log
        log.event("info", "listening", **dict(zip(("address", "admin"), addresses, strict=False)))
        for warning in configuration_warnings(self._config, self._ports.cores):
            log.event("warning", "configuration", detail=warning)
