"""A proxy, whatever stands behind it, and bytes on a socket."""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest

from proxy.app.app import App, SystemPorts
from proxy.config.schema import (
    Backend,
    Config,
    Limits,
    load,
)
from proxy.fake_trello.server import FakeTrello
from proxy.model import Credential, Rate
from proxy.runtime.clock import FakeClock
from tests.samples import fill
from tests.server.raw_upstream import (
    PATIENCE_S,
    RawUpstream,
    Speak,
)

KEY = "c4a3a2a1" + "k" * 24
TOKEN = "ATTA5ca1ab1e" + "7oken" * 12
CREDENTIAL = Credential(KEY, TOKEN)
_MANY = Rate(1_000_000, 10.0)
ENDLESS = Limits(token=_MANY, key=_MANY, members=_MANY, search=_MANY, wait_s=20.0)
"""The clock of these tests stands still, and so would a window."""


@dataclass
class Heard:
    """One response, as it was on the wire."""

    status: int
    line: bytes
    head: bytes
    body: bytes

    @property
    def fields(self) -> dict[str, str]:
        """By lower-case name; of a repeated field the last."""
        return dict(self.field_list)

    @property
    def field_list(self) -> list[tuple[str, str]]:
        lines = self.head.decode("latin-1").split("\r\n")
        pairs = (line.partition(":") for line in lines if line)
        return [(name.lower(), value.strip()) for name, _, value in pairs]

    @property
    def raw(self) -> bytes:
        return self.line + self.head + self.body

    @property
    def is_problem(self) -> bool:
        return self.fields.get("content-type") == "application/problem+json"

    @property
    def json(self) -> Any:
        return json.loads(self.body)


class Wire:
    """One connection, and everything said on it."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer

    def send(self, data: bytes) -> None:
        self.writer.write(data)

    def end(self) -> None:
        """Say no more, and go on listening."""
        self.writer.write_eof()

    async def hear(self, method: str = "GET") -> Heard:
        """The next response; EOFError or ConnectionError when it is cut or there is none."""
        async with asyncio.timeout(PATIENCE_S):
            top = await self.reader.readuntil(b"\r\n\r\n")
            line, _, head = top.partition(b"\r\n")
            heard = Heard(int(line.split()[1]), line + b"\r\n", head, b"")
            heard.body = await self._body(method, heard)
            return heard

    async def _body(self, method: str, heard: Heard) -> bytes:
        fields = heard.fields
        if method == "HEAD" or heard.status in {204, 304} or heard.status < 200:
            return b""
        if fields.get("transfer-encoding") == "chunked":
            return await self._chunks()
        if "content-length" in fields:
            return await self.reader.readexactly(int(fields["content-length"]))
        return await self.reader.read()

    async def _chunks(self) -> bytes:
        body = b""
        while size := int(await self.reader.readuntil(b"\r\n"), 16):
            body += (await self.reader.readexactly(size + 2))[:-2]
        await self.reader.readexactly(2)
        return body

    async def ended(self) -> bool:
        """Whether the other side closes without another word."""
        try:
            async with asyncio.timeout(PATIENCE_S):
                return await self.reader.read() == b""
        except ConnectionError:
            return True

    async def close(self) -> None:
        self.writer.close()
        with suppress(OSError):  # an ssl.SSLError is one
            await self.writer.wait_closed()


@dataclass
class Proxy:
    """A running proxy, its log, and clients of it."""

    app: App
    clock: FakeClock
    directory: Path
    logged: list[bytes]
    source: "Source"
    wires: list[Wire] = field(default_factory=list)

    @property
    def host(self) -> str:
        return f"127.0.0.1:{self.app.port}"

    @property
    def log(self) -> bytes:
        """What was logged; complete once the proxy has stopped."""
        return b"".join(self.logged)

    @property
    def requests(self) -> list[dict[str, Any]]:
        """The log's lines about requests."""
        lines = [json.loads(line) for line in self.log.decode().splitlines()]
        return [line for line in lines if line["message"] == "request"]

    async def connect(self, port: int | None = None, client: int = 1) -> Wire:
        """A connection from the address 127.0.0.`client`."""
        reader, writer = await asyncio.open_connection(
            "127.0.0.1", port or self.app.port, local_addr=(f"127.0.0.{client}", 0)
        )
        self.wires.append(Wire(reader, writer))
        return self.wires[-1]

    async def say(self, data: bytes, method: str = "GET") -> Heard:
        """The answer to these bytes on a connection of their own."""
        wire = await self.connect()
        wire.send(data)
        return await wire.hear(method)

    async def ask(
        self,
        method: str,
        target: str,
        fields: Mapping[str, str] | None = None,
        body: bytes = b"",
        *,
        port: int | None = None,
    ) -> Heard:
        wire = await self.connect(port)
        wire.send(self.request(method, target, fields, body))
        heard = await wire.hear(method)
        await wire.close()
        return heard

    async def get(self, target: str, fields: Mapping[str, str] | None = None) -> Heard:
        return await self.ask("GET", target, fields)

    def request(
        self,
        method: str,
        target: str,
        fields: Mapping[str, str] | None = None,
        body: bytes = b"",
    ) -> bytes:
        every = {"Host": self.host, **(fields or {})}
        if body:
            every.setdefault("Content-Length", str(len(body)))
        lines = "".join(f"{name}: {value}\r\n" for name, value in every.items())
        return f"{method} {target} HTTP/1.1\r\n{lines}\r\n".encode("latin-1") + body

    async def reload(self, yaml: str) -> None:
        """Apply these `clients`, as SIGHUP does; the proxy was made with `reloads`."""
        assert self.app.reloader is not None
        self.source.config = replace(
            self.source.config, clients=load(yaml, "proxy.yaml", {}, str).clients
        )
        before = self.log.count(b"configuration reloaded")
        self.app.reloader.request()
        async with asyncio.timeout(PATIENCE_S):
            while self.log.count(b"configuration reloaded") == before:  # noqa: ASYNC110 — polled
                await asyncio.sleep(0.001)

    async def stop(self) -> None:
        for wire in self.wires:
            await wire.close()
        await self.app.stop()


