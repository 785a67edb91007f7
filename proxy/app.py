"""Builds everything, and owns start and stop.

                client ↓                                         ↑ client
    cli          serve · demo · check · explain · link · purge · warm · leaks
    app          this file · equipment · custody · console · rules · warm, a client of the proxy
    edge         connection → door → handlers/{api, files, pages, webhooks, ops, …}   aiohttp.web
    flow         read_through · batch · write_through · download · collapse · turns · exchange
                 sending · outlook · custodian · invalidate · deliveries · hooks · watch · renew …
    ───────────────────────────────────────────────────────────────────────────────
    policy              │ store                  │ upstream
    what is right       │ what we keep           │ whom we ask
    pure, no await      │ the only disk          │ the only outward socket
    ───────────────────────────────────────────────────────────────────────────────
    ground       config  metrics · tally  log  ·  model  errors  clock

Imports go down this drawing, never up; policy, store and upstream do not know each other.
"""

import asyncio
import socket
from collections.abc import Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass
from functools import partial
from urllib.parse import urlsplit

from aiohttp import web

from proxy.addresses import Listen
from proxy.clock import Clock
from proxy.config import Config
from proxy.console import Console
from proxy.custody import Changeable, Custody
from proxy.edge.connection import Plans
from proxy.edge.connections import ADMIN_CONNECTIONS, Connections, limit_of
from proxy.edge.door import Door, Rooms
from proxy.edge.handlers.api import Api
from proxy.edge.handlers.data import Data
from proxy.edge.handlers.pages import Pages
from proxy.edge.handlers.webhooks import Webhooks
from proxy.edge.intake import Intake
from proxy.edge.listener import Listener, bound
from proxy.edge.plan import Tools
from proxy.edge.readings import client_readings
from proxy.edge.record import RequestIds
from proxy.equipment import Equipment
from proxy.flow.batch import Batch
from proxy.flow.clock_monitor import ClockMonitor
from proxy.flow.deliveries import Deliveries
from proxy.flow.download import Download
from proxy.flow.exchange import Exchange
from proxy.flow.export import Export
from proxy.flow.fetch import Origin
from proxy.flow.hooks import Hooks
from proxy.flow.inquiry import Inquiry
from proxy.flow.invalidate import Invalidate
from proxy.flow.own_writes import OwnWrites
from proxy.flow.proof import Proof
from proxy.flow.read_through import ReadThrough
from proxy.flow.readings import proof_readings
from proxy.flow.registrar import Registrar
from proxy.flow.renew import Renew
from proxy.flow.turns import Turns
from proxy.flow.watch import Watch
from proxy.flow.write_through import WriteThrough
from proxy.flows import Flows
from proxy.flusher import Flusher
from proxy.log import Log
from proxy.loop_errors import loop_error_handler
from proxy.memory_budget import MemoryBudget
from proxy.metrics import Metrics, count
from proxy.model import Credential, Urgency
from proxy.policy.directives import NONE
from proxy.policy.pages.shell import ASSETS
from proxy.policy.proving import pause_s
from proxy.policy.routes import RouteTable
from proxy.policy.scrub import Scrubber
from proxy.policy.watching import TARGET
from proxy.policy.webhooks import PATH as CALLBACK_PATH
from proxy.reload import Reload, Source
from proxy.rules import guard_of, interval_of, links_of, signing_of, table_of, warnings_of
from proxy.store.files import Files
from proxy.store.known import KEY_BYTES
from proxy.store.responses import Responses

