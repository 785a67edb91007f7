"""Component factory: builds the components of one proxy and wires them to each other.

Which component listens to which stands in `build_services` and nowhere else. What runs in the
background is registered with the environment when it is built, and stopped in reverse order.
"""

from collections.abc import Callable
from functools import partial

from proxy.app.components import (
    CacheComponents,
    Changes,
    Components,
    Environment,
    Services,
    Stores,
    UpstreamComponents,
)
from proxy.app.from_config import build_link_rewriter, cache_variant, webhook_callback
from proxy.app.scoping_factory import build_scoping
from proxy.app.stores import StoreFactory
from proxy.attachments.board_export import BoardExport
from proxy.attachments.fetcher import FetchDeps, StorageHosts
from proxy.attachments.service import AttachmentService
from proxy.attachments.ssrf_guard import may_connect
from proxy.cache.aliases import AliasResolver
from proxy.cache.batch import BatchService
from proxy.cache.boards import ActiveBoards, WatchedBoards
from proxy.cache.clock_monitor import ClockMonitor
from proxy.cache.invalidation import Invalidator
from proxy.cache.lookup import StoredLookup
from proxy.cache.projection.projector import Projector
from proxy.cache.read_through import ReadThrough
from proxy.cache.recent_reads import RecentReads
from proxy.cache.response_storing import ResponseStorer
from proxy.cache.store.store import ResponseStore
from proxy.cache.verification import HitVerifier, pause_s
from proxy.cache.write_through import EchoFilter, WriteThrough
from proxy.changes.board_poller import BoardPoller
from proxy.changes.poll_diff import TARGET, interval_s
from proxy.changes.refresh import ActiveRefresher
from proxy.changes.webhook_client import WebhookClient
from proxy.changes.webhook_manager import WebhookManager
from proxy.changes.webhook_receiver import WebhookReceiver
from proxy.config.schema import Config
from proxy.credentials.identity import (
    CachePartitions,
    IdentityState,
    StoredCredential,
)
from proxy.http_semantics.cache_control import NONE
from proxy.model import Credential, Priority
from proxy.ratelimit.limiter import RateLimiter
from proxy.server.credential_usage import CredentialUsage
from proxy.server.request_parser import RequestParser
from proxy.status.history import Dashboard
from proxy.trello.routes import RouteTable
from proxy.upstream.availability import CircuitBreakers
from proxy.upstream.client import UpstreamClient
from proxy.upstream.credential_manager import CredentialManager, TokenInspector
from proxy.upstream.egress import Egress, egress_of
from proxy.upstream.exchange import UpstreamExchange
from proxy.upstream.transport import Transport, allow_any


def build_transport(
    config: Config, egress: Egress, may_connect: Callable[[str, int], bool] = allow_any
) -> Transport:
    """The transport to Trello, or to other hosts that `may_connect` allows."""
    return Transport(
        connect_timeout_s=config.upstream.connect_timeout_s,
        read_timeout_s=config.upstream.read_timeout_s,
        may_connect=may_connect,
        egress=egress,
    )


