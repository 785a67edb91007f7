"""An answer on the wire: one buffer for what is whole, chunks for what is still arriving.

aiohttp's own Response builds, checks and serialises a dictionary of fields; ours come as bytes and
leave as bytes. A body that breaks off breaks the connection: nothing short looks complete.
"""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from http import HTTPStatus

from aiohttp import web
from aiohttp.abc import AbstractStreamWriter
from aiohttp.http import HttpVersion11

from proxy.attachments.body import AttachmentBody
from proxy.cache.verification import HitVerifier
from proxy.errors import ProxyError
from proxy.model import StoredResponse
from proxy.server.connection_limits import WRITE_IDLE_S
from proxy.trello.message import BodyStream


async def send_file(transport: asyncio.Transport, body: AttachmentBody, idle_s: float) -> int:
    """How many bytes went; what is left comes by iterating the body.

    ConnectionError when the client has left, TimeoutError when it takes nothing for `idle_s`.
    """
    own = transport.get_extra_info("socket")
    if own is None or transport.get_extra_info("sslcontext") is not None:
        return 0
    if transport.get_write_buffer_size():
        return 0
    to, sent = own.dup(), 0
    try:
        while not transport.is_closing():
            try:
                count = await body.send(to.fileno())
            except BlockingIOError:
                await _writable(to.fileno(), idle_s)
                continue
            if count == 0:
                return sent
            sent += count
            await asyncio.sleep(0)  # or one fast reader has the loop to itself
        raise ConnectionResetError("the client has left")
    finally:
        to.close()


async def _writable(fd: int, idle_s: float) -> None:
    loop = asyncio.get_running_loop()
    event = asyncio.Event()
    loop.add_writer(fd, event.set)
    try:
        async with asyncio.timeout(idle_s):
            await event.wait()
    finally:
        loop.remove_writer(fd)


SLICE_BYTES = 256 * 1024
_BODILESS = frozenset({204, 304})


@dataclass(frozen=True, slots=True)
class CachedHit:
    """What a hit was made of, so that the fast path can repeat it."""

    stored: StoredResponse
    lifetime_s: float
    """The age in seconds up to which it may be repeated."""
    is_watched: bool
    """Whether `lifetime_s` holds only while its boards are watched."""
    verifier: HitVerifier | None
    """Takes a sample of such hits; None where this one may not be verified."""


class WireResponse(web.StreamResponse):
    """Status, fields as lines, and a body."""

    def __init__(
        self,
        status: int,
        head: bytes,
        body: bytes | BodyStream = b"",
        length: int | None = None,
    ) -> None:
        super().__init__(status=status)
        self.head = head
        self.dynamic_headers = b""
        """Fields that differ from one sending to the next."""
        self.content = body
        self.content_length_bytes = len(body) if isinstance(body, bytes) else length
        self.closes = False
        """Whether the connection ends with it, whatever its request says."""
        self.hit: CachedHit | None = None
        """What a hit was made of; None for any other response."""
        self.on_sent: Callable[[int], None] = _no_callback
        """Called when the response has ended, with the number of body bytes that were sent."""

    def status_line(self) -> bytes:
        """The status line and the field that frames the body."""
        line = b"HTTP/1.1 %d %b\r\n" % (self.status, _reason(self.status))
        if self.status in _BODILESS:
            return line
        if self.content_length_bytes is None:
            return line + b"Transfer-Encoding: chunked\r\n" if self._chunked_frames else line
        return line + b"Content-Length: %d\r\n" % self.content_length_bytes

    async def prepare(self, request: web.BaseRequest) -> AbstractStreamWriter | None:
        """Send the header, and the beginning of a body that is there."""
        modern = request.version >= HttpVersion11
        self._keep_alive = request.keep_alive and modern and not self.closes
        self._req = request
        self._is_bodiless = request.method == "HEAD" or self.status in _BODILESS
        self._chunked_frames = self.content_length_bytes is None and modern
        close = b"" if self._keep_alive else b"Connection: close\r\n"
        head = b"".join((self.status_line(), self.head, self.dynamic_headers, close, b"\r\n"))
        try:
            await self._write(head + self._first_slice())
        except BaseException as error:
            await self._discard_body()
            self.on_sent(0)
            if not isinstance(error, ConnectionError):
                raise
            self._abort()
            raise ConnectionResetError("the client has left") from None
        return None

    async def write_eof(self, data: bytes = b"") -> None:  # noqa: ARG002 — aiohttp's
        """Send the rest of the body."""
        sent = 0
        try:
            if isinstance(self.content, bytes):
                sent = await self._send_remaining(self.content)
            elif self._is_bodiless:
                await self.content.aclose()
            else:
                sent = await self._stream(self.content)
        except (ProxyError, TimeoutError, ConnectionError):
            self._abort()
            raise ConnectionResetError("the body broke off") from None
        finally:
            self.content = b""  # a request and its answer hold each other until the collector comes
            self.on_sent(sent)

    async def _discard_body(self) -> None:
        """Nobody will read the body."""
        if not isinstance(self.content, bytes):
            await self.content.aclose()

    def _first_slice(self) -> bytes:
        if self._is_bodiless or not isinstance(self.content, bytes):
            return b""
        return self.content[:SLICE_BYTES]

    async def _send_remaining(self, body: bytes) -> int:
        if self._is_bodiless:
            return 0
        for at in range(SLICE_BYTES, len(body), SLICE_BYTES):
            await self._write(body[at : at + SLICE_BYTES])
        return len(body)

    async def _stream(self, source: BodyStream) -> int:
        sent = 0
        try:
            sent = await self._sendfile(source)
            async for chunk in source:
                if chunk:
                    sent += len(chunk)
                    await self._write(_frame(chunk) if self._chunked_frames else chunk)
        finally:
            await source.aclose()
        if self.content_length_bytes is not None and sent != self.content_length_bytes:
            raise ConnectionResetError("the body is not as long as announced")
        if self._chunked_frames:
            await self._write(b"0\r\n\r\n")
        return sent

    async def _sendfile(self, source: BodyStream) -> int:
        transport = self._req.transport if self._req is not None else None
        if transport is None or self._chunked_frames or not isinstance(source, AttachmentBody):
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


def _no_callback(_: int) -> None:
    return None