SHUTDOWN_S = 3.0
"""For requests under way; aiohttp may take it twice, and the whole must end within 10 s."""


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What enters from outside: the clock, the log's sink, randomness.

    With a `source` of configurations, credentials and some settings may change while it runs.
    """

    clock: Clock
    write_log: Callable[[bytes], None]
    random: Callable[[int], bytes]
    source: Source | None = None
    max_files: int = 16_384
    """File descriptors that this process may have open."""


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
        self._source, self._max_files = surroundings.source, surroundings.max_files
        self._plans: list[Plans] = []
        self._ticks: list[Callable[[], None]] = []
        """Called several times a second."""
        self._scrubber = Scrubber(secrets)
        self._log = Log(
            surroundings.write_log,
            self._clock,
            config.log.level,
            config.log.format,
            self._scrubber.text,
        )
        self._metrics = Metrics()
        self._memory = MemoryBudget(config.limits.memory_bytes, self._tell_full)
        self._random = surroundings.random
        self.turns = Turns(config.limits, self._clock, self._random, self._metrics)
        self._closing = AsyncExitStack()
        self._equipment = Equipment(config, self._clock, self._log, self._closing)
        self.port = config.listen.port
        """Where clients connect; the bound one after `start`."""
        self.admin_port: int | None = None
        """The operator's own, where `admin.listen` asks for one."""
        self.flows: Flows | None = None
        """What serves; after `start`."""
        self.hooks: Hooks | None = None
        """What looks after our webhooks, where Trello can reach us; after `start`."""
        self.reload: Reload | None = None
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
        responses, files = await self._equipment.stores()
        links, table = links_of(config, self.public_url), table_of(config.routes)
        stored, keep = await self._equipment.identity(self._credential, self._random(KEY_BYTES))
        custody = Custody(stored, config, around, self._closing)
        cleaning = (self._scrubber, links if config.links.rewrite else None)
        exchange = self._equipment.exchange(
            self.turns, custody.outlook, cleaning, via, (self._metrics, self._memory)
        )
        custodian = custody.custodian(Inquiry(exchange, table), keep)
        self.flows = flows = self._flows(responses, files, exchange, table)
        intake = Intake(table, stored, config.clients, links)
        served = flows.reads, flows.writes, flows.downloads, flows.exports, flows.batches
        api = Api(intake, (*served, flows.proof), self.turns, self._clock, self._signing)
        whose, store = (stored, custody.outlook, custodian), (responses, files)
        console = Console(config, around, self._metrics, whose, intake, store, flows, self.turns)
        ids, scrub, tally = RequestIds(instance), self._scrubber.text, self._metrics.tally
        tools = Tools(
            responses, flows.watch, self._clock, self._log, ids, scrub, tally, self._memory
        )
        self._renew(flows, intake)
        flows.watch.start(intake.own(TARGET, NONE, Urgency.WATCH))
        pages = Pages(intake, flows.reads, links, self._clock, console.overview, console.offer)
        deliveries = self._equipment.deliveries(flows.own_writes, flows.invalidate, self._metrics)
        await self._listen(sockets, (api, console, pages, deliveries), tools, via)
        if deliveries is not None:
            registrar = Registrar(deliveries.callback.url, stored, exchange, flows.writes, table)
            self.hooks = self._equipment.hooks(
                registrar, flows.reads, flows.watch, deliveries, self._metrics
            )
        changeable = Changeable(
            table, self.turns, self._scrubber, deliveries, self._plans, self._memory
        )
        self.reload = custody.start(self._source, custodian, changeable, self.hooks)
        self._announce(sockets)

    def _announce(self, groups: list[list[socket.socket]]) -> None:
        """Log the addresses listened on, both of `::`, and the configuration's warnings."""
        told = [
            ", ".join(str(Listen(*each.getsockname()[:2])) for each in sockets)
            for sockets in groups
        ]
        self._log.event("info", "listening", **dict(zip(("address", "admin"), told, strict=False)))
        for warning in warnings_of(self._config):
            self._log.event("warning", "configuration", detail=warning)

    def _renew(self, flows: Flows, intake: Intake) -> None:
        renew = Renew(flows.reads, flows.batches, intake.own("/1/batch", NONE, Urgency.BACKGROUND))
        flows.reads.on_used.append(renew.used)
        flows.watch.on_moved.append(renew.moved)
        self._closing.push_async_callback(renew.flights.stop)

    def _flows(
        self, responses: Responses, files: Files, exchange: Exchange, table: RouteTable
    ) -> Flows:
        config = self._config
        invalidate = Invalidate(responses, self._metrics, self._log)
        watch = Watch(exchange, invalidate, self._clock, self._log, interval_of(config))
        clock_monitor = ClockMonitor(invalidate, self._clock, self._log)
        clock_monitor.on_set_back.append(watch.clock_set_back)
        clock_monitor.check(responses.newest_at)
        self._ticks.append(clock_monitor.tick)
        reads = ReadThrough(responses, exchange, self.public_url, self._metrics, self._clock, watch)
        reads.on_future.append(clock_monitor.check)
        own_writes = OwnWrites(self._random(8).hex())
        writes = WriteThrough(exchange, invalidate, reads.naming, own_writes)
        writes.on_written.append(watch.written)
        batches = Batch(reads, responses, exchange, self._metrics, self._clock)
        flights = reads.flights.stop, batches.flights.stop
        for end in (self.turns.stop, *flights, writes.stop, watch.stop):
            self._closing.push_async_callback(end)
        origin = Origin(exchange, self._equipment.storage(), self._metrics)
        return Flows(
            exchange=exchange,
            invalidate=invalidate,
            watch=watch,
            reads=reads,
            own_writes=own_writes,
            writes=writes,
            batches=batches,
            downloads=Download(reads, table, origin, files),
            exports=Export(origin),
            proof=self._proof(reads, (responses, invalidate)),
        )

    def _proof(self, reads: ReadThrough, store: tuple[Responses, Invalidate]) -> Proof:
        token = self._config.limits.token

        def drawn_s() -> float:
            return pause_s(token.count, token.window_s, int.from_bytes(self._random(4)) / 2**32)

        proof = Proof(reads, store, drawn_s, self._clock, self._log)
        proof.start()
        self._closing.push_async_callback(proof.stop)
        self._metrics.readings.extend(proof_readings(proof))
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
        listen, admin = self._config.listen, self._config.admin.listen
        groups = []
        for address in (listen, admin) if admin else (listen,):
            groups.append(bound(address.host, address.port))
            for each in groups[-1]:
                self._closing.callback(each.close)
        ports = [sockets[0].getsockname()[1] for sockets in groups]
        self.port, self.admin_port = ports[0], ports[1] if admin else None
        return groups

    async def _listen(
        self,
        groups: list[list[socket.socket]],
        handlers: tuple[Api, Console, Pages, Deliveries | None],
        tools: Tools,
        via: str,
    ) -> None:
        api, console, pages, deliveries = handlers
        operator = console.pages()
        shared = operator if len(groups) == 1 else {}
        callback = {CALLBACK_PATH: Webhooks(deliveries).handle} if deliveries else {}
        assets = dict.fromkeys(ASSETS, pages.asset)
        cards, boards = Data(pages.card, api.handle), Data(pages.board, api.handle)
        sections = {"/c/": cards.handle, "/b/": boards.handle}
        own = Rooms({"/": pages.home, **assets, **callback, **shared}, sections, api.handle)
        rooms = [own, Rooms({**operator, **assets})]
        flusher = Flusher(self._log, [*self._ticks, console.overview.tick])
        self._closing.push_async_callback(flusher.stop)
        flusher.start()
        self._handle_loop_errors()
        busy = partial(count, self._metrics.errors, "busy")
        most = limit_of(self._max_files), ADMIN_CONNECTIONS
        everyone = [Connections(limit, self._memory, busy) for limit in most[: len(groups)]]
        self._metrics.readings.extend(client_readings(self._memory, everyone))
        for sockets, served, connections in zip(groups, rooms, everyone, strict=False):
            door = Door(served, guard_of(self._config), via, tools, self._metrics, console.census)
            runner = web.ServerRunner(
                web.Server(door.handle, handler_cancellation=True), shutdown_timeout=SHUTDOWN_S
            )
            await runner.setup()
            self._closing.push_async_callback(runner.cleanup)
            self._plans.append(Plans(self._random(32)))
            for sock in sockets:
                await Listener(runner, sock, self._plans[-1], door.refuse, connections).start()
