"""The proxy in front of a Trello stand-in, on real sockets and a clock that only tests move."""

import asyncio
import json
import secrets
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Protocol

import aiohttp
import pytest
from multidict import CIMultiDictProxy
from yarl import URL

from proxy.app.app import App, SystemPorts
from proxy.config.schema import load
from proxy.fake_trello.faults import Fault
from proxy.fake_trello.server import FakeTrello
from proxy.model import Credential, Rate
from proxy.runtime.clock import BootClock, FakeClock
from tests.samples import fill
from tests.scenarios.callback_proxy import WayIn, opened
from tests.scenarios.upstream import Upstream

KEY = "c0ffee" + "0" * 26
TOKEN = "ATTA" + "5ec2e7" * 12
OTHER_KEY = "beef" + "1" * 28
OTHER_TOKEN = "ATTA" + "07be2a" * 12
DELIBERATE = {"X-Requested-With": "XMLHttpRequest"}
"""A field that no link and no image can send: with it a GET may tunnel a write."""
BREATH_S = 0.001
"""What a test that waits for a thread leaves it; a loop that never pauses starves it."""
READ_TIMEOUT_S = 1.5
ENDLESS = Rate(1_000_000, 10.0)
"""For tests that are not about limits: their clock stands still, and so would a window."""
UNPROVEN = {"token": Rate(1_000_000, 1e10)}
"""Limits of which a hundredth is so little that no hit is asked again for days."""
REOPENED_S = 5
"""How long Trello's silence is borne; of real time."""


