"""aiohttp's client connection, with bounds: on its number, its waiting and its buffers.

Counted in `limits.memory` are an incomplete header, what is received ahead of being read, and what
is written and not taken. aiohttp buffers all of these, and says nothing of it.
"""

import asyncio

from aiohttp import StreamReader, web

from proxy.http_semantics.target import MAX_TARGET_BYTES
from proxy.server.connection_limits import ConnectionLimits, Reason
from proxy.server.parse_errors import MAX_FIELD_BYTES, MAX_FIELDS

HEADER_TIMEOUT_S = 20.0
"""From a header's first byte to its last."""
KEEPALIVE_S = 75.0
"""An idle connection is closed after this."""
WRITE_IDLE_S = 60.0
"""A client that takes nothing for so long is gone, or holds a connection."""
MAX_PARTIAL_BYTES = 64 * 1024
"""A header that is not complete after so many bytes ends the connection."""
RECEIVE_BYTES = 16 * 1024
"""Received at once."""
UNREAD_BYTES = 8 * 1024
"""Of a request body: twice as much is received ahead, and then no more until it is read."""


class BoundedConnection(web.RequestHandler):
    """One client connection; admitted by `Connections`, or told there that there is no room."""

    __slots__ = (
        "_connections",
        "_header_deadline",
        "_last_body",
        "_partial_bytes",
        "_peer",
        "_socket",
        "_unread_bytes",
        "_unsent_bytes",
        "_write_deadline",
    )

    def __init__(self, server: web.Server, connections: ConnectionLimits) -> None:
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
        self._connections = connections
        self._peer = ""
        self._socket: asyncio.Transport | None = None
        """Until the connection is lost; aiohttp's `transport` is None from when it is to end."""
        self._last_body: StreamReader | None = None
        """Of the request that came last."""
        self._partial_bytes = self._unread_bytes = self._unsent_bytes = 0
        self._header_deadline: asyncio.TimerHandle | None = None
        self._write_deadline: asyncio.TimerHandle | None = None

    @property
    def is_idle(self) -> bool:
        """Whether it waits for a request, and all that was sent is taken."""
        return self._awaits_request() and not self._paused

    @property
    def last_used_at(self) -> float:
        """When it was made, or last answered, on the loop's clock."""
        return self._next_keepalive_close_time

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        if not isinstance(transport, asyncio.Transport):
            raise TypeError("not a stream")
        peer = transport.get_extra_info("peername")
        self._peer = str(peer[0]) if isinstance(peer, tuple) else ""
        if not self._connections.admit(self, self._peer):
            self._connections.refuse(transport)
            return
        self._socket = transport
        transport.set_write_buffer_limits(high=0)  # whatever is not sent at once is counted
        transport.max_size = RECEIVE_BYTES  # type: ignore[attr-defined]  # asyncio's
        super().connection_made(transport)

    def connection_lost(self, exc: BaseException | None) -> None:
        self._connections.leave(self, self._peer)
        self._connections.memory.buffer(self, 0)
        self._stop_header_clock()
        self._stop_write_clock()
        self._socket = None
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        awaited, in_body = self._awaits_request(), not self._is_body_complete()
        queued = len(self._messages)
        super().data_received(data)
        arrived = len(self._messages) > queued
        if arrived:
            self._last_body = self._messages[-1][1]
            self._stop_header_clock()
        elif awaited:
            self._start_header_clock()
        self._count_partial(0 if arrived or in_body else self._partial_bytes + len(data))
        if len(self._messages) > 1 and not self._buffer_paused:
            self._pause_reading_for_buffer()  # until one of those that wait is begun

    def pause_writing(self) -> None:
        """The client does not take all that was sent to it."""
        super().pause_writing()
        self._await_taking()

    def resume_writing(self) -> None:
        """It has taken all of it."""
        super().resume_writing()
        self._stop_write_clock()
        self._unsent_bytes = 0
        self._count_buffers()

    @property
    def _is_header_too_long(self) -> bool:
        return self._partial_bytes > MAX_PARTIAL_BYTES

    def abort(self) -> None:
        """End it: `limits.memory` is used up, and this has a part of it the longest."""
        self._end("memory")

    def _pause_transport_reading(self) -> None:
        """More has come than is wanted yet, of a body or of further requests."""
        self._unread_bytes = RECEIVE_BYTES + 2 * UNREAD_BYTES
        self._count_buffers()
        super()._pause_transport_reading()

    def _resume_transport_reading(self) -> None:
        self._unread_bytes = 0
        self._count_buffers()
        super()._resume_transport_reading()

    def _awaits_request(self) -> bool:
        """Whether the next request is waited for, and none is being answered."""
        return self._waiter is not None and not self._waiter.done()

    def _is_body_complete(self) -> bool:
        """Whether the body of the request that came last is here, or there was none."""
        return self._last_body is None or self._last_body.is_eof()

    def _count_partial(self, partial_bytes: int) -> None:
        """So many bytes of a header are here whose end is not."""
        if partial_bytes == self._partial_bytes or self._is_header_too_long:
            return
        self._partial_bytes = partial_bytes
        self._count_buffers()
        if self._is_header_too_long:
            self._connections.closed["header"] += 1
            super().data_received(b"\0")  # nowhere allowed in a header: it is answered as an error

    def _count_buffers(self) -> None:
        buffered_bytes = self._partial_bytes + self._unread_bytes + self._unsent_bytes
        self._connections.memory.buffer(self, buffered_bytes)

    def _await_taking(self) -> None:
        """Abort unless the client takes something of what is written, again and again."""
        if self._socket is None:
            return
        before, self._unsent_bytes = self._unsent_bytes, self._socket.get_write_buffer_size()
        self._count_buffers()
        if self._write_deadline is not None and self._unsent_bytes >= before:
            self._end("slow")
        else:
            self._write_deadline = self._loop.call_later(WRITE_IDLE_S, self._await_taking)

    def _end(self, reason: Reason) -> None:
        """Abort; what the client has not taken is lost, and it can tell."""
        if self._socket is not None:
            self._connections.closed[reason] += 1
            self._socket.abort()

    def _give_up_header(self) -> None:
        self._connections.closed["header"] += 1
        self.force_close()

    def _start_header_clock(self) -> None:
        if self._header_deadline is None:
            self._header_deadline = self._loop.call_later(HEADER_TIMEOUT_S, self._give_up_header)

    def _stop_header_clock(self) -> None:
        if self._header_deadline is not None:
            self._header_deadline.cancel()
            self._header_deadline = None

    def _stop_write_clock(self) -> None:
        if self._write_deadline is not None:
            self._write_deadline.cancel()
            self._write_deadline = None
