"""App: one proxy, from its configuration to its shutdown."""

import asyncio
import socket
from collections.abc import Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass
from functools import partial
from urllib.parse import urlsplit

from aiohttp import web

from proxy.app.factory import (
    AdminPages,
    ComponentFactory,
    Services,
    poll_interval,
)
from proxy.app.from_config import (
    build_guard,
    build_route_table,
    build_signer,
    links_of,
    warnings_of,
)
from proxy.app.reload import ConfigSource, CredentialServices, ReloadableState, Reloader
from proxy.attachments.board_export import BoardExport
from proxy.attachments.fetcher import FetchDeps
from proxy.attachments.service import AttachmentService
from proxy.attachments.store.store import AttachmentStore
from proxy.cache.batch import BatchService
from proxy.cache.clock_monitor import ClockMonitor
from proxy.cache.invalidation import Invalidator
from proxy.cache.read_through import ReadThrough
from proxy.cache.store.store import ResponseStore
from proxy.cache.verification import HitVerifier, pause_s
from proxy.cache.watched_boards import WatchedBoards
from proxy.cache.write_through import EchoFilter, WriteThrough
from proxy.changes.board_poller import BoardPoller
from proxy.changes.poll_diff import TARGET, VALID_INTERVALS
from proxy.changes.refresh import ActiveRefresher
from proxy.changes.webhook_client import WebhookClient
from proxy.changes.webhook_manager import WebhookManager
from proxy.changes.webhook_receiver import WebhookReceiver
from proxy.config.addresses import Listen
from proxy.config.schema import Config
from proxy.credentials.identity import KEY_BYTES, StoredCredential
from proxy.credentials.redaction import Redactor
from proxy.http_semantics.cache_control import NONE
from proxy.model import Credential, Priority
from proxy.observability.log import Log, LogFlusher
from proxy.observability.loop_errors import loop_error_handler
from proxy.observability.metrics import Metrics, count
from proxy.pages.layout import ASSETS
from proxy.ratelimit.limiter import RateLimiter
from proxy.runtime.clock import Clock
from proxy.runtime.memory_budget import MemoryBudget
from proxy.server.collectors import client_readings
from proxy.server.connection_limits import (
    ADMIN_CONNECTIONS,
    ConnectionLimits,
    limit_of,
)
from proxy.server.fast_path import FastPath
from proxy.server.handlers.api import ApiHandler
from proxy.server.handlers.attachments import AttachmentHandler
from proxy.server.handlers.docs import docs_handlers
from proxy.server.handlers.json_addresses import JsonAddressHandler
from proxy.server.handlers.pages import PageHandler
from proxy.server.handlers.webhooks import WebhookHandler
from proxy.server.listener import Listener, listen_socket
from proxy.server.middleware import Middleware, Routes
from proxy.server.request_context import RequestIdGenerator, ServerDeps
from proxy.server.request_parser import RequestParser
from proxy.status.collectors import verification_readings
from proxy.trello.routes import RouteTable
from proxy.trello.webhook_payload import PATH as CALLBACK_PATH
from proxy.upstream.credential_manager import TokenInspector
from proxy.upstream.exchange import UpstreamExchange

SHUTDOWN_S = 3.0
"""For requests under way; aiohttp may take it twice, and the whole must end within 10 s."""


@dataclass(frozen=True, slots=True)
class SystemPorts:
    """What enters from outside: the clock, the log's sink, randomness.

    With a `source` of configurations, credentials and some settings may change while it runs.
    """

    clock: Clock
    write_log: Callable[[bytes], None]
    random: Callable[[int], bytes]
    source: ConfigSource | None = None
    max_files: int = 16_384
    """File descriptors that this process may have open."""


