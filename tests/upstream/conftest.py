"""An upstream that says exactly what it is told to say, byte by byte."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from typing import Literal

import pytest

from proxy.model import Fields
from proxy.upstream.transport import Transport, UpstreamRequest

DRIP_S = 0.05
"""From one byte to the next, where they drip."""
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}"


@dataclass(frozen=True)
class Say:
    """Bytes of an answer, and what becomes of the connection."""

    data: bytes
    then: Literal["keep", "close", "reset", "hang", "drip"] = "keep"


class Server:
    """Says what it was told to say, one answer a request, and remembers the requests."""

    def __init__(self) -> None:
        self.says: list[Say] = []
        self.heard: list[bytes] = []
        self.connections = 0
        self.port = 0
        self._server: asyncio.Server | None = None
        self._tasks: set[asyncio.Task[None]] = set()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    async def start(self) -> None:
        self._server = await asyncio.start_server(self._serve, "0.0.0.0", 0)  # noqa: S104 — 127.0.0.2 too
        self.port = self._server.sockets[0].getsockname()[1]

    async def stop(self) -> None:
        if self._server is not None:
            self._server.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        self.connections += 1
        try:
            while await self._exchange(reader, writer):
                pass
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()
            self._tasks.discard(task)

    async def _exchange(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        head = await reader.readuntil(b"\r\n\r\n")
        length = head.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0]
        self.heard.append(head + await reader.readexactly(int(length or b"0")))
        say = self.says.pop(0) if self.says else Say(OK)
        if say.then == "drip":
            for byte in say.data:
                writer.write(bytes([byte]))
                await asyncio.sleep(DRIP_S)
        writer.write(say.data)
        await writer.drain()
        match say.then:
            case "keep":
                return True
            case "hang":
                await asyncio.Event().wait()
            case "reset":
                writer.transport.abort()
        return False


@dataclass
class Told:
    """A reply, read to its end."""

    status: int
    fields: Fields
    body: bytes
    length: int | None = None
    length_known: bool = True
    coding: str = "identity"


Ask = Callable[..., Awaitable[Told]]


@pytest.fixture
async def server() -> AsyncIterator[Server]:
    server = Server()
    await server.start()
    yield server
    await server.stop()


@pytest.fixture
async def upstream() -> AsyncIterator[Transport]:
    upstream = Transport(connect_timeout_s=60, read_timeout_s=60)
    yield upstream
    await upstream.close()


@pytest.fixture
async def hasty() -> AsyncIterator[Transport]:
    """For those who are not going to be answered."""
    upstream = Transport(connect_timeout_s=0.2, read_timeout_s=0.2)
    yield upstream
    await upstream.close()


@pytest.fixture
def ask(server: Server, upstream: Transport, hasty: Transport) -> Ask:
    async def asked(
        method: str = "GET",
        target: str = "/1/x",
        fields: Fields = (),
        body: bytes | AsyncIterator[bytes] | None = None,
        origin: str = "",
    ) -> Told:
        silent = bool(server.says) and server.says[0].then == "hang"
        request = UpstreamRequest(method, (origin or server.url) + target, fields, body)
        response = await (hasty if silent else upstream).send(request)
        try:
            content = b"".join([chunk async for chunk in response.chunks()])
        finally:
            response.close()
        return Told(
            response.status,
            response.fields,
            content,
            response.length,
            response.length_known,
            response.content_encoding,
        )

    return asked