@dataclass
class Heard:
    """An answer, read to its end, as it came."""

    status: int
    fields: CIMultiDictProxy[str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def cache(self) -> str:
        """The Cache-Status field, less the proxy's name."""
        return self.fields.get("Cache-Status", "").removeprefix("trello-proxy; ")

    @property
    def problem(self) -> str:
        """What ends the type of a problem of the proxy's own; empty for an answer of Trello's."""
        if self.fields.get("Content-Type") != "application/problem+json":
            return ""
        return str(self.json["type"]).removeprefix("urn:trello-proxy:")


class Proxy:
    """A proxy that runs, and a client of it that sends no credential unless told to."""

    def __init__(self, app: App, session: aiohttp.ClientSession, lines: list[bytes]) -> None:
        self.app = app
        self.session = session
        self._lines = lines

    @property
    def url(self) -> str:
        return self.app.public_url

    @property
    def host(self) -> str:
        return f"127.0.0.1:{self.app.port}"

    @property
    def log(self) -> str:
        """Everything that was logged so far."""
        return b"".join(self._lines).decode()

    async def __call__(self, method: str, target: str, **options: Any) -> Heard:
        async with self.session.request(
            method, URL(self.url + target, encoded=True), allow_redirects=False, **options
        ) as response:
            return Heard(response.status, response.headers, await response.read())

    async def get(self, target: str, **options: Any) -> Heard:
        return await self("GET", target, **options)

    async def metric(self, sample: str) -> float:
        """A sample of /metrics by name and labels; 0 when it is not there."""
        text = (await self.get("/metrics")).body.decode()
        found = [line for line in text.splitlines() if line.startswith(f"{sample} ")]
        return float(found[0].rpartition(" ")[2]) if found else 0.0

    def logged(self, message: str) -> list[dict[str, Any]]:
        """The log lines written so far that say this."""
        return [line for line in self.lines if line["message"] == message]

    @property
    def lines(self) -> list[dict[str, Any]]:
        """The log lines written so far."""
        return [json.loads(line) for line in b"".join(self._lines).splitlines()]


class StartProxy(Protocol):
    """Starts a proxy on a configuration as the operator writes it.

    A keyword replaces settings of the section of that name. `machine`: a clock of its own.
    """

    def __call__(
        self, yaml: str = "", *, machine: BootClock | None = None, **sections: dict[str, Any]
    ) -> Awaitable[Proxy]: ...


class Raw:
    """One connection, byte by byte."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer

    async def send(self, data: bytes) -> None:
        self._writer.write(data)
        await self._writer.drain()

    async def answer(self, *, is_head: bool = False) -> tuple[int, list[bytes], bytes]:
        """Status, field lines in the order of the alphabet, and the body of the next answer."""
        async with asyncio.timeout(10):
            head = await self._reader.readuntil(b"\r\n\r\n")
            line, *fields = head.removesuffix(b"\r\n\r\n").split(b"\r\n")
            lengths = [f[15:] for f in fields if f.lower().startswith(b"content-length:")]
            body = await self._reader.readexactly(int(lengths[0]) if lengths and not is_head else 0)
        return int(line.split()[1]), sorted(fields), body

    async def rest(self) -> bytes:
        """What comes until the connection ends."""
        async with asyncio.timeout(10):
            return await self._reader.read()

    async def close(self) -> None:
        self._writer.close()
        await asyncio.gather(self._writer.wait_closed(), return_exceptions=True)


async def slow_client(proxy: Proxy) -> socket.socket:
    """A connection that receives little until it reads."""
    client = socket.socket()
    client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    client.settimeout(0)
    await asyncio.get_running_loop().sock_connect(client, ("127.0.0.1", proxy.app.port))
    return client


async def until(is_so: Callable[[], bool]) -> None:
    """Let everything else run until it is so."""
    async with asyncio.timeout(10):
        while not is_so():  # noqa: ASYNC110 - any change, anywhere
            await asyncio.sleep(BREATH_S)


async def turns(count: int = 300) -> None:
    """Let everything else run: enough for what is on its way to arrive."""
    for _ in range(count):
        await asyncio.sleep(0)


async def reopened(proxy: Proxy, clock: FakeClock) -> None:
    """Return when the store that failed has been opened again."""
    opened = len(proxy.logged("store opened"))
    async with asyncio.timeout(30):
        while len(proxy.logged("store opened")) == opened:
            if clock.sleepers:  # an attempt on a busy machine may fail, and be made again
                clock.advance(REOPENED_S)
            await asyncio.sleep(BREATH_S)


def answering(size: int) -> Fault:
    """An answer of about this many bytes to every GET."""
    body, kind = f'{{"long":"{"x" * size}"}}', "application/json"
    return Fault("status", method="GET", status=200, body=body, content_type=kind, times=None)


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
async def standin(clock: FakeClock) -> AsyncIterator[FakeTrello]:
    made = FakeTrello(clock, key=KEY, token=TOKEN)
    fill(made.trello)
    await made.start()
    yield made
    await made.stop()


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    """Where the proxies of a test keep their answers."""
    return tmp_path / "cache"


@pytest.fixture
async def start_proxy(
    clock: FakeClock, standin: FakeTrello, directory: Path
) -> AsyncIterator[StartProxy]:
    async with AsyncExitStack() as stack:
        session = await stack.enter_async_context(
            aiohttp.ClientSession(
                cookie_jar=aiohttp.DummyCookieJar(),
                auto_decompress=False,
                skip_auto_headers=("Accept-Encoding",),
                connector=aiohttp.TCPConnector(limit=0),
            )
        )

        async def start(
            yaml: str = "", *, machine: BootClock | None = None, **sections: dict[str, Any]
        ) -> Proxy:
            config = load(f"listen: 127.0.0.1:0\n{yaml}", "proxy.yaml", {}, str)
            given: dict[str, dict[str, Any]] = {
                "upstream": {
                    "url": standin.url,
                    "storage_hosts": (standin.storage_host,),
                    "read_timeout_s": READ_TIMEOUT_S,
                },
                "cache": {"directory": str(directory)},
                "freshness": {"watch_s": "off"},
                "limits": {"token": ENDLESS, "key": ENDLESS},
            }
            for name in {*given, *sections}:
                changes = {**given.get(name, {}), **sections.get(name, {})}
                section = replace(getattr(config, name), **changes)
                config = replace(config, **{name: section})
            lines: list[bytes] = []
            credential = Credential(key=KEY, token=TOKEN)
            app = App(
                config,
                credential,
                SystemPorts(
                    clock=machine or clock, write_log=lines.append, random=secrets.token_bytes
                ),
            )
            stack.push_async_callback(app.stop)
            await app.start()
            return Proxy(app, session, lines)

        yield start


@pytest.fixture
async def proxy(start_proxy: StartProxy) -> Proxy:
    return await start_proxy()


@pytest.fixture
async def way_in() -> AsyncIterator[WayIn]:
    """Where Trello delivers to."""
    way, runner = await opened()
    yield way
    await runner.cleanup()


@pytest.fixture
async def hooked(way_in: WayIn, start_proxy: StartProxy) -> Proxy:
    """A proxy that Trello can reach; its answers keep Trello's links."""
    way_in.proxy = await start_proxy(
        f"credentials: {{secret: demo-secret}}\n"
        f"freshness: {{webhook_url: '{way_in.url}'}}\nlinks: {{rewrite: false}}",
        limits=UNPROVEN,
    )
    return way_in.proxy


@pytest.fixture
async def connect(proxy: Proxy) -> AsyncIterator[Callable[[], Awaitable[Raw]]]:
    """Opens connections to the proxy."""
    opened: list[Raw] = []

    async def connected() -> Raw:
        raw = Raw(*await asyncio.open_connection("127.0.0.1", proxy.app.port))
        opened.append(raw)
        return raw

    yield connected
    for raw in opened:
        await raw.close()


@pytest.fixture
async def upstream() -> AsyncIterator[Upstream]:
    made = Upstream()
    made.may_read.set()
    server = await asyncio.start_server(made.serve, "127.0.0.1", 0)
    made.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    yield made
    made.may_read.set()
    server.close()
    await server.wait_closed()


@pytest.fixture
def board(standin: FakeTrello) -> str:
    """The id of the board that the examples are on."""
    return standin.trello.example_board


@pytest.fixture
def card(standin: FakeTrello) -> str:
    """The id of a card on it."""
    return standin.trello.example_card


@pytest.fixture
def other_board(standin: FakeTrello, board: str) -> str:
    """Another board of the same member."""
    boards = standin.trello.request("/1/members/me/boards?fields=id")
    return str(next(each["id"] for each in boards if each["id"] != board))


@pytest.fixture
def short(standin: FakeTrello, card: str) -> str:
    """The shortLink of the card."""
    return str(standin.trello.request(f"/1/cards/{card}?fields=shortLink")["shortLink"])


@pytest.fixture
def short_board(standin: FakeTrello, board: str) -> str:
    """The shortLink of the board."""
    return str(standin.trello.request(f"/1/boards/{board}?fields=shortLink")["shortLink"])