class App:
    """The proxy, whole. Credentials must be there: `serve` explains, `demo` makes its own."""

    def __init__(self, config: Config, credential: Credential, ports: SystemPorts) -> None:
        self._config = config
        self._clock = ports.clock
        secrets = [credential.key, credential.token]
        if config.credentials.secret is not None:
            secrets.append(config.credentials.secret.reveal())
        secrets += [key.reveal() for key in config.links.keys if key is not None]
        self._signer = build_signer(config.links)
        self._credential = credential
        self._source, self._max_files = ports.source, ports.max_files
        self._fast_paths: list[FastPath] = []
        self._ticks: list[Callable[[], None]] = []
        """Called several times a second."""
        self._redactor = Redactor(secrets)
        self._log = Log(
            ports.write_log,
            self._clock,
            config.log.level,
            config.log.format,
            self._redactor.redact_text,
        )
        self._metrics = Metrics()
        self._memory = MemoryBudget(config.limits.memory_bytes, self._tell_full)
        self._random = ports.random
        self.limiter = RateLimiter(config.limits, self._clock, self._random, self._metrics)
        self._closing = AsyncExitStack()
        self._factory = ComponentFactory(config, self._clock, self._log, self._closing)
        self.port = config.listen.port
        """Where clients connect; the bound one after `start`."""
        self.admin_port: int | None = None
        """The operator's own, where `admin.listen` asks for one."""
        self.services: Services | None = None
        """What serves; after `start`."""
        self.webhook_manager: WebhookManager | None = None
        """What looks after our webhooks, where Trello can reach us; after `start`."""
        self.reloader: Reloader | None = None
        """What takes another configuration while the proxy runs, where there may be one."""

    @property
    def public_url(self) -> str:
        """How clients reach it; when the port was left open, with the one that was bound."""
        url = self._config.origin
        if urlsplit(url).port != 0:
            return url
        return f"{url.removesuffix(':0')}:{self.port}"

    async def start(self) -> None:
        """Open the store and listen; OSError when the address cannot be had."""
        config, instance = self._config, self._random(4).hex()
        via = f"trello-proxy-{instance}"
        sockets, around = self._bind(), (self._clock, self._log, self._random)
        responses, files = await self._factory.stores()
        links, table = links_of(config, self.public_url), build_route_table(config.routes)
        stored, keep = await self._factory.stored_credential(
            self._credential, self._random(KEY_BYTES)
        )
        credential_services = CredentialServices(stored, config, around, self._closing)
        cleaning = (self._redactor, links if config.links.rewrite else None)
        exchange = self._factory.upstream_exchange(
            self.limiter,
            credential_services.availability,
            cleaning,
            via,
            (self._metrics, self._memory),
        )
        credential_manager = credential_services.credential_manager(
            TokenInspector(exchange, table), keep
        )
        self.services = services = self._build_services(responses, files, exchange, table)
        parser = RequestParser(table, stored, config.clients, links)
        api = self._api_handler(parser, services)
        whose, store = (
            (stored, credential_services.availability, credential_manager),
            (responses, files),
        )
        console = AdminPages(
            config, around, self._metrics, whose, parser, store, services, self.limiter
        )
        tools = self._server_deps(instance)
        self._build_refresher(services, parser)
        services.watch.start(parser.internal_get(TARGET, NONE, Priority.POLLER))
        pages = console.page_handler(links)
        webhook_receiver = self._factory.webhook_receiver(
            services.own_writes, services.invalidate, self._metrics
        )
        await self._listen(sockets, (api, console, pages, webhook_receiver), tools, via, services)
        self._manage_webhooks(webhook_receiver, stored, table)
        changeable = ReloadableState(
            table, self.limiter, self._redactor, webhook_receiver, self._fast_paths, self._memory
        )
        self.reloader = credential_services.start(
            self._source, credential_manager, changeable, self.webhook_manager
        )
        self._announce(sockets)

    def _api_handler(self, parser: RequestParser, services: Services) -> ApiHandler:
        reads, writes, batches = services.reads, services.writes, services.batches
        return ApiHandler(
            parser=parser,
            reads=reads,
            writes=writes,
            batches=batches,
            attachments=AttachmentHandler(services.downloads, self._clock),
            exports=services.exports,
            verifier=services.proof,
            limiter=self.limiter,
            clock=self._clock,
            signer=self._signer,
        )

    def _server_deps(self, instance: str) -> ServerDeps:
        return ServerDeps(
            clock=self._clock,
            log=self._log,
            metrics=self._metrics,
            memory=self._memory,
            request_ids=RequestIdGenerator(instance),
            redact=self._redactor.redact_text,
        )

    def _manage_webhooks(
        self, receiver: WebhookReceiver | None, stored: StoredCredential, table: RouteTable
    ) -> None:
        services = self.services
        if receiver is None or services is None:
            return
        url, exchange, writes = receiver.callback.url, services.exchange, services.writes
        client = WebhookClient(url, stored, exchange, writes, table)
        self.webhook_manager = self._factory.webhook_manager(
            client, services.reads, services.watch, receiver, self._metrics
        )

    def _announce(self, groups: list[list[socket.socket]]) -> None:
        """Log the addresses listened on, both of `::`, and the configuration's warnings."""
        told = [
            ", ".join(str(Listen(*each.getsockname()[:2])) for each in sockets)
            for sockets in groups
        ]
        self._log.event("info", "listening", **dict(zip(("address", "admin"), told, strict=False)))
        for warning in warnings_of(self._config):
            self._log.event("warning", "configuration", detail=warning)

    def _build_refresher(self, services: Services, parser: RequestParser) -> None:
        renew = ActiveRefresher(
            services.reads,
            services.batches,
            parser.internal_get("/1/batch", NONE, Priority.BACKGROUND),
        )
        services.reads.on_hit.append(renew.on_hit)
        services.watch.on_change.append(renew.on_change)
        self._closing.push_async_callback(renew.flights.stop)

    def _build_services(
        self,
        responses: ResponseStore,
        files: AttachmentStore,
        exchange: UpstreamExchange,
        table: RouteTable,
    ) -> Services:
        config = self._config
        invalidator = Invalidator(responses, self._metrics, self._log)
        interval_s = poll_interval(config)
        watched = WatchedBoards(self._clock, VALID_INTERVALS * (interval_s or 0.0))
        watch = BoardPoller(exchange, invalidator, self._clock, self._log, interval_s, watched)
        clock_monitor = ClockMonitor(invalidator, self._clock, self._log)
        clock_monitor.on_set_back.append(watch.clock_set_back)
        clock_monitor.check(responses.newest_at)
        self._ticks.append(clock_monitor.tick)
        reads = ReadThrough(
            responses, exchange, self.public_url, self._metrics, self._clock, watched
        )
        reads.on_lookup.append(watch.note_read)
        reads.on_future.append(clock_monitor.check)
        own_writes = EchoFilter(self._random(8).hex())
        writes = WriteThrough(exchange, invalidator, reads.aliases, own_writes)
        writes.on_write.append(watch.note_write)
        batches = BatchService(reads, responses, exchange, self._metrics, self._clock)
        flights = reads.flights.stop, batches.flights.stop
        for end in (self.limiter.stop, *flights, writes.stop, watch.stop):
            self._closing.push_async_callback(end)
        origin = FetchDeps(exchange, self._factory.storage_hosts(), self._metrics)
        return Services(
            exchange=exchange,
            invalidate=invalidator,
            watch=watch,
            watched=watched,
            reads=reads,
            own_writes=own_writes,
            writes=writes,
            batches=batches,
            downloads=AttachmentService(reads, table, origin, files),
            exports=BoardExport(origin),
            proof=self._build_verifier(reads, (responses, invalidator)),
        )

    def _build_verifier(
        self, reads: ReadThrough, store: tuple[ResponseStore, Invalidator]
    ) -> HitVerifier:
        token = self._config.limits.token

        def drawn_s() -> float:
            return pause_s(token.count, token.window_s, int.from_bytes(self._random(4)) / 2**32)

        proof = HitVerifier(reads, store, drawn_s, self._clock, self._log)
        proof.start()
        self._closing.push_async_callback(proof.stop)
        self._metrics.provide(verification_readings(proof))
        return proof

    async def stop(self) -> None:
        """Finish what is under way, for some seconds at most, and write what is pending."""
        await self._closing.aclose()
        self._log.event("info", "stopped")

    def _handle_loop_errors(self) -> None:
        loop = asyncio.get_running_loop()
        self._closing.callback(loop.set_exception_handler, loop.get_exception_handler())
        loop.set_exception_handler(loop_error_handler(self._log))

    def _tell_full(self) -> None:
        used = self._memory.used_bytes
        self._log.event_once_a_minute("warning", "client memory full", **used)

    def _bind(self) -> list[list[socket.socket]]:
        """The sockets for clients and, when it has an address of its own, for the operator."""
        self._handle_loop_errors()
        listen, admin = self._config.listen, self._config.admin.listen
        groups = []
        for address in (listen, admin) if admin else (listen,):
            groups.append(listen_socket(address.host, address.port))
            for each in groups[-1]:
                self._closing.callback(each.close)
        ports = [sockets[0].getsockname()[1] for sockets in groups]
        self.port, self.admin_port = ports[0], ports[1] if admin else None
        return groups

    async def _listen(
        self,
        groups: list[list[socket.socket]],
        handlers: tuple[ApiHandler, AdminPages, PageHandler, WebhookReceiver | None],
        tools: ServerDeps,
        via: str,
        services: Services,
    ) -> None:
        api, console, pages, webhook_receiver = handlers
        operator = console.pages()
        shared = operator if len(groups) == 1 else {}
        callback = (
            {CALLBACK_PATH: WebhookHandler(webhook_receiver).handle} if webhook_receiver else {}
        )
        assets = dict.fromkeys(ASSETS, pages.asset) | docs_handlers()
        cards = JsonAddressHandler(pages.card, api.handle)
        boards = JsonAddressHandler(pages.board, api.handle)
        sections = {"/c/": cards.handle, "/b/": boards.handle}
        own = Routes({"/": pages.home, **assets, **callback, **shared}, sections, api.handle)
        routes = [own, Routes({**operator, **assets})]
        flusher = LogFlusher(self._log, [*self._ticks, console.dashboard.tick])
        self._closing.push_async_callback(flusher.stop)
        flusher.start()
        busy = partial(count, self._metrics.errors, "busy")
        most = limit_of(self._max_files), ADMIN_CONNECTIONS
        everyone = [ConnectionLimits(limit, self._memory, busy) for limit in most[: len(groups)]]
        self._metrics.provide(client_readings(self._memory, everyone))
        for sockets, served, connections in zip(groups, routes, everyone, strict=False):
            fast_path = FastPath(
                tools,
                store=services.reads.responses,
                watched=services.watched,
                digest_key=self._random(32),
            )
            middleware = Middleware(
                tools,
                routes=served,
                guard=build_guard(self._config),
                via=via,
                fast_path=fast_path,
                credential_usage=console.credential_usage,
            )
            self._fast_paths.append(fast_path)
            await self._serve(sockets, middleware, fast_path, connections)

    async def _serve(
        self,
        sockets: list[socket.socket],
        middleware: Middleware,
        fast_path: FastPath,
        limits: ConnectionLimits,
    ) -> None:
        runner = web.ServerRunner(
            web.Server(middleware.handle, handler_cancellation=True), shutdown_timeout=SHUTDOWN_S
        )
        await runner.setup()
        self._closing.push_async_callback(runner.cleanup)
        for sock in sockets:
            await Listener(
                runner, sock, limits=limits, fast_path=fast_path, on_error=middleware.error_response
            ).start()
