"""An HTTP proxy that tunnels (CONNECT), and servers that end TLS before plain ones."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

from tests.authority import Pair


async def _pipe(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with suppress(ConnectionError):
        while data := await reader.read(65536):
            writer.write(data)
            await writer.drain()
    writer.close()


async def _join(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, port: int) -> None:
    """Both directions, until one of them ends."""
    far_reader, far_writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        await asyncio.gather(_pipe(reader, far_writer), _pipe(far_reader, writer))
    finally:
        far_writer.transport.abort()


@asynccontextmanager
async def tls_before(port: int, pair: Pair) -> AsyncIterator[int]:
    """The port of a server with this certificate before the one at `port`."""
    tasks = set[asyncio.Task[None]]()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        _remember(tasks)
        try:
            await _join(reader, writer, port)
        finally:
            writer.transport.abort()

    server = await asyncio.start_server(serve, "127.0.0.1", 0, ssl=pair.server_context())
    yield int(server.sockets[0].getsockname()[1])
    await _end(server, tasks)


class ConnectProxy:
    """Knows hosts that no resolver knows, and may want a credential."""

    def __init__(self, ports: dict[str, int], authorization: str = "") -> None:
        """`ports`: of this machine, by `host:port`."""
        self.ports = ports
        self.reply: bytes | None = None
        """Instead of a tunnel; empty: none, and silence."""
        self.headers: list[bytes] = []
        self._authorization = authorization
        self._tasks = set[asyncio.Task[None]]()
        self._server: asyncio.Server | None = None

    @property
    def targets(self) -> list[str]:
        return [header.split()[1].decode() for header in self.headers]

    @property
    def port(self) -> int:
        assert self._server is not None
        return int(self._server.sockets[0].getsockname()[1])

    async def start(self) -> None:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)

    async def stop(self) -> None:
        assert self._server is not None
        await _end(self._server, self._tasks)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        _remember(self._tasks)
        try:
            await self._respond(reader, writer)
            writer.close()
        except asyncio.CancelledError:
            writer.transport.abort()

    async def _respond(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        header = await reader.readuntil(b"\r\n\r\n")
        self.headers.append(header)
        wanted = f"\r\nProxy-Authorization: {self._authorization}\r\n".encode()
        method, target = header.decode().split()[:2]
        port = self.ports.get(target) if method == "CONNECT" else None
        if self.reply is not None:
            writer.write(self.reply)
            if not self.reply:
                await asyncio.Event().wait()
        elif self._authorization and wanted not in header:
            writer.write(b"HTTP/1.1 407 Who are you\r\nContent-Length: 0\r\n\r\n")
        elif port is None:
            writer.write(b"HTTP/1.1 502 Bad Gateway\r\nContent-Length: 0\r\n\r\n")
        else:
            writer.write(b"HTTP/1.1 200 Connection established\r\n\r\n")
            await _join(reader, writer, port)


def _remember(tasks: set[asyncio.Task[None]]) -> None:
    task = asyncio.current_task()
    assert task is not None
    tasks.add(task)


async def _end(server: asyncio.Server, tasks: set[asyncio.Task[None]]) -> None:
    server.close()
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    await asyncio.sleep(0)  # what was aborted is closed then
