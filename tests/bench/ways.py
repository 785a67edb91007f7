"""Ways to Trello: directly, through a cache keyed by URL, and through the proxy."""

import asyncio
import contextlib
import random
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from urllib.parse import urlencode, urlsplit

from proxy.app.app import App, SystemPorts
from proxy.config.schema import load
from proxy.fake_trello.server import FakeTrello
from proxy.model import Credential
from tests.bench.office import Change, Page
from tests.bench.servers import (
    AUTHORIZATION,
    KEY,
    TOKEN,
)
from tests.bench.virtual import VirtualClock

WATCH_S = 10
PROBE_S = 1
"""What one question may take, on top."""
BOUND_S = WATCH_S + PROBE_S
"""No answer may be staler: the lifetime of the cache that is compared with."""

_CONFIG = f"""\
listen: 127.0.0.1:{{port}}
cache: {{{{backend: memory}}}}
links: {{{{rewrite: false}}}}
freshness: {{{{watch: {WATCH_S}s{{webhooks}}}}}}
log: {{{{level: error}}}}
credentials: {{{{secret: demo-secret}}}}
upstream: {{{{url: '{{upstream}}'}}}}
"""

_MOST_ASKED = 6


@dataclass(frozen=True, slots=True)
class Heard:
    """An answer as it came."""

    status: int
    body: bytes
    was_kept: bool
    """Whether it came without asking Trello first."""
    is_marked: bool = False
    """Whether it says itself that it is stale because Trello could not be asked."""


class Client:
    """Asks one server, on as many connections as there are questions at once."""

    def __init__(self, url: str, *fields: str) -> None:
        parts = urlsplit(url)
        self._host, self._port = parts.hostname, parts.port
        lines = (f"Host: {parts.netloc}", "Accept-Encoding: gzip", *fields)
        self._fields = "\r\n".join(lines)
        self._idle: list[tuple[asyncio.StreamReader, asyncio.StreamWriter]] = []
        self.received_bytes = 0

    async def ask(self, method: str, path: str, tool: str = "-", form: str = "") -> Heard:
        """The answer to one request of a tool's."""
        lines = f"{method} {path} HTTP/1.1\r\nUser-Agent: {tool}\r\n{self._fields}\r\n"
        if form:
            kind = "application/x-www-form-urlencoded"
            lines += f"Content-Type: {kind}\r\nContent-Length: {len(form)}\r\n"
        if not self._idle:
            self._idle.append(await asyncio.open_connection(self._host, self._port))
        reader, writer = connection = self._idle.pop()
        writer.write(f"{lines}\r\n{form}".encode())
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
        named = dict(line.split(": ", 1) for line in head.lower().split("\r\n")[1:-2])
        if named.get("transfer-encoding") == "chunked":
            body = await _chunks(reader)
        else:
            body = await reader.readexactly(int(named.get("content-length", 0)))
        self._idle.append(connection)
        self.received_bytes += len(body)
        status = named.get("cache-status", "")
        marked = "stale-if-error" in status
        return Heard(int(head.split(" ", 2)[1]), body, "; hit" in status, marked)

    async def close(self) -> None:
        for _, writer in self._idle:
            writer.close()
            with contextlib.suppress(ConnectionError):
                await writer.wait_closed()


async def _chunks(reader: asyncio.StreamReader) -> bytes:
    """A chunked body."""
    parts: list[bytes] = []
    while size := int(await reader.readuntil(b"\r\n"), 16):
        parts.append(await reader.readexactly(size))
        await reader.readexactly(2)
    await reader.readuntil(b"\r\n")
    return b"".join(parts)


class Direct:
    """Every question is Trello's to answer."""

    name = "direct"

    def __init__(self, url: str, *fields: str) -> None:
        self.client = Client(url, *fields)

    async def read(self, path: str, tool: str = "-") -> Heard:
        """A read's answer."""
        return await self.client.ask("GET", path, tool)

    async def page(self, page: Page) -> Heard:
        """What makes such a page has to be asked for; the worst of the answers."""
        heard = [await self.read(target.path, page.tool) for target in page.targets]
        worst = max(heard, key=lambda each: each.status)
        return Heard(worst.status, worst.body, all(each.was_kept for each in heard))

    async def write(self, change: Change) -> Heard:
        """A write's answer."""
        form = urlencode(change.params)
        return await self.client.ask(change.method, change.path, change.tool, form)

    async def received_bytes(self) -> int:
        """Body bytes that came from Trello so far."""
        return self.client.received_bytes

    async def told(self) -> str:
        """What it has to say for itself; empty where it counts nothing."""
        return ""


