"""An upstream that sends scripted bytes."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import closing
from dataclasses import dataclass
from typing import Literal

import pytest

from proxy.model import Fields
from proxy.upstream.transport import Transport, UpstreamRequest

DRIP_S = 0.05
"""Between two bytes of a slow response."""
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}"


@dataclass(frozen=True)
class Reply:
    """The bytes of a response, and what happens to the connection."""

    data: bytes
    then: Literal["keep", "close", "reset", "hang", "drip"] = "keep"


class Server:
    """Sends one scripted response for each request, and records the requests."""

    def __init__(self) -> None:
        self.script: list[Reply] = []
        self.requests: list[bytes] = []
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
        self.requests.append(head + await reader.readexactly(int(length or b"0")))
        reply = self.script.pop(0) if self.script else Reply(OK)
        if reply.then == "drip":
            for byte in reply.data:
                writer.write(bytes([byte]))
                await asyncio.sleep(DRIP_S)
        writer.write(reply.data)
        await writer.drain()
        match reply.then:
            case "keep":
                return True
            case "hang":
                await asyncio.Event().wait()
            case "reset":
                writer.transport.abort()
        return False


@dataclass
class Received:
    """A response, read to its end."""

    status: int
    fields: Fields
    body: bytes
    length: int | None = None
    length_known: bool = True
    coding: str = "identity"


Send = Callable[..., Awaitable[Received]]


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
    """With short timeouts, for servers that do not respond."""
    upstream = Transport(connect_timeout_s=0.2, read_timeout_s=0.2)
    yield upstream
    await upstream.close()


@pytest.fixture
def send(server: Server, upstream: Transport, hasty: Transport) -> Send:
    async def sent(
        method: str = "GET",
        target: str = "/1/x",
        fields: Fields = (),
        body: bytes | AsyncIterator[bytes] | None = None,
        origin: str = "",
    ) -> Received:
        silent = bool(server.script) and server.script[0].then == "hang"
        request = UpstreamRequest(method, (origin or server.url) + target, fields, body)
        with closing(await (hasty if silent else upstream).send(request)) as response:
            content = b""
            while chunk := await response.read_chunk():
                content += chunk
        return Received(
            response.status,
            response.fields,
            content,
            response.length,
            response.length_known,
            response.content_encoding,
        )

    return sent
