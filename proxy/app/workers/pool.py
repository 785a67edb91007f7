"""Worker pool: the workers of one proxy, and what serves their requests at their parent (D74)."""

import asyncio
import socket
from collections.abc import Callable
from functools import partial

import msgspec
from aiohttp import web

from proxy import __version__
from proxy.app.components import Components, Environment
from proxy.app.listeners import Listeners, Serving
from proxy.app.workers.child import START_S, Child, StartChild
from proxy.app.workers.duties import StandingDuties
from proxy.app.workers.messages import Setup
from proxy.app.workers.settings import settings_digest
from proxy.fleet.given_lease import PARENT, GivenLease, worker_address
from proxy.fleet.local import Local
from proxy.fleet.near import Near
from proxy.fleet.node import Node
from proxy.fleet.protocol import Hello
from proxy.model import Credential
from proxy.observability.transfer import FigureSum
from proxy.runtime.tasks import TaskSet
from proxy.runtime.unix_socket import listen_abstract
from proxy.server.fleet.leader_service import LeaderService
from proxy.server.fleet.node_middleware import NodeHandler, RelayedMiddleware, envelope_of
from proxy.server.fleet.peer_client import MAX_CONNECTIONS, PeerClient
from proxy.server.listener import BACKLOG
from proxy.server.middleware import Routes
from proxy.server.request_context import RequestContext
from proxy.server.response import WireResponse

REFRESH_S = 0.2
"""How long a scrape waits for the workers' figures."""
_KEY_BYTES = 32


class WorkersFailed(OSError):
    """No worker could be started."""


class WorkerPool:
    """The workers; `start` once, `stop` once."""

    def __init__(
        self,
        environment: Environment,
        sockets: list[list[socket.socket]],
        settings: str,
        *,
        start: StartChild,
        write_log: Callable[[bytes], None],
    ) -> None:
        """`sockets`: a list for each worker; `settings`: as `worker_settings` has them."""
        clock = environment.clock
        self._environment = environment
        self._settings = settings
        self._write_log = write_log
        self._key = environment.random(_KEY_BYTES)
        self._sockets = sockets
        self._socket = listen_abstract(BACKLOG)
        hello = Hello(PARENT, environment.instance, __version__, settings_digest(settings))
        lease, log = GivenLease(is_own=True), environment.log
        self._figures = FigureSum(environment.metrics, clock.now)
        self._children = [
            Child(
                number,
                each,
                start=start,
                setup=partial(self._setup, number),
                on_end=partial(self._on_end, number),
                figures=self._figures,
                log=log,
                write_log=self._redact_and_write,
            )
            for number, each in enumerate(sockets, start=1)
        ]
        peers = PeerClient(lambda: self._key, environment.random)  # the parent calls no one
        near, duties = Near(clock, limit_bytes=0), StandingDuties(clock)
        self._duties = duties
        self._local = Local(hello, lease, peers, duties, clock, log, near, is_given=True)
        self._node = Node(self._local)
        self._service = LeaderService(self._node)
        self._refreshing = TaskSet()

    async def start(self, listeners: Listeners, serving: Serving, components: Components) -> None:
        """Serve what workers relay, and start them; WorkersFailed if one does not come up."""
        environment = self._environment
        self._duties.components = components
        environment.own(self._node).start()
        await self._node.wait_for_leader(environment.clock.boottime() + START_S)
        components.stores.responses.barrier = self._duties.barrier
        own, metrics = environment.own, environment.metrics
        self._service.open(serving.routes.clients, serving.routes.admin)
        relayed = Routes({}, {}, self._serve, self._serve)
        middleware = listeners.middleware(RelayedMiddleware, serving, relayed)
        handler = NodeHandler(self._node, middleware, lambda: self._key)
        await listeners.listen_for_nodes([self._socket], middleware, handler.handle)
        own(self)
        first = [each.start() for each in self._children]
        metrics.provide(
            {
                "workers": lambda: sum(each.is_ready.is_set() for each in self._children),
                "worker_restarts_total": lambda: sum(each.restarts for each in self._children),
                "fleet_barrier_seconds": lambda: self._local.barriers.durations,
                "fleet_expired_total": lambda: self._local.barriers.expired,
            }
        )
        metrics.refresh = self._refresh
        if not all(await asyncio.gather(*first)):
            raise WorkersFailed(None, "a worker did not start; what it wrote is above")

    async def stop(self) -> None:
        """Finish requests in progress, within seconds."""
        for each in self._sockets:
            for sock in each:
                sock.close()  # connections are refused from now on
        await asyncio.gather(*(each.stop() for each in self._children))
        await self._refreshing.stop()

    def reload(self, settings: str) -> None:
        """Have the workers use other settings."""
        self._settings = settings
        hello, digest = self._local.hello, settings_digest(settings)
        self._local.hello = msgspec.structs.replace(hello, config=digest)
        self._duties.invalidate_copies()
        for each in self._children:
            each.reload(settings)

    async def replace(self, credential: Credential) -> bool:
        """As CredentialManager.replace; what workers keep may be another account's."""
        components = self._duties.components
        is_replaced = components is not None and await components.credential_manager.replace(
            credential
        )
        self._duties.invalidate_copies()
        return is_replaced

    def _setup(self, number: int) -> Setup:
        return Setup(
            number=number,
            config=self._settings,
            parent=self._socket.getsockname()[1:].decode(),
            key=self._key.hex(),
            max_relays=MAX_CONNECTIONS // len(self._children),
        )

    def _on_end(self, number: int) -> None:
        """A worker's process has ended: it serves nothing, so no write needs to wait for it."""
        self._figures.forget(number)
        if self._duties.barrier is not None:
            self._duties.barrier.ended(worker_address(number))

    async def _serve(self, request: web.BaseRequest, context: RequestContext) -> WireResponse:
        is_admin = envelope_of(request).is_admin
        return await self._service.serve(request, context, is_admin=is_admin)

    async def _refresh(self) -> None:
        """Have figures as they are now; those of a worker that is busy are a second old."""
        tasks = [self._refreshing.spawn(each.refresh()) for each in self._children]
        await asyncio.wait(tasks, timeout=REFRESH_S)
        for task in tasks:
            task.cancel()

    def _redact_and_write(self, lines: bytes) -> None:
        """Write a worker's log: it does not know the secrets that a client's text may hold."""
        self._write_log(self._environment.redactor.redact(lines))
