"""Client connection: aiohttp's, with bounds on its waits and buffers, and the fast path before it.

Bounds: the time for a header, for the client to receive a response, and between requests. Counted
in `limits.memory`: an incomplete header, what is received and not yet read, and what is written and
not yet sent. aiohttp buffers all three and reports none.

The fast path needs bytes that are one whole header. The connection is *at a message boundary*
when aiohttp has consumed every byte so far as complete requests and waits for the next one.
What arrives at any other time goes to aiohttp alone.
"""

import asyncio
from collections.abc import Callable

from aiohttp import web

from proxy.access.authentication import name_in_certificate
from proxy.errors import HeaderFieldsTooLarge
from proxy.server.aiohttp_connection import HEADER_END, UNREAD_BYTES, AiohttpConnection
from proxy.server.connection_limits import WRITE_IDLE_S, ConnectionLimits, Reason
from proxy.server.fast_path import FastPath, may_repeat
from proxy.server.loopback import UNIX_PEER

HEADER_TIMEOUT_S = 20.0
"""From a header's first byte to its last."""
HALF_OPEN_S = 2.0
"""How long a response may take for a client that closed its sending side: it may still read, or
have disconnected; the two look the same."""
MAX_PARTIAL_BYTES = 64 * 1024
"""A longer incomplete header ends the connection."""
RECEIVE_BYTES = 16 * 1024
"""Of one read from the socket."""
ENCRYPTED_BYTES = 2 * RECEIVE_BYTES
"""With TLS, received and not yet decrypted when reading pauses."""

ErrorHandler = Callable[[str, int, BaseException | None], web.StreamResponse]
"""The response to a request that failed in aiohttp: client's address, status, exception."""


def peer_address(transport: asyncio.BaseTransport) -> str:
    """The client's address: UNIX_PEER at a Unix socket, empty if it is not known."""
    peer = transport.get_extra_info("peername", ())
    if isinstance(peer, tuple):
        return str(peer[0]) if peer else ""
    return UNIX_PEER


