"""Server of the fake Trello: two listeners, API and storage host, with one state."""

import asyncio
from collections.abc import Awaitable, Callable

from aiohttp import web

from proxy.fake_trello import control_api
from proxy.fake_trello.api import Api, Parts
from proxy.fake_trello.body import MAX_BYTES
from proxy.fake_trello.fault_injection import respond
from proxy.fake_trello.faults import Faults
from proxy.fake_trello.limits import Limits
from proxy.fake_trello.request_log import ReceivedRequest, RequestLog
from proxy.fake_trello.responses import Response
from proxy.fake_trello.service import Trello
from proxy.fake_trello.storage import Signer, Storage
from proxy.fake_trello.webhooks import Deliveries
from proxy.runtime.clock import Clock

_LINE_BYTES = 64 * 1024
_SHUTDOWN_S = 0.2

_Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class FakeTrello:
    """A fake Trello; `url` and `storage_host` are set by `start`."""

    def __init__(
        self,
        clock: Clock,
        *,
        key: str,
        token: str,
        secret: str = "demo-secret",  # noqa: S107 - opens nothing
        limits: bool = False,
        host: str = "127.0.0.1",
        ids_at: float | None = None,
    ) -> None:
        """`ids_at`: the time in all ids, in POSIX seconds; None: each has its own."""
        self.url = ""
        self.storage_host = ""
        self.trello = Trello(clock, key=key, token=token, ids_at=ids_at)
        self.request_log = RequestLog()
        self.faults = Faults()
        self.limits = Limits(clock, on=limits)
        self.deliveries = Deliveries(self.trello, secret)
        self._clock = clock
        self._host = host
        signer = Signer(clock, secret)
        self._parts = Parts(
            self.trello, self.request_log, self.faults, self.limits, signer, self.deliveries
        )
        self._api = Api(self._parts)
        self._storage = Storage(self.trello, signer)
        self._runners: list[web.AppRunner] = []
        self._running: set[asyncio.Task[object]] = set()

    async def start(self) -> None:
        """Listen on two free ports."""
        await self.deliveries.start()
        self.url = f"http://{await self._listen(self._handle_api)}"
        self.storage_host = await self._listen(self._handle_storage)
        self._parts.storage_host = self.storage_host

    async def stop(self) -> None:
        """Cancel all requests, hanging ones too, and close both listeners."""
        for task in list(self._running):
            task.cancel()
        for runner in self._runners:
            await runner.cleanup()
        self._runners.clear()
        await self.deliveries.stop()

    async def _listen(self, handler: _Handler) -> str:
        app = web.Application(client_max_size=MAX_BYTES)
        app.router.add_route("*", "/{path:.*}", handler)
        runner = web.AppRunner(
            app,
            access_log=None,
            shutdown_timeout=_SHUTDOWN_S,
            max_line_size=_LINE_BYTES,
            max_field_size=_LINE_BYTES,
        )
        await runner.setup()
        self._runners.append(runner)
        await web.TCPSite(runner, self._host, 0).start()
        host, port = runner.addresses[0][:2]
        return f"{host}:{port}"

    async def _handle_api(self, request: web.Request) -> web.StreamResponse:
        if request.raw_path.startswith(control_api.PREFIX):
            return await control_api.handle(request, self._parts)
        received = self.request_log.record("api", request.method, request.raw_path, request.headers)
        return await self._exchange(request, received)

    async def _handle_storage(self, request: web.Request) -> web.StreamResponse:
        received = self.request_log.record(
            "storage", request.method, request.raw_path, request.headers
        )
        return await self._exchange(request, received)

    async def _exchange(
        self, request: web.Request, received: ReceivedRequest
    ) -> web.StreamResponse:
        task = asyncio.current_task()
        if task is not None:
            self._running.add(task)
        try:
            if self.faults.latency_s:
                await self._clock.sleep(self.faults.latency_s)
            fault = self.faults.take(request.method, received.path)
            response = await respond(
                request, lambda: self._make(request, received), fault, self._clock
            )
            received.status = response.status
            return response
        finally:
            if task is not None:
                self._running.discard(task)

    async def _make(self, request: web.Request, received: ReceivedRequest) -> Response:
        if received.host == "api":
            return await self._api.respond(request, received)
        return self._storage.respond(request.method, request.raw_path, request.headers)
