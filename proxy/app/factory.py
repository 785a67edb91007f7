"""What the configuration has the proxy keep and connect with; each part is closed with the rest."""

import asyncio
from collections.abc import Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from aiohttp import web

from proxy.app.from_config import cache_variant, webhook_callback
from proxy.app.storage_monitor import StorageMonitor
from proxy.attachments.board_export import BoardExport
from proxy.attachments.fetcher import StorageHosts
from proxy.attachments.service import AttachmentService
from proxy.attachments.ssrf_guard import may_connect
from proxy.attachments.store.store import AttachmentStore
from proxy.cache.batch import BatchService
from proxy.cache.invalidation import Invalidator
from proxy.cache.read_through import ReadThrough
from proxy.cache.store.disk_tier import PENDING_BYTES, WriteBehindTier
from proxy.cache.store.memory_tier import MemoryTier
from proxy.cache.store.sqlite_backend import SQLiteStorage
from proxy.cache.store.store import ResponseStore
from proxy.cache.store.tag_epochs import TagEpochs
from proxy.cache.verification import HitVerifier
from proxy.cache.watched_boards import WatchedBoards
from proxy.cache.write_through import EchoFilter, WriteThrough
from proxy.changes.board_poller import BoardPoller
from proxy.changes.poll_diff import interval_s
from proxy.changes.webhook_client import WebhookClient
from proxy.changes.webhook_manager import WebhookManager
from proxy.changes.webhook_receiver import WebhookReceiver
from proxy.config.schema import Config
from proxy.credentials.identity import (
    CachePartitions,
    IdentityFile,
    IdentityState,
    StoredCredential,
)
from proxy.credentials.redaction import Redactor
from proxy.links.rewrite import LinkRewriter
from proxy.model import Credential
from proxy.observability.log import Log
from proxy.observability.metrics import Metrics
from proxy.pages.home import Offer
from proxy.ratelimit.limiter import RateLimiter
from proxy.runtime.clock import Clock
from proxy.runtime.directory import DirectoryLock
from proxy.runtime.memory_budget import MemoryBudget
from proxy.server.credential_usage import CredentialUsage
from proxy.server.handlers.admin import (
    CLIENT_CREDENTIALS,
    EXPLAIN,
    HEALTHZ,
    METRICS,
    PURGE,
    READYZ,
    AdminAccess,
    AdminHandler,
)
from proxy.server.handlers.pages import PageHandler
from proxy.server.middleware import Handler
from proxy.server.request_parser import RequestParser
from proxy.status.collectors import (
    attachment_readings,
    availability_readings,
    cache_readings,
    poller_readings,
    rate_limit_readings,
)
from proxy.status.explain import Explainer
from proxy.status.health import Health
from proxy.status.history import Dashboard
from proxy.upstream.availability import CircuitBreakers
from proxy.upstream.client import UpstreamClient
from proxy.upstream.credential_manager import CredentialManager
from proxy.upstream.exchange import UpstreamExchange
from proxy.upstream.transport import Transport, allow_any


@dataclass(frozen=True, slots=True, kw_only=True)
class Services:
    """Everything that knows an order of things."""

    exchange: UpstreamExchange
    invalidate: Invalidator
    watch: BoardPoller
    watched: WatchedBoards
    reads: ReadThrough
    own_writes: EchoFilter
    writes: WriteThrough
    batches: BatchService
    downloads: AttachmentService
    exports: BoardExport
    proof: HitVerifier


RememberCredential = Callable[[Credential, str], None]


def poll_interval(config: Config) -> float | None:
    """Seconds between two polls of the boards; None: off."""
    watch_s, token = config.freshness.watch_s, config.limits.token
    return None if watch_s is None else interval_s(watch_s, token.count, token.window_s)


