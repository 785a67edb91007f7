"""An answer on the wire: one buffer for what is whole, chunks for what is still arriving.

aiohttp's own Response builds, checks and serialises a dictionary of fields; ours come as bytes and
leave as bytes. A body that breaks off breaks the connection: nothing short looks complete.
"""

from collections.abc import Callable
from http import HTTPStatus

from aiohttp import web
from aiohttp.abc import AbstractStreamWriter
from aiohttp.http import HttpVersion11

from proxy.edge.bounded_connection import WRITE_IDLE_S
from proxy.edge.sendfile import send_file
from proxy.errors import ProxyError
from proxy.flow.ask import Chunks
from proxy.flow.file_body import FileBody
from proxy.flow.proof import Proof
from proxy.model import StoredResponse

SLICE_BYTES = 256 * 1024
_BODILESS = frozenset({204, 304})


class Rendered(web.StreamResponse):
    """Status, fields as lines, and a body."""

    def __init__(
        self,
        status: int,
        head: bytes,
        body: bytes | Chunks = b"",
        length: int | None = None,
    ) -> None:
        super().__init__(status=status)
        self.head = head
        self.told = b""
        """Fields that differ from one sending to the next."""
        self.payload = body
        self.payload_length = len(body) if isinstance(body, bytes) else length
        self.repeatable: tuple[StoredResponse, float, bool] | None = None
        """What a hit was made of, up to which age (seconds) it may be made again, and whether only
        while its boards are watched."""
        self.proof: Proof | None = None
        """Who asks that hit again now and then; None where that may not be."""
        self.sent: Callable[[int], None] = _ignore
        """Told at the end how many bytes of the body left."""

    def start(self) -> bytes:
        """The status line and the field that frames the body."""
        line = b"HTTP/1.1 %d %b\r\n" % (self.status, _reason(self.status))
        if self.status in _BODILESS:
            return line
        if self.payload_length is None:
            return line + b"Transfer-Encoding: chunked\r\n" if self._chunked_frames else line
        return line + b"Content-Length: %d\r\n" % self.payload_length

    async def prepare(self, request: web.BaseRequest) -> AbstractStreamWriter | None:
        """Send the header, and the beginning of a body that is there."""
        modern = request.version >= HttpVersion11
        self._keep_alive = request.keep_alive and modern
        self._req = request
        self._is_bodiless = request.method == "HEAD" or self.status in _BODILESS
        self._chunked_frames = self.payload_length is None and modern
        close = b"" if self._keep_alive else b"Connection: close\r\n"
        head = b"".join((self.start(), self.head, self.told, close, b"\r\n"))
        try:
            await self._write(head + self._first())
        except BaseException as error:
            await self._drop()
            self.sent(0)
            if not isinstance(error, ConnectionError):
                raise
            self._abort()
            raise ConnectionResetError("the client has left") from None
        return None

    async def write_eof(self, data: bytes = b"") -> None:  # noqa: ARG002 — aiohttp's
        """Send the rest of the body."""
        sent = 0
        try:
            if isinstance(self.payload, bytes):
                sent = await self._rest(self.payload)
            elif self._is_bodiless:
                await self.payload.aclose()
            else:
                sent = await self._stream(self.payload)
        except (ProxyError, TimeoutError, ConnectionError):
            self._abort()
            raise ConnectionResetError("the body broke off") from None
        finally:
            self.payload = b""  # a request and its answer hold each other until the collector comes
            self.sent(sent)

    async def _drop(self) -> None:
        """Nobody will read the body."""
        if not isinstance(self.payload, bytes):
            await self.payload.aclose()

    def _first(self) -> bytes:
        if self._is_bodiless or not isinstance(self.payload, bytes):
            return b""
        return self.payload[:SLICE_BYTES]

    async def _rest(self, body: bytes) -> int:
        if self._is_bodiless:
            return 0
        for at in range(SLICE_BYTES, len(body), SLICE_BYTES):
            await self._write(body[at : at + SLICE_BYTES])
        return len(body)

    async def _stream(self, source: Chunks) -> int:
        sent = 0
        try:
            sent = await self._by_kernel(source)
            async for chunk in source:
                if chunk:
                    sent += len(chunk)
                    await self._write(_frame(chunk) if self._chunked_frames else chunk)
        finally:
            await source.aclose()
        if self.payload_length is not None and sent != self.payload_length:
            raise ConnectionResetError("the body is not as long as announced")
        if self._chunked_frames:
            await self._write(b"0\r\n\r\n")
        return sent

    async def _by_kernel(self, source: Chunks) -> int:
        transport = self._req.transport if self._req is not None else None
        if transport is None or self._chunked_frames or not isinstance(source, FileBody):
            return 0
        return await send_file(transport, source, WRITE_IDLE_S)

    async def _write(self, data: bytes | bytearray) -> None:
        request = self._req
        transport = request.transport if request is not None else None
        if request is None or transport is None or transport.is_closing():
            raise ConnectionResetError("the client has left")
        transport.write(data)
        await request.writer.drain()  # the connection ends a client that takes nothing
        if transport.is_closing():
            raise ConnectionResetError("the client has left")

    def _abort(self) -> None:
        transport = self._req.transport if self._req is not None else None
        if transport is not None:
            transport.abort()


def _frame(chunk: bytes | bytearray) -> bytes:
    return b"%x\r\n%b\r\n" % (len(chunk), bytes(chunk))


def _reason(status: int) -> bytes:
    try:
        return HTTPStatus(status).phrase.encode()
    except ValueError:
        return b"Unknown"


def _ignore(_: int) -> None:
    return None
