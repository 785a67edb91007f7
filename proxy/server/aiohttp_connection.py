"""aiohttp connection: what our connections need of aiohttp's protocol class (D12)."""

import asyncio
from socket import socket

from aiohttp import StreamReader, web

from proxy.http_semantics.target import MAX_TARGET_BYTES
from proxy.server.parse_errors import MAX_FIELD_BYTES, MAX_FIELDS

KEEPALIVE_S = 75.0
"""An idle connection is closed after this."""
UNREAD_BYTES = 8 * 1024
"""Of a request body: reading pauses when twice as much has been received and not read."""
HEADER_END = b"\r\n\r\n"

UNCOPIED_BYTES = 8 * 1024
"""A body from this length on is sent without joining it to its header: below, that is faster."""

ResponseParts = tuple[bytes, bytes | bytearray]
"""A whole response: header and body."""


class AiohttpConnection(web.RequestHandler):
    """Adapter to aiohttp: the only class that touches its undocumented attributes.

    They are those of the pinned aiohttp 3.14, and the socket of asyncio's transport (D12).
    """

    __slots__ = (
        "_header",
        "_last_body",
        "_last_message",
        "_plain_socket",
        "client",
        "is_after_hit",
        "lost_input",
        "peer",
    )

    def __init__(self, server: web.Server) -> None:
        super().__init__(
            server,
            loop=asyncio.get_running_loop(),
            keepalive_timeout=KEEPALIVE_S,
            access_log=None,  # type: ignore[arg-type]  # None switches it off
            auto_decompress=False,
            max_line_size=MAX_TARGET_BYTES,
            max_headers=MAX_FIELDS,
            max_field_size=MAX_FIELD_BYTES,
            lingering_time=5.0,
            read_bufsize=UNREAD_BYTES,
        )
        self.peer = self.client = ""
        self._last_body: StreamReader | None = None
        """Of the request that was received last."""
        self._last_message: object = None
        self._header = b""
        """Of the request that was received last, if it came alone and whole."""
        self._plain_socket: socket | None = None
        """Of a connection without TLS: writing to it costs less than to the transport."""
        self.lost_input = False
        """Whether bytes behind a request to upgrade were lost: its response ends the connection."""
        self.is_after_hit = False
        """Whether the last request was answered before parsing, and nothing happened since: aiohttp
        waits for a request, and the client has received all that was written."""

    @property
    def peername(self) -> str:
        """The client's address, which is the `remote` of its requests."""
        return self.peer

    @property
    def awaits_request(self) -> bool:
        """Whether it waits for the next request and serves none."""
        return self._waiter is not None and not self._waiter.done()

    @property
    def is_idle(self) -> bool:
        """Whether it waits for a request, and the client has received all that was written."""
        return self.awaits_request and not self._paused

    @property
    def last_used_at(self) -> float:
        """When it was opened, or last served a request; on the loop's clock, plus a constant."""
        return self._next_keepalive_close_time

    @property
    def is_body_complete(self) -> bool:
        """Whether the body of the request received last has arrived, or there was none."""
        return self._last_body is None or self._last_body.is_eof()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        self._plain_socket = getattr(transport, "_sock", None)

    def respond_before_parsing(self, response: ResponseParts) -> None:
        """Write a response to bytes that aiohttp is not given, and restart its idle timeout.

        Nothing waits to be sent before it.
        """
        self.is_after_hit = True  # before writing, which may pause
        header, body = response
        sent = 0
        if self._plain_socket is not None:
            try:
                if len(body) < UNCOPIED_BYTES:
                    sent = self._plain_socket.send(header + body)
                else:
                    sent = self._plain_socket.sendmsg(response)
            except OSError:
                pass  # full, or lost: the transport finds out again
        if sent < len(header) + len(body) and self.transport is not None:
            self.transport.write((header + body)[sent:])
        self._next_keepalive_close_time = self._loop.time() + self._keepalive_timeout

    def can_write(self) -> bool:
        """Whether the connection is open and its write buffer is empty."""
        return self.transport is not None and not self.transport.is_closing() and not self._paused

    def close(self) -> None:
        self.is_after_hit = False
        super().close()

    def force_close(self) -> None:
        self.is_after_hit = False
        super().force_close()

    def pause_writing(self) -> None:
        self.is_after_hit = False
        super().pause_writing()

    def feed(self, data: bytes) -> int:
        """Pass bytes to aiohttp's parser; the number of request headers that they completed.

        The parser drops what follows a request to upgrade to a protocol that it does not know.
        Reading pauses while more than one request waits to be served.
        """
        self.is_after_hit = False
        waiting = len(self._messages)
        super().data_received(data)
        completed = len(self._messages) - waiting
        if completed > 0:
            message, self._last_body = self._messages[-1]
            is_last = data.endswith(HEADER_END) and data.count(HEADER_END) == completed
            is_last = is_last and self._last_body.is_eof()
            upgrades = getattr(message, "upgrade", False) and not self._upgraded
            self.lost_input = self.lost_input or (upgrades and not is_last)
        if len(self._messages) > 1 and not self._buffer_paused:
            self._pause_reading_for_buffer()
        return completed

    def note_header(self, header: bytes) -> None:
        """Note the header of the request that was received last; empty if it is of no use."""
        self._header = header
        self._last_message = self._messages[-1][0] if header else None

    def header_of(self, request: web.BaseRequest) -> bytes:
        """The request's header as it was noted; empty if another was received since."""
        return self._header if request._message is self._last_message else b""

    def have_complete_bodies(self, count: int) -> bool:
        """Whether the last `count` requests are whole, and the connection still speaks HTTP."""
        return not self._upgraded and all(
            body.is_eof() for _, body in list(self._messages)[-count:]
        )

    def fail_parsing(self) -> None:
        """Make aiohttp reject the header that is being received as malformed."""
        super().data_received(b"\0")  # allowed nowhere in a header

    def on_reading_paused(self) -> None:
        """Called when more has been received than read, of a body or of further requests."""

    def on_reading_resumed(self) -> None:
        """Called when all that was received has been read."""

    def _pause_transport_reading(self) -> None:
        self.on_reading_paused()
        super()._pause_transport_reading()

    def _resume_transport_reading(self) -> None:
        self.on_reading_resumed()
        super()._resume_transport_reading()
