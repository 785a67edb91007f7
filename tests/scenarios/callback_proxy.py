"""A public way in, as an operator's reverse proxy is one; it may lose, hold, double and reorder."""

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from aiohttp import web

from proxy.trello.webhook_payload import PATH

if TYPE_CHECKING:
    from tests.scenarios.conftest import Proxy

_NOT_PASSED_ON = frozenset({"host", "content-length", "accept-encoding", "connection"})


@dataclass(frozen=True)
class Arrived:
    """A delivery, as Trello sent it."""

    fields: dict[str, str]
    body: bytes = field(repr=False)


class WayIn:
    """Listens where Trello delivers, before there is a proxy to pass it on to."""

    def __init__(self) -> None:
        self.url = ""
        self.proxy: Proxy | None = None
        self.is_open = True
        """Whether anything comes through; 503 otherwise."""
        self.holds = False
        """Deliveries are taken, and passed on by hand."""
        self.arrived: list[Arrived] = []
        self.statuses: list[int] = []
        """The proxy's answers to deliveries."""

    async def handle(self, request: web.Request) -> web.Response:
        if not self.is_open or self.proxy is None:
            return web.Response(status=503)
        if request.method == "HEAD":
            heard = await self.proxy("HEAD", request.raw_path)
            return web.Response(status=heard.status)
        kept = {n: v for n, v in request.headers.items() if n.lower() not in _NOT_PASSED_ON}
        self.arrived.append(Arrived(kept, await request.read()))
        return web.Response(status=200 if self.holds else await self.deliver(self.arrived[-1]))

    async def deliver(self, delivery: Arrived) -> int:
        """The proxy's answer."""
        assert self.proxy is not None
        fields, body = delivery.fields, delivery.body
        status = (await self.proxy("POST", PATH, headers=fields, data=body)).status
        self.statuses.append(status)
        return status


async def opened() -> tuple[WayIn, web.AppRunner]:
    """A way in, and what closes it."""
    way = WayIn()
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", way.handle)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    way.url = f"http://127.0.0.1:{runner.addresses[0][1]}{PATH}"
    return way, runner
