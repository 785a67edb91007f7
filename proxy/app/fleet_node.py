"""Fleet node: builds what makes this process a node of a fleet, and starts and stops it (D65)."""

import socket
from collections.abc import Callable
from dataclasses import replace
from hashlib import sha256

import msgspec
from aiohttp import web

from proxy import __version__
from proxy.app.apart import ApartMode
from proxy.app.components import Components, Environment
from proxy.app.leader_duties import LeaderDuties
from proxy.app.listeners import Listeners, Serving
from proxy.app.near_parser import build_near_parser
from proxy.app.node_files import NodeFiles
from proxy.app.routes import ListenerRoutes, health_of
from proxy.cache.store.redis_connection import RedisConnection
from proxy.config.schema import Config, Fleet, masked
from proxy.fleet.local import Local
from proxy.fleet.near import Near
from proxy.fleet.node import Node, Role
from proxy.fleet.protocol import Hello
from proxy.fleet.redis_lease import RedisLease
from proxy.fleet.shared_key import SharedKey
from proxy.model import Credential
from proxy.observability.metrics import Readings
from proxy.server.credential_usage import CredentialUsage
from proxy.server.fast_path import FastPath
from proxy.server.fleet.client_handler import ClientHandler
from proxy.server.fleet.leader_service import LeaderService
from proxy.server.fleet.near_handler import NearHandler
from proxy.server.fleet.node_middleware import NodeHandler, RelayedMiddleware, envelope_of
from proxy.server.fleet.peer_client import PeerClient
from proxy.server.fleet.relay import Relay
from proxy.server.fleet.session_bound import SessionBound
from proxy.server.handlers.admin import AdminAccess
from proxy.server.handlers.fleet import FleetPages
from proxy.server.middleware import Routes
from proxy.server.request_context import RequestContext
from proxy.server.response import WireResponse
from proxy.status.health import Health
from proxy.trello.routes import RouteTable


