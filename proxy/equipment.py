"""What the configuration has the proxy keep and connect with; each part is closed with the rest."""

import asyncio
from collections.abc import Callable
from contextlib import AsyncExitStack
from functools import partial
from pathlib import Path

from prometheus_client import CollectorRegistry, PlatformCollector, ProcessCollector

from proxy.clock import Clock
from proxy.config import Config
from proxy.flow.deliveries import WebhookReceiver
from proxy.flow.exchange import UpstreamExchange
from proxy.flow.fetch import StorageHosts
from proxy.flow.hooks import WebhookManager
from proxy.flow.identity import CachePartitions, StoredCredential
from proxy.flow.invalidate import Invalidator
from proxy.flow.outlook import CircuitBreakers
from proxy.flow.own_writes import EchoFilter
from proxy.flow.read_through import ReadThrough
from proxy.flow.readings import attachment_gauges, cache_gauges, poller_gauges
from proxy.flow.registrar import WebhookClient
from proxy.flow.sending import UpstreamClient
from proxy.flow.turns import RateLimiter
from proxy.flow.watch import BoardPoller
from proxy.log import Log
from proxy.memory_budget import MemoryBudget
from proxy.metrics import Metrics
from proxy.model import Credential
from proxy.policy.links import LinkRewriter
from proxy.policy.reach import may_connect
from proxy.policy.scrub import Redactor
from proxy.rules import cache_variant, webhook_callback
from proxy.store.directory import DirectoryLock
from proxy.store.durable import PENDING_BYTES, WriteBehindTier
from proxy.store.epochs import TagEpochs
from proxy.store.files import AttachmentStore
from proxy.store.known import IdentityFile, IdentityState
from proxy.store.memory import MemoryTier
from proxy.store.responses import ResponseStore
from proxy.store.sqlite import SQLiteStorage
from proxy.store.upkeep import StorageMonitor
from proxy.upstream.client import Transport, allow_any

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
