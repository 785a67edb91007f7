"""Builds everything, and owns start and stop.

                client ↓                                         ↑ client
    cli          serve · demo · check · link · purge · warm        serve runs the first two
    app          this file · rules · warm, a client of the running proxy
    edge         connection → door → handlers/{api, files, pages, ops}   alone uses aiohttp.web
    flow         read_through · batch · write_through · download · collapse · turns · exchange · …
    ───────────────────────────────────────────────────────────────────────────────
    policy              │ store                  │ upstream
    what is right       │ what we keep           │ whom we ask
    pure, no await      │ the only disk          │ the only outward socket
    ───────────────────────────────────────────────────────────────────────────────
    ground       config  metrics  log  ·  model  errors  clock

Imports go down this drawing, never up; policy, store and upstream do not know each other.
"""

import asyncio
import socket
from collections.abc import Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from urllib.parse import urlsplit

from aiohttp import web
from prometheus_client import CollectorRegistry, PlatformCollector, ProcessCollector

from proxy.clock import Clock
from proxy.config import Config
from proxy.edge.connection import Plans
from proxy.edge.door import Door, Rooms
from proxy.edge.handlers.api import Api
from proxy.edge.handlers.ops import Ops
from proxy.edge.handlers.pages import Pages
from proxy.edge.intake import Intake
from proxy.edge.listener import Listener, bound
from proxy.edge.plan import Tools
from proxy.edge.record import RequestIds
from proxy.flow.batch import Batch
from proxy.flow.download import Download
from proxy.flow.exchange import Exchange
from proxy.flow.export import Export
from proxy.flow.fetch import Origin, Storage
from proxy.flow.invalidate import Invalidate
from proxy.flow.read_through import ReadThrough
from proxy.flow.readings import file_readings, store_readings, turn_readings
from proxy.flow.sending import Sending
from proxy.flow.turns import Turns
from proxy.flow.write_through import WriteThrough
from proxy.log import Log
from proxy.metrics import Metrics
from proxy.model import Credential
from proxy.policy.links import Links
from proxy.policy.pages.shell import ASSETS
from proxy.policy.reach import may_reach
from proxy.policy.scrub import Scrubber
from proxy.rules import guard_of, signing_of, table_of, variant_of
from proxy.store.durable import PENDING_BYTES, Durable
from proxy.store.epochs import Epochs
from proxy.store.files import Files
from proxy.store.memory import Memory
from proxy.store.responses import Responses
from proxy.store.sqlite import SQLiteShelf
from proxy.upstream.client import Upstream, anywhere

SHUTDOWN_S = 3.0
"""For requests under way; aiohttp may take it twice, and the whole must end within 10 s."""
LOG_FLUSH_S = 0.2


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What enters from outside: the clock, the log's sink, randomness."""

    clock: Clock
    write_log: Callable[[bytes], None]
    random: Callable[[int], bytes]