class FleetNode:
    """This process as a node; `start` it once."""

    def __init__(
        self,
        environment: Environment,
        public_url: str,
        credential: Credential,
        *,
        address: str,
        learns: bool,
    ) -> None:
        """`address`: where other nodes reach this one."""
        config, random, clock = environment.config, environment.random, environment.clock
        self._environment = environment
        self.credential_usage = CredentialUsage(
            lambda: self._duties.credential,
            random(32),
            clock,
            environment.log,
            deprecates=not config.clients.forwards_credentials,
        )
        connect, name, self._key = self._connect, config.redis.name, self._build_key()
        client = PeerClient(self._key.get, random)
        self._files = NodeFiles(environment, client, connect, address, lambda: self.node)
        self._duties = LeaderDuties(
            environment,
            public_url,
            credential,
            self.credential_usage,
            files=self._files,
            learns=learns,
        )
        self._duties.on_change = self._use_store
        instance, replicas = environment.instance, config.redis.replicas
        store = RedisLease(
            connect, name=name, address=address, instance=instance, replicas=replicas
        )
        near = self._near = Near(clock, config.cache.memory_bytes)
        near.on_change = self._use_store
        hello = Hello(address, instance, __version__, shared_settings(config), keeps=True)
        self._local = Local(hello, store, client, self._duties, clock, environment.log, near)
        self.node = Node(self._local)
        self._service = LeaderService(self.node)
        self._duties.attach(self.node, self._service)
        self._relay = self._build_relay(client)
        self._operations = RouteTable(config.routes)
        self._parser = build_near_parser(environment, public_url, self._operations)
        self._apart = ApartMode(environment, public_url, self.node)
        self._fast_paths: list[FastPath] = []

    async def start(
        self, listeners: Listeners, sockets: list[socket.socket], serving: Serving
    ) -> None:
        """Accept other nodes' connections on `sockets`; look for a leader, or become it."""
        await self._files.start()
        middleware = listeners.middleware(
            RelayedMiddleware, serving, Routes({}, {}, self._serve_relayed, self._serve_relayed)
        )
        handler = NodeHandler(self.node, middleware, self._key.get)
        await listeners.listen_for_nodes(sockets, middleware, handler.handle)
        self._environment.metrics.provide(self._readings())
        own = self._environment.own
        own(self._apart)
        own(self._relay).start()
        own(self._duties)
        own(self._key).start()
        own(self.node)
        self.node.start()

    def _connect(self) -> RedisConnection:
        return RedisConnection(self._environment.config.cache.redis_url, self._environment.clock)

    def _build_key(self) -> SharedKey:
        environment, config = self._environment, self._environment.config
        return SharedKey(
            config.fleet.key.reveal() if config.fleet.key else None,
            self._connect,
            name=config.redis.name,
            random=environment.random,
            clock=environment.clock,
        )

    def _build_relay(self, client: PeerClient) -> Relay:
        bound, environment = SessionBound(self.node), self._environment
        return Relay(
            self.node,
            client,
            self._near,
            environment.clock,
            bound=bound,
            wait_s=self._wait_s,
            files=self._files.copies(bound),
        )

    @property
    def tick(self) -> Callable[[], None]:
        """To be called a few times a minute."""
        return self._duties.tick

    def routes(self) -> ListenerRoutes:
        """The routes of this node: its own pages, and all else served by the leader."""
        admin = self._environment.config.admin
        pages = FleetPages(
            node=self.node,
            near=self._near,
            metrics=self._environment.metrics,
            health=self._health,
            access=AdminAccess(admin.token.reveal() if admin.token else None),
            has_admin_address=admin.listen is not None,
        )
        handler = ClientHandler(
            self.node,
            self._service,
            self._relay,
            NearHandler(self._near, self._parser, self._environment.clock),
            apart=lambda: self._apart.handler(self._duties.credential),
            wait_s=self._wait_s,
            clock=self._environment.clock,
        )
        return ListenerRoutes(
            clients=Routes(
                pages.routes(is_admin=False), {}, handler.serve_client, handler.serve_client
            ),
            admin=Routes(pages.routes(is_admin=True), {}, handler.serve_admin, handler.serve_admin),
        )

    def _wait_s(self) -> float:
        return self._duties.environment.config.limits.wait_s

    def use_fast_paths(self, fast_paths: list[FastPath]) -> None:
        """Have them repeat hits: of the leader's store, or of the near cache."""
        self._fast_paths = fast_paths
        self._use_store()

    @property
    def components(self) -> Components | None:
        """Those of the leader's term, while this node leads."""
        return self._duties.components

    async def replace(self, credential: Credential) -> bool:
        """As CredentialManager.replace; followers use it when they lead."""
        components = self._duties.components
        if components is not None and not await components.credential_manager.replace(credential):
            return False
        self._duties.credential = (
            credential if components is None else components.upstream.stored.credential
        )
        self._duties.invalidate_copies()
        return True

    def reconfigure(self, config: Config) -> None:
        """Use what needs no restart: in the next term, and for what is kept near."""
        self._operations.override(config.routes)
        self._local.hello = msgspec.structs.replace(
            self._local.hello, config=shared_settings(config)
        )
        self._near.suspend()
        self._duties.invalidate_copies()
        environment = self._duties.environment
        own = replace(
            environment.config, routes=config.routes, limits=config.limits, clients=config.clients
        )
        self._duties.environment = replace(environment, config=own)

    def _readings(self) -> Readings:
        node, duties = self.node, self._duties

        def sessions() -> int:
            return len(node.leadership.sessions) if node.leadership is not None else 0

        return {
            "fleet_relays_total": lambda: dict(self._relay.results),
            "fleet_relay_seconds": lambda: self._relay.durations,
            **self._near.readings(),
            "fleet_leader": node.acts,
            "fleet_members": lambda: len(node.members),
            "fleet_sessions": sessions,
            "fleet_apart": lambda: node.role is Role.APART,
            "fleet_behind": lambda: duties.is_behind,
            "fleet_takeovers_total": lambda: duties.takeovers,
            "fleet_barrier_seconds": lambda: self._local.barriers.durations,
            "fleet_expired_total": lambda: self._local.barriers.expired,
            "fleet_trust_seconds": lambda: self._near.trusted_s,
        }

    def _health(self) -> Health | None:
        components = self._duties.components
        return health_of(components) if components is not None else None

    def _use_store(self) -> None:
        components = self._duties.components
        for each in self._fast_paths:
            if components is None:
                each.use_near(self._near)
            else:
                store, watched = components.stores.responses, components.services.cache.watched
                each.use(store, watched, self.node.acts)
        if components is not None:
            components.services.scoping.resolver.on_change = self._clear_fast_paths
            components.stores.responses.aliases.on_move = self._clear_fast_paths

    def _clear_fast_paths(self) -> None:
        for each in self._fast_paths:
            each.clear()

    async def _serve_relayed(
        self, request: web.BaseRequest, context: RequestContext
    ) -> WireResponse:
        """The response to a request that another node relayed; one that may be passed on once."""
        envelope, leader = envelope_of(request), self.node.leader
        if envelope.reads_file:
            return await self._files.endpoint.serve(request)
        is_admin = envelope.is_admin
        if envelope.is_for_leader and leader and not (leader.is_self or leader.through):
            return await self._relay.pass_on(leader, request, context, is_admin=is_admin)
        return await self._service.serve(request, context, is_admin=is_admin)


def shared_settings(config: Config) -> str:
    """Digest of the settings that all nodes must share, client keys among them."""
    own = replace(
        config,
        listen=Config().listen,
        tls=Config().tls,
        admin=Config().admin,
        audit=Config().audit,
        log=Config().log,
        fleet=Fleet(nodes=config.fleet.nodes),
        cache=replace(config.cache, directory=""),
    )
    keys = [
        sha256(each.key.reveal().encode()).hexdigest() for each in config.clients.keys if each.key
    ]
    return sha256("\n".join((masked(own), *keys)).encode()).hexdigest()[:12]
