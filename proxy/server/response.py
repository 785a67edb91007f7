"""Response on the wire: one buffer for a whole body, chunks for one that is still being received.

aiohttp's own Response builds, checks and serialises a dictionary of fields; ours are bytes already.
If a body ends early the connection is reset: no short body looks complete.
"""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, replace
from http import HTTPStatus

from aiohttp import web
from aiohttp.abc import AbstractStreamWriter
from aiohttp.http import HttpVersion11

from proxy.attachments.body import AttachmentBody
from proxy.cache.lookup import StoredLookup
from proxy.cache.verification import Sampler
from proxy.errors import ProxyError
from proxy.http_semantics.cache_control import NONE
from proxy.http_semantics.conditional import Part, Slice, Validators, Whole, content_range, resolve
from proxy.model import StoredResponse
from proxy.server.connection_limits import WRITE_IDLE_S
from proxy.trello.message import ApiRequest, ApiResponse, BodyStream

SLICE_BYTES = 256 * 1024
"""Of a body in memory, written at once."""
_BODILESS = frozenset({204, 304})


async def send_file(transport: asyncio.Transport, body: AttachmentBody, idle_s: float) -> int:
    """Send a file by sendfile(2); the bytes sent. Iterating the body gives the rest.

    ConnectionError if the client disconnected, TimeoutError if it receives nothing for `idle_s`.
    """
    socket = transport.get_extra_info("socket")
    if socket is None or transport.get_extra_info("sslcontext") is not None:
        return 0
    if transport.get_write_buffer_size():
        return 0
    # A duplicate: asyncio lets no other code wait for the socket of a transport.
    duplicate, sent = socket.dup(), 0
    try:
        while not transport.is_closing():
            try:
                count = await body.send(duplicate.fileno())
            except BlockingIOError:
                await _wait_writable(duplicate.fileno(), idle_s)
                continue
            sent += count
            if count == 0 or body.is_sent:
                return sent
            await asyncio.sleep(0)  # one fast client must not occupy the event loop
        raise ConnectionResetError("the client disconnected")
    finally:
        duplicate.close()


async def _wait_writable(fd: int, idle_s: float) -> None:
    loop = asyncio.get_running_loop()
    event = asyncio.Event()
    loop.add_writer(fd, event.set)
    try:
        async with asyncio.timeout(idle_s):
            await event.wait()
    finally:
        loop.remove_writer(fd)


@dataclass(frozen=True, slots=True, kw_only=True)
class CachedHit:
    """A hit as the fast path repeats it: the stored response and its lifetime."""

    stored: StoredResponse
    """In the store: while it is valid, the hit may be repeated."""
    shown: StoredResponse
    """What the client gets of it: the same one, unless its scope leaves something out."""
    lifetime_s: float
    """The age in seconds up to which it may be repeated."""
    is_watched: bool
    """Whether `lifetime_s` holds only while its boards are watched."""
    verifier: Sampler | None = None
    """Takes samples of hits; None if this one may not be verified."""

    def until(self, expires_at: float) -> "CachedHit":
        """The same hit, repeated before `expires_at` only, in POSIX seconds."""
        lifetime_s = min(self.lifetime_s, expires_at - self.stored.requested_at)
        return replace(self, lifetime_s=lifetime_s)


def cached_hit(lookup: StoredLookup, request: ApiRequest, served: ApiResponse) -> CachedHit | None:
    """The hit that this response is; None if it may not be repeated."""
    stored = served.stored
    if stored is None or served.outcome.result != "hit" or request.directives != NONE:
        return None
    lifetime_s = lookup.lifetimes(request, stored).lifetime_s
    if lifetime_s <= 0:
        return None
    return CachedHit(
        stored=served.whole or stored,
        shown=stored,
        lifetime_s=lifetime_s,
        is_watched=lifetime_s > request.match.route.lifetimes.lifetime_s,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class CachedFile:
    """A stored file as the fast path repeats it, while the client may read it."""

    length: int
    validators: Validators
    if_range: str
    """The request's own If-Range field value."""
    read: Callable[[int, int], bytearray | None]
    """The bytes from one position up to another, without waiting; None if that is not possible."""
    open: Callable[[], AttachmentBody | None]
    """The whole file, without waiting; None if that is not possible."""

    def part(self, range_: str) -> Part:
        """The part in a Range field value."""
        return resolve(range_, self.if_range, self.validators, self.length)


class WireResponse(web.StreamResponse):
    """Response of which the fields are lines of bytes."""

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
        """Fields that are not repeated by the fast path."""
        self.content = body
        self.content_length_bytes = len(body) if isinstance(body, bytes) else length
        self.closes = False
        """Whether the connection is closed after it, even if the request has keep-alive."""
        self.hit: CachedHit | None = None
        """For the fast path; None unless the response is an ordinary hit."""
        self.file: CachedFile | None = None
        """The file that it sends, if `hit` is the metadata by which the client may read it."""
        self.on_sent: Callable[[int], None] = _no_callback
        """Called when the response has ended, with the number of body bytes sent."""

    def status_line(self) -> bytes:
        """The status line and the field that frames the body."""
        line = b"HTTP/1.1 %d %b\r\n" % (self.status, _reason(self.status))
        if self.status in _BODILESS:
            return line
        if self.content_length_bytes is None:
            return line + b"Transfer-Encoding: chunked\r\n" if self._chunked_frames else line
        return line + b"Content-Length: %d\r\n" % self.content_length_bytes

    async def prepare(self, request: web.BaseRequest) -> AbstractStreamWriter | None:
        """Send the header, and the first slice of a body in memory."""
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
            if not isinstance(self.content, bytes):
                await self.content.aclose()
            self.on_sent(0)
            if not isinstance(error, ConnectionError):
                raise
            self._abort()
            raise ConnectionResetError("the client disconnected") from None
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
            raise ConnectionResetError("the body ended early") from None
        finally:
            self.content = b""  # freed now: request and response are a reference cycle
            self.on_sent(sent)

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
            raise ConnectionResetError("the body does not have its announced length")
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
            raise ConnectionResetError("the client disconnected")
        transport.write(data)
        await request.writer.drain()  # bounded: Connection aborts at WRITE_IDLE_S
        if transport.is_closing():
            raise ConnectionResetError("the client disconnected")

    def _abort(self) -> None:
        transport = self._req.transport if self._req is not None else None
        if transport is not None:
            transport.abort()


def file_response(
    head: bytes, body: AttachmentBody, part: Whole | Slice, length: int | None
) -> WireResponse:
    """The response with this part of an open file of `length` bytes, which it owns."""
    status, ranged = 200, b""
    if isinstance(part, Slice):
        status, ranged = 206, range_line(part, length or 0)
        body.set_range(part.start, part.end)
        length = part.end - part.start
    response = WireResponse(status, head, body, length)
    response.dynamic_headers = ranged
    return response


def range_line(part: Slice, length: int) -> bytes:
    """The Content-Range field line of a 206."""
    return f"Content-Range: {content_range(part, length)}\r\n".encode()


def _frame(chunk: bytes | bytearray) -> bytes:
    return b"%x\r\n%b\r\n" % (len(chunk), bytes(chunk))


def _reason(status: int) -> bytes:
    try:
        return HTTPStatus(status).phrase.encode()
    except ValueError:
        return b"Unknown"


def _no_callback(_: int) -> None:
    return None
