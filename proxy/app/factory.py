"""What the configuration has the proxy keep and connect with; each part is closed with the rest."""

import asyncio
from collections.abc import Callable
from contextlib import AsyncExitStack
from functools import partial
from pathlib import Path
from prometheus_client import CollectorRegistry, PlatformCollector, ProcessCollector
from proxy.runtime.clock import Clock
from proxy.config.schema import Config
from proxy.changes.webhook_receiver import WebhookReceiver
from proxy.upstream.exchange import UpstreamExchange
from proxy.attachments.fetcher import StorageHosts
from proxy.changes.webhook_manager import WebhookManager
from proxy.credentials.identity import CachePartitions, StoredCredential
from proxy.cache.invalidation import Invalidator
from proxy.upstream.availability import CircuitBreakers
from proxy.cache.write_through import EchoFilter
from proxy.cache.read_through import ReadThrough
from proxy.status.collectors import (attachment_gauges, cache_gauges, poller_gauges,)
from proxy.changes.webhook_client import WebhookClient
from proxy.upstream.client import UpstreamClient
from proxy.ratelimit.limiter import RateLimiter
from proxy.changes.board_poller import BoardPoller
from proxy.observability.log import Log
from proxy.runtime.memory_budget import MemoryBudget
from proxy.observability.metrics import Metrics
from proxy.model import Credential
from proxy.links.rewrite import LinkRewriter
from proxy.attachments.ssrf_guard import may_connect
from proxy.credentials.redaction import Redactor

from proxy.runtime.directory import DirectoryLock
from proxy.cache.store.disk_tier import PENDING_BYTES, WriteBehindTier
from proxy.cache.store.tag_epochs import TagEpochs
from proxy.attachments.store.store import AttachmentStore
from proxy.credentials.identity import IdentityFile, IdentityState
from proxy.cache.store.memory_tier import MemoryTier
from proxy.cache.store.store import ResponseStore
from proxy.cache.store.sqlite_backend import SQLiteStorage
from proxy.app.storage_monitor import StorageMonitor
from proxy.upstream.transport import Transport, allow_any
from collections.abc import Callable
from dataclasses import dataclass, field
from aiohttp import web
from proxy.runtime.clock import Clock
from proxy.config.schema import Config
from proxy.server.handlers.admin import AdminAccess
from proxy.server.credential_usage import CredentialUsage
from proxy.server.middleware import Handler
from proxy.server.handlers.admin import EXPLAIN, explain_handler
from proxy.server.handlers.admin import CLIENT_CREDENTIALS, credential_usage_handler
from proxy.server.handlers.admin import (METRICS, PURGE, AdminHandler,)
from proxy.server.request_parser import RequestParser

from proxy.upstream.credential_manager import CredentialManager
from proxy.status.explain import Explainer
from proxy.status.health import Health
from proxy.credentials.identity import StoredCredential
from proxy.upstream.availability import CircuitBreakers
from proxy.status.history import Dashboard
from proxy.status.collectors import availability_gauges, rate_limit_gauges
from proxy.ratelimit.limiter import RateLimiter

from proxy.observability.log import Log
from proxy.observability.metrics import Metrics
from proxy.pages.home import Offer
from proxy.attachments.store.store import AttachmentStore
from proxy.cache.store.store import ResponseStore
from collections.abc import Sequence
from urllib.parse import urlsplit
from proxy.config.schema import Config, RouteRule
from proxy.config.schema import Links as LinkSettings
from proxy.server.browser_guard import BrowserGuard, hosts_of
from proxy.links.rewrite import LinkRewriter
from proxy.server.loopback import is_loopback
from proxy.trello.routes import RouteOverride, RouteTable
from proxy.links.signing import LinkSigner
from proxy.changes.poll_diff import interval_s
from proxy.trello.webhook_payload import Callback
from dataclasses import dataclass
from proxy.cache.batch import BatchService
from proxy.attachments.service import AttachmentService
from proxy.upstream.exchange import UpstreamExchange
from proxy.attachments.board_export import BoardExport
from proxy.cache.invalidation import Invalidator
from proxy.cache.write_through import EchoFilter
from proxy.cache.verification import HitVerifier
from proxy.cache.read_through import ReadThrough
from proxy.changes.board_poller import BoardPoller
from proxy.cache.write_through import WriteThrough


# ---- from flows.py: '"""The flows of one proxy, built: what the app hands around."""'


@dataclass(frozen=True, slots=True, kw_only=True)
class Services:
    """Everything that knows an order of things."""

    exchange: UpstreamExchange
    invalidate: Invalidator
    watch: BoardPoller
    reads: ReadThrough
    own_writes: EchoFilter
    writes: WriteThrough
    batches: BatchService
    downloads: AttachmentService
    exports: BoardExport
    proof: HitVerifier



# ---- from rules.py: '"""From the configuration to the rules it makes: values in, objects of `policy/` out."""'

_EXAMPLE_HOST = "trello.internal"
_PLAIN_HTTP = (
    "the proxy is reached by plain http: browsers do not say there which site asks, so a web page "
    "elsewhere can have the proxy ask Trello, though it sees no answer; put TLS in front, as "
    "deploy/README.md does"
)