class ComponentFactory:
    """Builds the components of one proxy."""

    def __init__(self, environment: Environment, public_url: str) -> None:
        """`public_url`: origin by which clients reach the proxy, with the bound port."""
        self._environment = environment
        self._config = environment.config
        self._clock = environment.clock
        self._log = environment.log
        self._public_url = public_url
        self._egress = egress_of(self._config.upstream)
        watch_s, token = self._config.freshness.watch_s, self._config.limits.token
        self._poll_interval_s = (
            None if watch_s == "off" else interval_s(watch_s, token.count, token.window_s)
        )

    async def build(self, credential: Credential) -> Components:
        """All components; those that need no listener are started."""
        store_factory = StoreFactory(self._environment)
        stores = await store_factory.open()
        identity = await store_factory.identity(stores)
        upstream = await self._build_upstream(self._stored_credential(credential, identity))
        services = self._build_services(stores, upstream)
        changes = self._build_changes(upstream, services)
        return Components(
            stores=stores,
            upstream=upstream,
            services=services,
            changes=changes,
            credential_manager=self._build_credential_manager(stores, identity, upstream, changes),
            credential_usage=self._build_credential_usage(upstream.stored),
            dashboard=Dashboard(
                self._environment.metrics, upstream.limiter, upstream.stored, self._clock
            ),
        )

    async def _build_upstream(self, stored: StoredCredential) -> UpstreamComponents:
        """The client that sends requests to Trello."""
        environment, config, clock = self._environment, self._config, self._clock
        metrics = environment.metrics
        links = build_link_rewriter(config, self._public_url)
        leader = environment.leader
        may_send = leader.may_send if leader else None
        limiter = RateLimiter(config.limits, clock, environment.random, metrics, may_send)
        availability = CircuitBreakers(stored, clock, self._log, environment.random)
        environment.own(limiter)
        client = UpstreamClient(
            self._transport(),
            limiter=limiter,
            availability=availability,
            metrics=metrics,
            clock=clock,
            random_bytes=environment.random,
        )
        exchange = UpstreamExchange(
            client,
            origin=config.upstream.url,
            via=environment.via,
            redactor=environment.redactor,
            link_rewriter=links if config.links.rewrite else None,
            metrics=metrics,
            memory=environment.memory,
            clock=clock,
        )
        return UpstreamComponents(
            stored=stored,
            routes=RouteTable(config.routes),
            links=links,
            limiter=limiter,
            availability=availability,
            exchange=exchange,
        )

    def _stored_credential(
        self, credential: Credential, identity: IdentityState
    ) -> StoredCredential:
        """The stored credential, with its member's id if the identity has it."""
        partitions = CachePartitions(bytes.fromhex(identity.key), cache_variant(self._config))
        is_known = identity.credential == partitions.of_credential(credential)
        return StoredCredential(credential, partitions, identity.member if is_known else "")

    def _transport(self, may_connect: Callable[[str, int], bool] = allow_any) -> Transport:
        transport = build_transport(self._config, self._egress, may_connect)
        self._environment.shutdown.push_async_callback(transport.close)
        return transport

    def _build_parser(self, upstream: UpstreamComponents) -> RequestParser:
        return RequestParser(
            table=upstream.routes,
            stored=upstream.stored,
            clients=self._config.clients,
            links=upstream.links,
            authentication=self._environment.authentication,
        )

    def _build_services(self, stores: Stores, upstream: UpstreamComponents) -> Services:
        """The services; hit verification starts."""
        environment, responses, exchange = self._environment, stores.responses, upstream.exchange
        own, leader = environment.own, environment.leader
        responses.barrier = leader.barrier if leader else None
        invalidator = Invalidator(responses, environment.metrics, self._log)
        echo_filter = EchoFilter(environment.random(8).hex())
        cache = self._build_cache(responses, invalidator)
        reads = own(
            ReadThrough(
                lookup=cache.lookup,
                aliases=cache.aliases,
                projector=cache.projector,
                storer=cache.storer,
                exchange=exchange,
                watched=cache.watched,
                recent=cache.recent_reads,
            )
        )
        writes = own(
            WriteThrough(
                exchange=exchange,
                invalidator=invalidator,
                aliases=cache.aliases,
                echoes=echo_filter,
                on_write=cache.watched.note_change,
                fence=leader.fence if leader else None,
            )
        )
        fetch_deps = FetchDeps(
            exchange=exchange, storage_hosts=self._storage_hosts(), metrics=environment.metrics
        )
        parser = self._build_parser(upstream)
        match = upstream.routes.classify("GET", ["batch"])
        batches = own(BatchService(reads, cache.storer, exchange, match))
        reads.fetch_parts = batches.fetch_parts
        return Services(
            parser=parser,
            cache=cache,
            reads=reads,
            writes=writes,
            batches=batches,
            attachments=AttachmentService(reads, upstream.routes, fetch_deps, stores.attachments),
            exports=BoardExport(fetch_deps),
            scoping=build_scoping(parser, cache, reads, batches),
            verifier=self._build_verifier(reads, responses, invalidator),
            invalidator=invalidator,
            echo_filter=echo_filter,
        )

    def _build_cache(self, responses: ResponseStore, invalidator: Invalidator) -> CacheComponents:
        """The components that services and change detection share."""
        clock = self._clock
        watched = WatchedBoards(clock)
        clock_monitor = ClockMonitor(invalidator, clock, self._log, watched.clock_set_back)
        clock_monitor.check(responses.newest_at)
        active_boards, recent_reads = ActiveBoards(clock), RecentReads(clock)
        aliases = AliasResolver(responses, clock)
        lookup = StoredLookup(responses, watched, clock, on_future=clock_monitor.check)
        projector = Projector(responses, lookup, aliases, clock)
        storer = ResponseStorer(
            responses=responses,
            aliases=aliases,
            projector=projector,
            public_url=self._public_url,
            on_stored=active_boards.note,
            clock=clock,
            metrics=self._environment.metrics,
        )
        return CacheComponents(
            lookup=lookup,
            aliases=aliases,
            projector=projector,
            storer=storer,
            watched=watched,
            clock_monitor=clock_monitor,
            active_boards=active_boards,
            recent_reads=recent_reads,
        )

    def _build_verifier(
        self, reads: ReadThrough, responses: ResponseStore, invalidator: Invalidator
    ) -> HitVerifier:
        verifier = HitVerifier(
            reads=reads,
            responses=responses,
            invalidator=invalidator,
            pause_s=self._verification_pause_s,
            clock=self._clock,
            log=self._log,
        )
        self._environment.own(verifier).start()
        return verifier

    def _verification_pause_s(self) -> float:
        token = self._config.limits.token
        random = int.from_bytes(self._environment.random(4)) / 2**32
        return pause_s(token.count, token.window_s, random)

    def _storage_hosts(self) -> StorageHosts:
        """The hosts that attachment downloads may be redirected to."""
        hosts = self._config.upstream.storage_hosts
        named, matched = (
            self._transport(partial(may_connect, listed=hosts, is_host_named=is_named))
            for is_named in (True, False)
        )
        return StorageHosts(hosts=hosts, named=named, wildcard=matched)

    def _build_changes(self, upstream: UpstreamComponents, services: Services) -> Changes:
        """Change detection; polling starts."""
        own, parser, cache = self._environment.own, services.parser, services.cache
        batch = parser.internal_get("/1/batch", NONE, Priority.BACKGROUND)
        refresher = own(
            ActiveRefresher(cache.recent_reads, services.reads, services.batches, batch)
        )
        services.reads.revalidate_in_batch = refresher.revalidate
        receiver, manager = self._build_webhooks(upstream, services)

        poller = own(
            BoardPoller(
                exchange=upstream.exchange,
                invalidator=services.invalidator,
                watched=cache.watched,
                interval_s=self._poll_interval_s,
                refresh=refresher.refresh,
                webhooks=manager,
                clock=self._clock,
                log=self._log,
            )
        )
        poller.start(parser.internal_get(TARGET, NONE, Priority.POLLER))
        return Changes(poller=poller, webhook_receiver=receiver, webhook_manager=manager)

    def _build_webhooks(
        self, upstream: UpstreamComponents, services: Services
    ) -> tuple[WebhookReceiver | None, WebhookManager | None]:
        """Receiver and manager of webhooks; None without `freshness.webhook_url`."""
        callback, metrics = webhook_callback(self._config), self._environment.metrics
        if callback is None:
            return None, None
        receiver = WebhookReceiver(
            callback=callback,
            echoes=services.echo_filter,
            invalidator=services.invalidator,
            on_change=services.cache.watched.note_change,
            metrics=metrics,
            clock=self._clock,
        )
        client = WebhookClient(
            callback_url=callback.url,
            stored=upstream.stored,
            exchange=upstream.exchange,
            writes=services.writes,
            table=upstream.routes,
        )
        manager = WebhookManager(
            client=client,
            boards=services.cache.active_boards,
            is_exposed=self._is_exposed(services),
            receiver=receiver,
            metrics=metrics,
            clock=self._clock,
            log=self._log,
        )
        return receiver, manager

    def _is_exposed(self, services: Services) -> Callable[[str], bool]:
        """Whether a board is within `clients.boards` and `clients.workspaces`."""
        authentication, resolver = self._environment.authentication, services.scoping.resolver
        return lambda board: resolver.exposes(authentication.anonymous.scope, board)

    def _build_credential_manager(
        self,
        stores: Stores,
        identity: IdentityState,
        upstream: UpstreamComponents,
        changes: Changes,
    ) -> CredentialManager:
        """The manager of the stored credential; not started."""
        partitions = upstream.stored.partitions

        def remember(credential: Credential, member: str) -> None:
            digest = partitions.of_credential(credential)
            stores.identity.save(IdentityState(identity.key, digest, member))

        inspector = TokenInspector(upstream.exchange, upstream.routes)
        webhook_manager = changes.webhook_manager
        return CredentialManager(
            upstream.stored,
            inspector,
            upstream.availability,
            clock=self._clock,
            log=self._log,
            random_bytes=self._environment.random,
            remember=remember,
            on_switch=None if webhook_manager is None else webhook_manager.resync,
        )

    def _build_credential_usage(self, stored: StoredCredential) -> CredentialUsage:
        return CredentialUsage(
            lambda: stored.credential,
            self._environment.random(32),
            self._clock,
            self._log,
            deprecates=not self._config.clients.forwards_credentials,
        )
