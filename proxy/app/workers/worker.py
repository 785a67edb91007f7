"""Worker: a process that accepts clients' connections, and relays what they request (D74).

It has no Trello credential, no store and no connection but to its parent, without which it ends.
"""

import socket
from pathlib import Path

import msgspec

from proxy import __version__
from proxy.app.certificate_reloader import CertificateReloader
from proxy.app.components import Environment
from proxy.app.environment import report_faults
from proxy.app.listeners import Listeners, Serving
from proxy.app.near_parser import build_near_parser
from proxy.app.reload import ReloadableState
from proxy.app.routes import ListenerRoutes
from proxy.app.workers.duties import StandingDuties
from proxy.app.workers.messages import Setup
from proxy.app.workers.settings import parse_settings, settings_digest
from proxy.attachments.stored_files import StoredFiles
from proxy.fleet.errors import NoLeader
from proxy.fleet.given_lease import GivenLease, worker_address
from proxy.fleet.local import Local
from proxy.fleet.near import Near
from proxy.fleet.node import Node
from proxy.fleet.protocol import Hello
from proxy.model import Credential
from proxy.observability.log import LogFlusher
from proxy.observability.transfer import Figures, FigureSource
from proxy.runtime.process import cpu_s, resident_bytes
from proxy.server.credential_usage import CredentialUsage
from proxy.server.fleet.client_handler import ClientHandler
from proxy.server.fleet.leader_service import LeaderService
from proxy.server.fleet.near_handler import NearHandler
from proxy.server.fleet.peer_client import PeerClient
from proxy.server.fleet.relay import Relay
from proxy.server.fleet.session_bound import SessionBound
from proxy.server.middleware import Handler, Routes
from proxy.server.request_parser import RequestParser
from proxy.trello.routes import RouteTable


class Worker:
    """One worker; `start` once, `stop` once."""

    def __init__(self, setup: Setup, environment: Environment, max_fds: int) -> None:
        clock, metrics = environment.clock, environment.metrics
        self._environment = environment
        self._listeners = Listeners(environment, max_fds)
        self._wait_s = environment.config.limits.wait_s
        self._certificates: CertificateReloader | None = None
        self._figures = FigureSource(metrics)
        key, path = bytes.fromhex(setup.key), f"\0{setup.parent}"
        client = PeerClient(lambda: key, environment.random, path, setup.max_relays)
        address, digest = worker_address(setup.number), settings_digest(setup.config)
        hello = Hello(address, environment.instance, __version__, digest, keeps=True)
        near = self._near = Near(clock, environment.config.cache.memory_bytes)
        near.on_change = self._use_near
        lease, duties, log = GivenLease(is_own=False), StandingDuties(clock), environment.log
        self._local = Local(hello, lease, client, duties, clock, log, near, is_given=True)
        self._node = Node(self._local)
        files = environment.own(StoredFiles(Path(environment.config.cache.directory)))
        self._relay = relay = Relay(
            self._node,
            client,
            near,
            clock,
            bound=SessionBound(self._node),
            wait_s=lambda: self._wait_s,
            files=files,
        )
        labels = (str(setup.number),)
        metrics.provide(
            {
                "fleet_relays_total": lambda: dict(relay.results),
                "fleet_relay_seconds": lambda: relay.durations,
                **near.readings(),
                "attachment_bytes_total": lambda: {"disk": files.file_io.read_bytes},
                "client_key_last_used_timestamp_seconds": environment.authentication.keys.last_used,
                "worker_cpu_seconds_total": lambda: {labels: cpu_s()},
                "worker_resident_bytes": lambda: {labels: resident_bytes()},
            }
        )

    async def start(self, sockets: list[socket.socket]) -> None:
        """Accept connections on these sockets, which listen already; UnusableFile for TLS."""
        environment = self._environment
        report_faults(environment)
        self._certificates = await self._listeners.load_certificate()
        environment.own(LogFlusher(environment.log, ())).start()
        environment.own(self._relay).start()
        environment.own(self._node).start()
        await self._listeners.listen([sockets], self._serving())
        self._use_near()

    async def stop(self) -> None:
        """Finish requests in progress, within seconds."""
        await self._environment.shutdown.aclose()

    def reload(self, settings: str) -> None:
        """Use what needs no restart of other settings; ConfigError, ValueError."""
        config, hello = parse_settings(settings), self._local.hello
        self._near.suspend()
        self._local.hello = msgspec.structs.replace(hello, config=settings_digest(settings))
        self._wait_s = config.limits.wait_s
        ReloadableState(
            components=lambda: None,
            redactor=self._environment.redactor,
            authentication=self._environment.authentication,
            fast_paths=self._listeners.fast_paths,
            memory=self._environment.memory,
            certificates=self._certificates,
        ).apply(config)

    def figures(self) -> Figures:
        """What was counted since the last call."""
        self._environment.log.flush()  # counts the hits of the fast path
        return self._figures.take()

    def _parser(self) -> RequestParser:
        environment = self._environment
        config = environment.config
        return build_near_parser(environment, config.origin, RouteTable(config.routes))

    def _use_near(self) -> None:
        """Have the fast paths repeat hits of the near cache."""
        for each in self._listeners.fast_paths:
            each.use_near(self._near)

    def _serving(self) -> Serving:
        environment = self._environment
        handler = ClientHandler(
            self._node,
            LeaderService(self._node),
            self._relay,
            NearHandler(self._near, self._parser(), environment.clock, counts_credentials=False),
            apart=_never_apart,
            wait_s=lambda: self._wait_s,
            clock=environment.clock,
        )
        serve = handler.serve_client
        return Serving(
            routes=ListenerRoutes(clients=Routes({}, {}, serve, serve), admin=Routes({})),
            credential_usage=CredentialUsage(
                lambda: Credential("", ""),
                environment.random(32),
                environment.clock,
                environment.log,
                deprecates=False,
            ),
            responses=self._near.store,
            watched=self._near.watch,
        )


async def _never_apart() -> Handler:
    """A worker ends without its parent, and requests nothing itself."""
    raise NoLeader