@dataclass
class Source:
    """A configuration that a test replaces."""

    config: Config

    def load(self) -> Config:
        return self.config

    def secrets_changed(self) -> bool:
        return False


MakeProxy = Callable[..., Awaitable[Proxy]]


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
async def make_proxy(tmp_path: Path, clock: FakeClock) -> AsyncIterator[MakeProxy]:
    """Start proxies, by upstream URL and more of proxy.yaml; with a directory, they use it."""
    made: list[Proxy] = []

    async def make(
        upstream: str,
        yaml: str = "",
        storage: tuple[str, ...] = (),
        port: int = 0,
        directory: Path | None = None,
        host: str = "127.0.0.1",
        listen: str = "",
        *,
        reloads: bool = False,
    ) -> Proxy:
        backend: Backend = "sqlite" if directory else "memory"
        directory = directory or tmp_path / "unused"
        config = _config(f"listen: '{listen or f'{host}:{port}'}'\n{yaml}", upstream, storage)
        cache = replace(config.cache, backend=backend, directory=str(directory))
        config = replace(config, cache=cache, freshness=replace(config.freshness, watch_s="off"))
        logged: list[bytes] = []
        source = Source(config)
        app = App(
            config,
            CREDENTIAL,
            SystemPorts(
                clock=clock,
                write_log=logged.append,
                random=_Bytes(len(made)),
                source=source if reloads else None,
            ),
        )
        made.append(Proxy(app, clock, directory, logged, source))
        await app.start()
        return made[-1]

    yield make
    for proxy in made:
        await proxy.stop()


class _Bytes:
    """Different bytes at each call, the same in each run."""

    def __init__(self, proxies: int) -> None:
        self._calls = proxies * 16

    def __call__(self, size: int) -> bytes:
        self._calls += 1
        return bytes([self._calls]) * size


def _config(yaml: str, upstream: str, storage: tuple[str, ...]) -> Config:
    config = load(yaml, "proxy.yaml", {}, str)
    settings = replace(config.upstream, url=upstream, storage_hosts=storage)
    limits = replace(ENDLESS, memory_bytes=config.limits.memory_bytes)
    return replace(config, upstream=settings, limits=limits)


@pytest.fixture
async def standin(clock: FakeClock) -> AsyncIterator[FakeTrello]:
    made = FakeTrello(clock, key=KEY, token=TOKEN)
    fill(made.trello)
    await made.start()
    made.request_log.reset()
    yield made
    await made.stop()


@pytest.fixture
async def proxy(make_proxy: MakeProxy, standin: FakeTrello) -> Proxy:
    """A proxy in front of the stand-in."""
    return await make_proxy(standin.url, storage=(standin.storage_host,))


@pytest.fixture
async def raw_upstream() -> AsyncIterator[RawUpstream]:
    made = RawUpstream()
    await made.start()
    yield made
    await made.stop()


@pytest.fixture
async def storage() -> AsyncIterator[RawUpstream]:
    """A second one, to be redirected to."""
    made = RawUpstream()
    await made.start()
    yield made
    await made.stop()


@pytest.fixture
async def elsewhere() -> AsyncIterator[RawUpstream]:
    """A third, that nobody should ask anything."""
    made = RawUpstream()
    await made.start()
    yield made
    await made.stop()


Start = Callable[..., Awaitable[Proxy]]
"""By what the upstream says, more of proxy.yaml, and a directory to keep answers and files in."""


@pytest.fixture
def before(make_proxy: MakeProxy, raw_upstream: RawUpstream, storage: RawUpstream) -> Start:
    """A proxy before an upstream that says this; it may redirect to `storage`."""

    async def start(said: bytes | Speak, yaml: str = "", directory: Path | None = None) -> Proxy:
        raw_upstream.said = said
        hosts = (storage.host,)
        return await make_proxy(raw_upstream.url, yaml, storage=hosts, directory=directory)

    return start


def says(heard: Heard, status: int, slug: str) -> bool:
    return (
        heard.status == status
        and heard.is_problem
        and heard.json["type"] == f"urn:trello-proxy:{slug}"
        and heard.fields["proxy-status"].startswith("trello-proxy; error=")
    )