class App:
    """The proxy, whole. Credentials must be there: `serve` explains, `demo` makes its own."""

    def __init__(self, config: Config, credential: Credential, surroundings: Surroundings) -> None:
        self._config = config
        self._clock = surroundings.clock
        secrets = [credential.key, credential.token]
        if config.credentials.secret is not None:
            secrets.append(config.credentials.secret.reveal())
        secrets += [key.reveal() for key in config.links.keys if key is not None]
        self._signing = signing_of(config.links)
        self._credential = credential
        self._scrubber = Scrubber(secrets)
        self._log = Log(
            surroundings.write_log,
            self._clock,
            config.log.level,
            config.log.format,
            self._scrubber.text,
        )
        self._metrics = Metrics()
        self._random = surroundings.random
        self.turns = Turns(config.limits, self._clock, self._random, self._metrics)
        self._closing = AsyncExitStack()
        self.port = config.listen.port
        """Where clients connect; the bound one after `start`."""
        self.admin_port: int | None = None
        """The operator's own, where `admin.listen` asks for one."""

    @property
    def public_url(self) -> str:
        """How clients reach it; when the port was left open, with the one that was bound."""
        url = self._config.public_url
        if urlsplit(url).port != 0:
            return url
        return f"{url.removesuffix(':0')}:{self.port}"

    async def start(self) -> None:
        """Open the store and listen; OSError when the address cannot be had."""
        config, instance = self._config, self._random(4).hex()
        via = f"trello-proxy-{instance}"
        sockets = self._bind()
        responses = await self._open_store()
        links = Links(self.public_url, self._signing)
        cleaning = (self._scrubber, links if config.links.rewrite else None)
        exchange = Exchange(
            Sending(self._upstream(), self.turns, self._metrics, self._clock),
            config.upstream.url,
            via,
            cleaning,
            self._metrics,
            self._clock,
        )
        self._closing.push_async_callback(self.turns.stop)
        invalidate = Invalidate(responses, self._metrics, self._log)
        reads = ReadThrough(responses, exchange, self.public_url, self._metrics, self._clock)
        writes = WriteThrough(exchange, invalidate)
        batches = Batch(reads, responses, exchange, self._metrics, self._clock)
        self._closing.push_async_callback(reads.flights.stop)
        self._closing.push_async_callback(batches.flights.stop)
        self._closing.push_async_callback(writes.stop)
        files, table = await self._open_files(), table_of(config.routes)
        origin = Origin(exchange, self._storage(), self._metrics)
        downloads = Download(reads, table, origin, files)
        intake = Intake(
            table, self._credential, config.clients.credentials, links, variant_of(config)
        )
        api = Api(
            intake,
            (reads, writes, downloads, Export(origin), batches, self.turns),
            self._clock,
            config.clients.writes,
            self._signing,
        )
        ops = Ops(
            self._registry(responses, files),
            responses,
            invalidate,
            config.admin.token.reveal() if config.admin.token else None,
        )
        tools = Tools(responses, self._clock, self._log, RequestIds(instance), self._scrubber.text)
        pages = Pages(intake, reads, links, self._clock)
        await self._listen(sockets, (api, ops, pages), tools, via)
        self._log.event("info", "listening", address=f"{config.listen.host}:{self.port}")

    async def stop(self) -> None:
        """Finish what is under way, for some seconds at most, and write what is pending."""
        await self._closing.aclose()
        self._log.event("info", "stopped")

    def _upstream(self, may_connect: Callable[[str, int], bool] = anywhere) -> Upstream:
        upstream = Upstream(
            connect_timeout_s=self._config.upstream.connect_timeout_s,
            read_timeout_s=self._config.upstream.read_timeout_s,
            may_connect=may_connect,
        )
        self._closing.push_async_callback(upstream.close)
        return upstream

    def _storage(self) -> Storage:
        hosts = self._config.upstream.storage_hosts
        named, matched = (
            self._upstream(partial(may_reach, listed=hosts, is_host_named=is_named))
            for is_named in (True, False)
        )
        return Storage(hosts, named, matched)

    async def _open_files(self) -> Files:
        cache, attachments = self._config.cache, self._config.attachments
        files = Files(
            Path(cache.directory),
            0 if cache.backend == "memory" else attachments.disk_bytes,
            attachments.max_file_bytes,
            self._clock,
            self._log,
        )
        await files.start()
        self._closing.push_async_callback(files.stop)
        return files

    async def _open_store(self) -> Responses:
        cache = self._config.cache
        epochs = Epochs(seq=int(self._clock.now() * 1000))
        durable = None
        if cache.backend == "sqlite":
            shelf = SQLiteShelf(Path(cache.directory), cache.disk_bytes)
            pending_bytes = min(PENDING_BYTES, cache.disk_bytes // 8)
            durable = Durable(shelf, epochs, self._clock, self._log, pending_bytes)
            await durable.start()
            self._closing.push_async_callback(durable.stop)
        return Responses(Memory(cache.memory_bytes), durable, epochs)

    def _bind(self) -> list[socket.socket]:
        """The sockets for clients and, when it has one of its own, for the operator."""
        listen, admin = self._config.listen, self._config.admin.listen
        sockets = [bound(address.host, address.port) for address in (listen, admin) if address]
        for each in sockets:
            self._closing.callback(each.close)
        ports = [each.getsockname()[1] for each in sockets]
        self.port, self.admin_port = ports[0], ports[1] if admin else None
        return sockets

    async def _listen(
        self,
        sockets: list[socket.socket],
        handlers: tuple[Api, Ops, Pages],
        tools: Tools,
        via: str,
    ) -> None:
        api, ops, pages = handlers
        operator = {
            "/metrics": ops.metrics,
            "/healthz": ops.healthz,
            "/readyz": ops.readyz,
            "/-/purge": ops.purge,
        }
        shared = operator if len(sockets) == 1 else {}
        assets = dict.fromkeys(ASSETS, pages.asset)
        sections = {"/c/": pages.card, "/b/": pages.board}
        own = Rooms({"/": pages.home, **assets, **shared}, sections, api.handle)
        rooms = [own, Rooms({**operator, **assets})]
        flusher = asyncio.create_task(self._flush_log())  # noqa: TID251 — owned here, see _end
        self._closing.push_async_callback(self._end, flusher)
        for sock, served in zip(sockets, rooms, strict=False):
            door = Door(served, guard_of(self._config), via, tools, self._metrics)
            runner = web.ServerRunner(web.Server(door.handle), shutdown_timeout=SHUTDOWN_S)
            await runner.setup()
            self._closing.push_async_callback(runner.cleanup)
            await Listener(runner, sock, Plans(self._random(32)), door.refuse).start()

    def _registry(self, responses: Responses, files: Files) -> CollectorRegistry:
        registry = CollectorRegistry()
        ProcessCollector(registry=registry)
        PlatformCollector(registry=registry)
        self._metrics.readings.extend(store_readings(responses, self._config))
        self._metrics.readings.extend(file_readings(files, self._metrics))
        self._metrics.readings.extend(turn_readings(self.turns, self._credential))
        registry.register(self._metrics)
        return registry

    async def _flush_log(self) -> None:
        while True:
            await asyncio.sleep(LOG_FLUSH_S)
            self._log.flush()

    async def _end(self, task: "asyncio.Task[None]") -> None:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        self._log.flush()
