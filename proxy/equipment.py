"""What the configuration has the proxy keep and connect with; each part is closed with the rest."""

import asyncio
from collections.abc import Callable
from contextlib import AsyncExitStack
from functools import partial
from pathlib import Path

from prometheus_client import CollectorRegistry, PlatformCollector, ProcessCollector

from proxy.clock import Clock
from proxy.config import Config
from proxy.flow.deliveries import Deliveries
from proxy.flow.exchange import Exchange
from proxy.flow.fetch import Storage
from proxy.flow.hooks import Hooks
from proxy.flow.identity import Partitions, StoredIdentity
from proxy.flow.invalidate import Invalidate
from proxy.flow.outlook import Outlook
from proxy.flow.own_writes import OwnWrites
from proxy.flow.read_through import ReadThrough
from proxy.flow.readings import file_readings, store_readings, watch_readings
from proxy.flow.registrar import Registrar
from proxy.flow.sending import Sending
from proxy.flow.turns import Turns
from proxy.flow.watch import Watch
from proxy.log import Log
from proxy.memory_budget import MemoryBudget
from proxy.metrics import Metrics
from proxy.model import Credential
from proxy.policy.links import Links
from proxy.policy.reach import may_reach
from proxy.policy.scrub import Scrubber
from proxy.rules import callback_of, variant_of
from proxy.store.directory import Directory
from proxy.store.durable import PENDING_BYTES, Durable
from proxy.store.epochs import Epochs
from proxy.store.files import Files
from proxy.store.known import Known, KnownFile
from proxy.store.memory import Memory
from proxy.store.responses import Responses
from proxy.store.sqlite import SQLiteShelf
from proxy.store.upkeep import Upkeep
from proxy.upstream.client import Upstream, anywhere

Keep = Callable[[Credential, str], None]


class Equipment:
    """Makes the stores and the pools of connections, and has `closing` end them."""

    def __init__(self, config: Config, clock: Clock, log: Log, closing: AsyncExitStack) -> None:
        self._config = config
        self._clock = clock
        self._log = log
        self._closing = closing
        self._directory = Directory(Path(config.cache.directory))
        self._known = KnownFile(self._directory if config.cache.backend == "sqlite" else None)

    def upstream(self, may_connect: Callable[[str, int], bool] = anywhere) -> Upstream:
        """A pool of connections, by default to Trello."""
        upstream = Upstream(
            connect_timeout_s=self._config.upstream.connect_timeout_s,
            read_timeout_s=self._config.upstream.read_timeout_s,
            may_connect=may_connect,
        )
        self._closing.push_async_callback(upstream.close)
        return upstream

    def exchange(
        self,
        turns: Turns,
        outlook: Outlook,
        cleaning: tuple[Scrubber, Links | None],
        via: str,
        accounts: tuple[Metrics, MemoryBudget],
    ) -> Exchange:
        """What speaks to Trello's API."""
        sending = Sending(self.upstream(), turns, outlook, accounts[0], self._clock)
        url = self._config.upstream.url
        return Exchange(sending, url, via, cleaning, accounts, self._clock)

    def deliveries(
        self, own: OwnWrites, invalidate: Invalidate, metrics: Metrics
    ) -> Deliveries | None:
        """What takes Trello's deliveries in, where it can reach us."""
        callback = callback_of(self._config)
        if callback is None:
            return None
        return Deliveries(callback, own, invalidate, metrics, self._clock)

    def hooks(
        self,
        registrar: Registrar,
        reads: ReadThrough,
        watch: Watch,
        deliveries: Deliveries,
        metrics: Metrics,
    ) -> Hooks:
        """What looks after our webhooks, begun."""
        hooks = Hooks(registrar, reads, deliveries, metrics, self._clock, self._log)
        hooks.heed(watch)
        self._closing.push_async_callback(hooks.stop)
        hooks.start()
        return hooks

    def storage(self) -> Storage:
        """Where downloads may be redirected to."""
        hosts = self._config.upstream.storage_hosts
        named, matched = (
            self.upstream(partial(may_reach, listed=hosts, is_host_named=is_named))
            for is_named in (True, False)
        )
        return Storage(hosts, named, matched)

    async def identity(self, credential: Credential, new_key: bytes) -> tuple[StoredIdentity, Keep]:
        """The proxy's own, with its member if that is remembered; and what remembers another."""
        known = await asyncio.to_thread(self._known.open, new_key)
        partitions = Partitions(bytes.fromhex(known.key), variant_of(self._config))

        def keep(used: Credential, member: str) -> None:
            self._known.keep(Known(known.key, partitions.of_credential(used), member))

        is_known = known.credential == partitions.of_credential(credential)
        stored = StoredIdentity(credential, partitions, known.member if is_known else "")
        return stored, keep

    async def stores(self) -> tuple[Responses, Files]:
        """The stored responses and the files, opened, in a directory that is this process's.

        While another process has it both do without, and are opened when it is free.
        """
        self._closing.callback(self._directory.release)
        responses, files = await self._responses(), await self._files()
        if responses.durable is not None:
            upkeep = Upkeep((responses.durable, files, self._known), self._clock)
            self._closing.push_async_callback(upkeep.stop)
            upkeep.start()
        return responses, files

    async def _files(self) -> Files:
        """None are kept where nothing may touch the disk."""
        cache, attachments = self._config.cache, self._config.attachments
        files = Files(
            self._directory,
            0 if cache.backend == "memory" else attachments.disk_bytes,
            attachments.max_file_bytes,
            self._clock,
            self._log,
        )
        await files.start()
        self._closing.push_async_callback(files.stop)
        return files

    async def _responses(self) -> Responses:
        cache = self._config.cache
        epochs = Epochs(seq=int(self._clock.now() * 1000))
        durable = None
        if cache.backend == "sqlite":
            shelf = SQLiteShelf(self._directory, cache.disk_bytes)
            pending_bytes = min(PENDING_BYTES, cache.disk_bytes // 8)
            durable = Durable(shelf, epochs, self._clock, self._log, pending_bytes)
            await durable.start()
            self._closing.push_async_callback(durable.stop)
        return Responses(Memory(cache.memory_bytes), durable, epochs)


def registry_of(
    metrics: Metrics, responses: Responses, files: Files, watch: Watch, config: Config
) -> CollectorRegistry:
    """Everything that /metrics shows."""
    registry = CollectorRegistry()
    ProcessCollector(registry=registry)
    PlatformCollector(registry=registry)
    metrics.readings.extend(store_readings(responses, config))
    metrics.readings.extend(file_readings(files, metrics))
    metrics.readings.extend(watch_readings(watch))
    registry.register(metrics)
    return registry
