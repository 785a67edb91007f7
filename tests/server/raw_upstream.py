"""A server of bytes, in Trello's place or in its storage's."""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress

PATIENCE_S = 20.0
"""Longer than any response takes; a test that waits longer has failed."""


Speak = Callable[[asyncio.StreamReader, asyncio.StreamWriter, bytes], Awaitable[None]]


class RawUpstream:
    """A server of bytes: it sends `said` for every request."""

    def __init__(self) -> None:
        self.asked: list[bytes] = []
        """The header of each request."""
        self.said: bytes | Speak = b""
        self.port = 0
        self._news = asyncio.Event()
        self._server: asyncio.Server | None = None
        self._writers: set[asyncio.StreamWriter] = set()

    @property
    def host(self) -> str:
        return f"127.0.0.1:{self.port}"

    @property
    def url(self) -> str:
        return f"http://{self.host}"

    async def start(self) -> None:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]

    async def stop(self) -> None:
        if self._server is not None:
            self._server.close()
        for writer in self._writers:
            writer.transport.abort()

    async def until_asked(self, times: int) -> None:
        async with asyncio.timeout(PATIENCE_S):
            while len(self.asked) < times:
                self._news.clear()
                await self._news.wait()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._writers.add(writer)
        with suppress(ConnectionError, asyncio.IncompleteReadError):
            header = await reader.readuntil(b"\r\n\r\n")
            self.asked.append(header)
            self._news.set()
            if isinstance(self.said, bytes):
                writer.write(self.said)
            else:
                await self.said(reader, writer, header)
            await writer.drain()
        writer.close()
        self._writers.discard(writer)


READ = "/1/boards/5e93ba403f1ab3603ba81a09?fields=name"
BODY = b'{"id":"5e93ba403f1ab3603ba81a09","name":"A board"}'
FILE = "/1/cards/5e9310df53f23017628a8011/attachments/5e94756a8ed68535838d852d/download/a.png"
OK = b"HTTP/1.1 200 OK\r\n"
JSON = b"Content-Type: application/json; charset=utf-8\r\n"


def answer(body: bytes = BODY, head: bytes = JSON, status: bytes = OK) -> bytes:
    return status + head + b"Content-Length: %d\r\n\r\n" % len(body) + body


def chunked(*chunks: bytes, head: bytes = JSON) -> bytes:
    framed = b"".join(b"%x\r\n%b\r\n" % (len(chunk), chunk) for chunk in chunks)
    return OK + head + b"Transfer-Encoding: chunked\r\n\r\n" + framed + b"0\r\n\r\n"


def file(number: int) -> str:
    """The path of another file, of the same name: what is kept of one is not given for another."""
    return FILE.replace("852d/", f"{number:04x}/")


def attached(said: bytes | Speak, length: str = "null") -> Speak:
    """Trello with attachments: metadata of a file for requests about one, `said` for others.

    `length`: the file's bytes, as JSON.
    """

    async def speak(
        reader: asyncio.StreamReader, writer: asyncio.StreamWriter, header: bytes
    ) -> None:
        path = header.split(b" ")[1]
        if b"/attachments/" in path and b"/download" not in path:
            named = (path.rpartition(b"/")[2], length.encode())
            writer.write(answer(_METADATA % named))
        elif isinstance(said, bytes):
            writer.write(said)
        else:
            await said(reader, writer, header)

    return speak


_METADATA = b'{"id":"%b","isUpload":true,"fileName":"a.png","bytes":%b,"mimeType":""}'


async def hang(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, header: bytes) -> None:
    with suppress(ConnectionError):
        await reader.read()