class ComponentFactory:
    """Makes the stores and the pools of connections, and has `closing` end them."""

    def __init__(self, config: Config, clock: Clock, log: Log, closing: AsyncExitStack) -> None:
        self._config = config
        self._clock = clock
        self._log = log
        self._closing = closing
        self._directory = DirectoryLock(Path(config.cache.directory))
        self._known = IdentityFile(self._directory if config.cache.backend == "sqlite" else None)

    def transport(self, may_connect: Callable[[str, int], bool] = allow_any) -> Transport:
        """A pool of connections, by default to Trello."""
        upstream = Transport(
            connect_timeout_s=self._config.upstream.connect_timeout_s,
            read_timeout_s=self._config.upstream.read_timeout_s,
            may_connect=may_connect,
        )
        self._closing.push_async_callback(upstream.close)
        return upstream

    def upstream_exchange(
        self,
        limiter: RateLimiter,
        availability: CircuitBreakers,
        cleaning: tuple[Redactor, LinkRewriter | None],
        via: str,
        accounts: tuple[Metrics, MemoryBudget],
    ) -> UpstreamExchange:
        """What speaks to Trello's API."""
        sending = UpstreamClient(self.transport(), limiter, availability, accounts[0], self._clock)
        url = self._config.upstream.url
        return UpstreamExchange(sending, url, via, cleaning, accounts, self._clock)

    def webhook_receiver(
        self, own: EchoFilter, invalidator: Invalidator, metrics: Metrics
    ) -> WebhookReceiver | None:
        """What takes Trello's deliveries in, where it can reach us."""
        callback = webhook_callback(self._config)
        if callback is None:
            return None
        return WebhookReceiver(callback, own, invalidator, metrics, self._clock)

    def webhook_manager(
        self,
        webhook_client: WebhookClient,
        reads: ReadThrough,
        watch: BoardPoller,
        webhook_receiver: WebhookReceiver,
        metrics: Metrics,
    ) -> WebhookManager:
        """What looks after our webhooks, begun."""
        webhook_manager = WebhookManager(
            webhook_client, reads, webhook_receiver, metrics, self._clock, self._log
        )
        webhook_manager.subscribe_to(watch)
        self._closing.push_async_callback(webhook_manager.stop)
        webhook_manager.start()
        return webhook_manager

    def storage_hosts(self) -> StorageHosts:
        """Where downloads may be redirected to."""
        hosts = self._config.upstream.storage_hosts
        named, matched = (
            self.transport(partial(may_connect, listed=hosts, is_host_named=is_named))
            for is_named in (True, False)
        )
        return StorageHosts(hosts, named, matched)

    async def stored_credential(
        self, credential: Credential, new_key: bytes
    ) -> tuple[StoredCredential, RememberCredential]:
        """The proxy's own, with its member if that is remembered; and what remembers another."""
        known = await asyncio.to_thread(self._known.open, new_key)
        partitions = CachePartitions(bytes.fromhex(known.key), cache_variant(self._config))

        def keep(used: Credential, member: str) -> None:
            self._known.save(IdentityState(known.key, partitions.of_credential(used), member))

        is_known = known.credential == partitions.of_credential(credential)
        stored = StoredCredential(credential, partitions, known.member if is_known else "")
        return stored, keep

    async def stores(self) -> tuple[ResponseStore, AttachmentStore]:
        """The stored responses and the files, opened, in a directory that is this process's.

        While another process has it both do without, and are opened when it is free.
        """
        self._closing.callback(self._directory.release)
        responses, files = await self._responses(), await self._files()
        if responses.disk is not None:
            upkeep = StorageMonitor((responses.disk, files, self._known), self._clock)
            self._closing.push_async_callback(upkeep.stop)
            upkeep.start()
        return responses, files

    async def _files(self) -> AttachmentStore:
        """None are kept where nothing may touch the disk."""
        cache, attachments = self._config.cache, self._config.attachments
        files = AttachmentStore(
            self._directory,
            0 if cache.backend == "memory" else attachments.disk_bytes,
            attachments.max_file_bytes,
            self._clock,
            self._log,
        )
        await files.start()
        self._closing.push_async_callback(files.stop)
        return files

    async def _responses(self) -> ResponseStore:
        cache = self._config.cache
        epochs = TagEpochs(seq=int(self._clock.now() * 1000))
        disk = None
        if cache.backend == "sqlite":
            backend = SQLiteStorage(self._directory, cache.disk_bytes)
            pending_bytes = min(PENDING_BYTES, cache.disk_bytes // 8)
            disk = WriteBehindTier(backend, epochs, self._clock, self._log, pending_bytes)
            await disk.start()
            self._closing.push_async_callback(disk.stop)
        return ResponseStore(MemoryTier(cache.memory_bytes), disk, epochs)


@dataclass(slots=True, eq=False)
class AdminPages:
    """Made of the parts of one proxy, once they are there."""

    config: Config
    ports: tuple[Clock, Log, Callable[[int], bytes]]
    """The clock, the log, randomness."""
    metrics: Metrics
    credentials: tuple[StoredCredential, CircuitBreakers, CredentialManager]
    """The stored credential, whether Trello may be asked with it, and who looks after it."""
    intake: RequestParser
    store: tuple[ResponseStore, AttachmentStore]
    services: Services
    limiter: RateLimiter
    admin: AdminAccess = field(init=False)
    credential_usage: CredentialUsage = field(init=False)
    dashboard: Dashboard = field(init=False)

    def __post_init__(self) -> None:
        (clock, log, random), stored = self.ports, self.credentials[0]
        token = self.config.admin.token
        self.admin = AdminAccess(token.reveal() if token else None)
        self.credential_usage = CredentialUsage(
            lambda: stored.credential,
            random(32),
            clock,
            log,
            deprecates=not self.config.clients.forwards_credentials,
        )
        self.dashboard = Dashboard(self.metrics, self.limiter, stored, clock)

    @property
    def operator(self) -> AdminAccess | None:
        """Who may use the operator's pages where clients connect; None: none are there."""
        return self.admin if self.config.admin.listen is None else None

    def offer(self, request: web.BaseRequest) -> Offer:
        """What the page at `/` tells of."""
        return Offer(
            shows_admin_links=self.operator is not None and self.operator.admits(request),
            is_keyless=not self.config.clients.requires_credentials,
        )

    def page_handler(self, links: LinkRewriter) -> PageHandler:
        """What serves the pages for people."""
        return PageHandler(
            parser=self.intake,
            reads=self.services.reads,
            links=links,
            clock=self.ports[0],
            dashboard=self.dashboard,
            offer=self.offer,
        )

    def _provide_readings(self) -> None:
        (responses, files), provide = self.store, self.metrics.provide
        stored, availability, credential_manager = self.credentials
        provide(rate_limit_readings(self.limiter, stored))
        provide(availability_readings(availability, credential_manager))
        provide(cache_readings(responses, self.config))
        provide(attachment_readings(files, self.metrics))
        provide(poller_readings(self.services.watch))
        provide({"client_credentials_total": self.credential_usage.counts})

    def pages(self) -> dict[str, Handler]:
        """By path. Where clients connect too, more of them are for the operator alone."""
        self._provide_readings()
        services, (responses, files) = self.services, self.store
        _, availability, credential_manager = self.credentials
        health = Health(
            responses=responses,
            files=files,
            limiter=self.limiter,
            poller=services.watch,
            availability=availability,
            credential_manager=credential_manager,
        )
        explainer = Explainer(
            read_through=services.reads,
            batches=services.batches,
            attachments=services.downloads,
            limiter=self.limiter,
            responses=responses,
            clock=self.ports[0],
        )
        admin = AdminHandler(
            metrics=self.metrics,
            health=health,
            invalidator=services.invalidate,
            explainer=explainer,
            parser=self.intake,
            credential_usage=self.credential_usage,
        )
        restricted: dict[str, Handler] = {PURGE: admin.purge, EXPLAIN: admin.explain}
        reports: dict[str, Handler] = {
            METRICS: admin.show_metrics,
            CLIENT_CREDENTIALS: admin.client_credentials,
        }
        if self.operator:
            restricted, reports = {**restricted, **reports}, {}
        return {
            HEALTHZ: admin.healthz,
            READYZ: admin.readyz,
            **reports,
            **{path: self.admin.only(path, handler) for path, handler in restricted.items()},
        }