class Kept(Direct):
    """A cache keyed by URL: every 200 is used for so many seconds, whatever happens meanwhile."""

    name = "TTL cache"

    def __init__(self, url: str, clock: VirtualClock) -> None:
        super().__init__(url, f"Authorization: {AUTHORIZATION}")
        self._clock = clock
        self._kept: dict[str, tuple[float, Heard]] = {}

    async def read(self, path: str, tool: str = "-") -> Heard:
        until, kept = self._kept.get(path, (0.0, None))
        if kept is not None and self._clock.now() < until:
            return kept
        requested_at = self._clock.now()
        heard = await super().read(path, tool)
        if heard.status == 200:
            again = Heard(heard.status, heard.body, was_kept=True)
            self._kept[path] = requested_at + BOUND_S, again
        return heard


class Proxied(Direct):
    """The proxy itself, as an operator starts it, its store in memory."""

    name = "proxy"

    async def page(self, page: Page) -> Heard:
        return await self.read(f"/c/{page.card}", page.tool)

    async def received_bytes(self) -> int:
        return int((await self._metric("upstream_bytes_total", 'direction="received"'))[""])

    async def told(self) -> str:
        by_route = await self._metric("upstream_requests_total", "route=")
        most = sorted(by_route, key=by_route.__getitem__, reverse=True)[:_MOST_ASKED]
        asked = ", ".join(f"{route} {by_route[route]:,.0f}" for route in most)
        results = await self._metric("proofs_total", "result=")
        proofs = ", ".join(f"{number:.0f} {result}" for result, number in results.items())
        return f"asked most: {asked}\n  of its own hits, asked again: {proofs}"

    async def _metric(self, name: str, label: str) -> dict[str, float]:
        """The samples of a metric, summed by the value of its label; "" is that of a whole one."""
        summed: dict[str, float] = {}
        for line in (await self.read("/metrics")).body.decode().splitlines():
            if line.startswith(f"trello_proxy_{name}{{") and label in line:
                value = line.partition(label)[2].split('"')[1] if label.endswith("=") else ""
                summed[value] = summed.get(value, 0.0) + float(line.rpartition(" ")[2])
        return summed


class Hooked(Proxied):
    """The same with webhooks."""

    name = "webhooks"


@asynccontextmanager
async def direct(standin: FakeTrello, clock: VirtualClock) -> AsyncIterator[Direct]:
    """Nothing in front of Trello."""
    way = Direct(standin.url, f"Authorization: {AUTHORIZATION}")
    yield way
    await way.client.close()


@asynccontextmanager
async def kept(standin: FakeTrello, clock: VirtualClock) -> AsyncIterator[Direct]:
    """A cache keyed by URL, its lifetime the bound."""
    way = Kept(standin.url, clock)
    yield way
    await way.client.close()


@asynccontextmanager
async def proxied(standin: FakeTrello, clock: VirtualClock) -> AsyncIterator[Direct]:
    """The proxy, started and ended."""
    text = _CONFIG.format(port=0, webhooks="", upstream=standin.url)
    async with _started(Proxied, text, clock) as way:
        yield way


@asynccontextmanager
async def hooked(standin: FakeTrello, clock: VirtualClock) -> AsyncIterator[Direct]:
    """The proxy, which Trello can reach."""
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    webhooks = f", webhook_url: 'http://127.0.0.1:{port}/-/webhook'"
    text = _CONFIG.format(port=port, webhooks=webhooks, upstream=standin.url)
    async with _started(Hooked, text, clock) as way:
        yield way


@asynccontextmanager
async def _started(kind: type[Proxied], text: str, clock: VirtualClock) -> AsyncIterator[Direct]:
    draw = random.Random(1)  # noqa: S311 — the same in every run
    ports = SystemPorts(clock=clock, write_log=_ignore, random=draw.randbytes)
    app = App(load(text, "proxy.yaml", {}, str), Credential(KEY, TOKEN), ports)
    await app.start()
    way = kind(app.public_url)
    yield way
    await way.client.close()
    await app.stop()


def _ignore(_: bytes) -> None:
    return None