def build_guard(config: Config) -> BrowserGuard:
    """The names answered to, and the origins whose pages may call."""
    admin = config.admin.listen
    hosts = hosts_of(
        config.listen.host,
        urlsplit(config.origin).hostname or "",
        admin.host if admin else "",
        extra=config.clients.hosts,
    )
    callback_host = urlsplit(config.freshness.webhook_url or "").hostname or ""
    return BrowserGuard(hosts, frozenset(config.clients.origins), callback_host)


def webhook_callback(config: Config) -> Callback | None:
    """Where Trello delivers; None where it cannot."""
    url, secret = config.freshness.webhook_url, config.credentials.secret
    return None if url is None or secret is None else Callback(url, secret.reveal())


def links_of(config: Config, public_url: str) -> LinkRewriter:
    """The link rewriter: to `public_url`, and back from every name the proxy answers to."""
    return LinkRewriter(public_url, build_signer(config.links), build_guard(config).hosts)


def build_signer(links: LinkSettings) -> LinkSigner | None:
    """What signs links and checks them; None where they are not to be signed."""
    keys = [key.reveal() for key in links.keys if key is not None]
    return LinkSigner(keys, links.lifetime_s, links.revoked) if links.sign else None


def build_route_table(rules: Sequence[RouteRule]) -> RouteTable:
    """The route table with the operator's lifetimes on top."""
    return RouteTable(route_overrides(rules))


def route_overrides(rules: Sequence[RouteRule]) -> list[RouteOverride]:
    """The operator's lifetimes, for the route table."""
    return [
        RouteOverride(
            rule.match,
            rule.lifetime_s,
            rule.stale_while_revalidate_s,
            rule.stale_if_error_s,
            rule.lifetime_watched_s,
        )
        for rule in rules
    ]


def cache_variant(config: Config) -> str:
    """Everything of the configuration that the bytes of an answer depend on."""
    links = config.links
    signer = links.keys[0] if links.sign else None
    signed = f"{links.lifetime_s} {signer.reveal()}" if signer else "unsigned"
    return f"{config.origin} {links.rewrite} {signed}"


def poll_interval(config: Config) -> float | None:
    """Seconds from one question of the watcher's to the next; None: it is off."""
    watch_s, token = config.freshness.watch_s, config.limits.token
    return None if watch_s is None else interval_s(watch_s, token.count, token.window_s)


def warnings_of(config: Config) -> tuple[str, ...]:
    """Warnings about valid settings that cost something; each says what to do instead."""
    if config.public_url is None and config.listen.is_wildcard:
        links = f"public_url is not set, so attachment links lead to {config.origin}"
        wanted = f"public_url: http://{_EXAMPLE_HOST}:{config.listen.port}"
        return (
            f"{links}, which opens on this machine alone; write the proxy's name, as in {wanted}",
        )
    public = urlsplit(config.origin)
    is_plain = public.scheme == "http" and not is_loopback(public.hostname or "")
    return (_PLAIN_HTTP,) if is_plain else ()


RememberCredential = Callable[[Credential, str], None]


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


def build_registry(
    metrics: Metrics,
    responses: ResponseStore,
    files: AttachmentStore,
    watch: BoardPoller,
    config: Config,
) -> CollectorRegistry:
    """Everything that /metrics shows."""
    registry = CollectorRegistry()
    ProcessCollector(registry=registry)
    PlatformCollector(registry=registry)
    metrics.gauge_callbacks.extend(cache_gauges(responses, config))
    metrics.gauge_callbacks.extend(attachment_gauges(files, metrics))
    metrics.gauge_callbacks.extend(poller_gauges(watch))
    registry.register(metrics)
    return registry


# ---- from console.py: '"""What the operator looks into: pages, metrics, the census, and how things are."""'


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
            operated=self.operator is not None and self.operator.admits(request),
            keyless=not self.config.clients.requires_credentials,
        )

    def pages(self) -> dict[str, Handler]:
        """By path. Where clients connect too, more of them are for the operator alone."""
        services, (responses, files), (stored, availability, credential_manager) = (
            self.services,
            self.store,
            self.credentials,
        )
        clock = self.ports[0]
        self.metrics.gauge_callbacks += rate_limit_gauges(self.limiter, stored)
        self.metrics.gauge_callbacks += availability_gauges(availability, credential_manager)
        health = Health(
            self.store, self.limiter, services.watch, availability, credential_manager, clock
        )
        registry = build_registry(self.metrics, responses, files, services.watch, self.config)
        registry.register(self.credential_usage)
        ops = AdminHandler(registry, health, services.invalidate)
        served = services.reads, services.batches, services.downloads
        explain = Explainer(served, self.limiter, responses, clock)
        kept = {PURGE: ops.purge, EXPLAIN: explain_handler(explain, self.intake)}
        shown = {
            METRICS: ops.metrics,
            CLIENT_CREDENTIALS: credential_usage_handler(self.credential_usage),
        }
        if self.operator:
            kept, shown = {**kept, **shown}, {}
        return {
            "/healthz": ops.healthz,
            "/readyz": ops.readyz,
            **shown,
            **{path: self.admin.only(path, handler) for path, handler in kept.items()},
        }