class Connection(AiohttpConnection):
    """One client connection, admitted or refused by ConnectionLimits."""

    __slots__ = (
        "_at_message_boundary",
        "_fast_path",
        "_half_open_timer",
        "_header_timer",
        "_is_response_ready",
        "_is_tls",
        "_limits",
        "_on_error",
        "_partial_bytes",
        "_socket",
        "_unread_bytes",
        "_unsent_bytes",
        "_write_timer",
        "certificate_name",
        "hasher",
    )

    def __init__(
        self,
        server: web.Server,
        *,
        limits: ConnectionLimits,
        fast_path: FastPath,
        on_error: ErrorHandler,
    ) -> None:
        super().__init__(server)
        self._limits = limits
        self._fast_path = fast_path
        self._on_error = on_error
        self._at_message_boundary = True
        self._is_response_ready = False
        """To the request that is served, or was last."""
        self._is_tls = False
        self.hasher = fast_path.hasher("", "")
        """Of the fast path, for headers of this connection."""
        self.certificate_name = ""
        """Of the client, by `tls.client_ca`; empty without a certificate that names one."""
        self._socket: asyncio.Transport | None = None
        """Until the connection is lost; aiohttp sets its own `transport` to None earlier."""
        self._partial_bytes = self._unread_bytes = self._unsent_bytes = 0
        self._header_timer: asyncio.TimerHandle | None = None
        self._write_timer: asyncio.TimerHandle | None = None
        self._half_open_timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        if not isinstance(transport, asyncio.Transport):
            raise TypeError("not a stream")
        self.peer = peer_address(transport)
        self.client = f"anonymous {self.peer}"
        self.certificate_name = name_in_certificate(transport.get_extra_info("peercert"))
        proxy_address = self.peer if self._limits.trusts(self.peer) else ""
        self.hasher = self._fast_path.hasher(proxy_address, self.certificate_name)
        if not self._limits.admit(self, self.peer):
            self._limits.refuse(transport)
            return
        self._socket = transport
        self._is_tls = transport.get_extra_info("sslcontext") is not None
        # All that is not sent at once is counted; asyncio's TLS pauses at `high`, not above it.
        transport.set_write_buffer_limits(high=int(self._is_tls), low=0)
        transport.max_size = RECEIVE_BYTES  # type: ignore[attr-defined]  # asyncio's
        super().connection_made(transport)

    def connection_lost(self, exc: BaseException | None) -> None:
        self._limits.leave(self, self.peer)
        self._limits.memory.buffer(self, 0)
        self._stop_half_open_timer()
        self._stop_header_timer()
        self._stop_write_timer()
        self._socket = None
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        if self.is_after_hit or self._is_at_rest():
            response = self._fast_path.respond(data, self.peer, self.hasher)
            if response is not None:
                self.respond_before_parsing(response)
                return
        is_between_requests, begins_message = self.awaits_request, self._at_message_boundary
        is_in_body = not self.is_body_complete
        completed = self.feed(data)
        if completed > 0:
            self._stop_header_timer()
        elif is_between_requests:
            self._start_header_timer()
        self._count_partial(0 if completed > 0 or is_in_body else self._partial_bytes + len(data))
        self._at_message_boundary = self._is_complete_message(data, completed)
        is_alone = completed == 1 and begins_message and self._at_message_boundary
        self.note_header(data if is_alone and may_repeat(data) else b"")

    def eof_received(self) -> bool | None:  # type: ignore[override]  # as asyncio has it
        """Keep the connection, for HALF_OPEN_S without a response, when the client sends no more.

        Not with TLS: asyncio has no half-closed TLS connections.
        """
        has_request = self._last_body is not None and self._last_body.is_eof()
        if self._is_tls or self.awaits_request or not has_request:
            return None
        self.close()
        if not self._is_response_ready:
            self._half_open_timer = self._loop.call_later(HALF_OPEN_S, self.force_close)
        return True

    def response_is_awaited(self) -> None:
        """A request is served."""
        self._is_response_ready = False

    def response_is_ready(self) -> None:
        """The response is about to be sent: that has its own bound, and HALF_OPEN_S does not count.

        Whether the client closed its sending side before or does so meanwhile.
        """
        self._is_response_ready = True
        self._stop_half_open_timer()

    def pause_writing(self) -> None:
        """The client has not received all that was written."""
        super().pause_writing()
        self._check_progress()

    def resume_writing(self) -> None:
        """The client has received all that was written."""
        super().resume_writing()
        self._stop_write_timer()
        self._unsent_bytes = 0
        self._count_buffers()

    def on_reading_paused(self) -> None:
        encrypted_bytes = ENCRYPTED_BYTES if self._is_tls else 0
        self._unread_bytes = RECEIVE_BYTES + 2 * UNREAD_BYTES + encrypted_bytes
        self._count_buffers()

    def on_reading_resumed(self) -> None:
        self._unread_bytes = 0
        self._count_buffers()

    def handle_error(
        self,
        request: web.BaseRequest,  # noqa: ARG002 — aiohttp's
        status: int = 500,
        exc: BaseException | None = None,
        message: str | None = None,  # noqa: ARG002 — quotes what was received
    ) -> web.StreamResponse:
        """The response to a request that could not be parsed; it quotes nothing received."""
        self.close()
        if self._is_header_too_long:
            exc = HeaderFieldsTooLarge(f"Send {MAX_PARTIAL_BYTES // 1024} KiB of fields at most.")
        return self._on_error(self.peer, status, exc)

    def log_exception(self, *_: object, exc_info: BaseException | None = None) -> None:
        """Log an event instead of a traceback."""
        self._on_error(self.peer, 500, exc_info)

    def abort(self) -> None:
        """Reset the connection: `limits.memory` is full, and its buffers are the oldest."""
        self._abort("memory")

    def _is_at_rest(self) -> bool:
        """Whether the next bytes begin a request, whose response would be sent at once."""
        return self.awaits_request and self._at_message_boundary and self.can_write()

    def _is_complete_message(self, data: bytes, completed: int) -> bool:
        """Whether aiohttp has consumed every byte of `data` and waits for no body.

        Each header ends with one CRLF CRLF: if there are as many of them as completed headers, and
        one at the end, nothing follows the last header.
        """
        return (
            completed > 0
            and data.endswith(HEADER_END)
            and data.count(HEADER_END) == completed
            and self.have_complete_bodies(completed)
        )

    @property
    def _is_header_too_long(self) -> bool:
        return self._partial_bytes > MAX_PARTIAL_BYTES

    def _count_partial(self, partial_bytes: int) -> None:
        """Account for the bytes of an incomplete header."""
        if partial_bytes == self._partial_bytes or self._is_header_too_long:
            return
        self._partial_bytes = partial_bytes
        self._count_buffers()
        if self._is_header_too_long:
            self._limits.closed["header"] += 1
            self.fail_parsing()

    def _count_buffers(self) -> None:
        buffered_bytes = self._partial_bytes + self._unread_bytes + self._unsent_bytes
        self._limits.memory.buffer(self, buffered_bytes)

    def _check_progress(self) -> None:
        """Abort unless the client received some of the response within WRITE_IDLE_S."""
        if self._socket is None:
            return
        before, self._unsent_bytes = self._unsent_bytes, self._socket.get_write_buffer_size()
        self._count_buffers()
        if self._write_timer is not None and self._unsent_bytes >= before:
            self._abort("slow")
        else:
            self._write_timer = self._loop.call_later(WRITE_IDLE_S, self._check_progress)

    def _abort(self, reason: Reason) -> None:
        """Reset the connection, so that the client sees that its response is incomplete."""
        if self._socket is not None:
            self._limits.closed[reason] += 1
            self._socket.abort()

    def _on_header_timeout(self) -> None:
        self._limits.closed["header"] += 1
        self.force_close()

    def _start_header_timer(self) -> None:
        if self._header_timer is None:
            self._header_timer = self._loop.call_later(HEADER_TIMEOUT_S, self._on_header_timeout)

    def _stop_half_open_timer(self) -> None:
        if self._half_open_timer is not None:
            self._half_open_timer.cancel()
            self._half_open_timer = None

    def _stop_header_timer(self) -> None:
        if self._header_timer is not None:
            self._header_timer.cancel()
            self._header_timer = None

    def _stop_write_timer(self) -> None:
        if self._write_timer is not None:
            self._write_timer.cancel()
            self._write_timer = None
