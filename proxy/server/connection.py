"""One client connection, on which a stored response is sent before its request is parsed.

That is when the very same bytes were parsed before: the same header, on any connection, deserves
the same answer for as long as the store says so. No second parser exists: what a header means was
decided once, by aiohttp and by policy, and only its digest is remembered.

When are bytes a whole header? The connection is *at a boundary* when aiohttp has consumed every
byte so far as complete requests, and waits for the next. Whatever arrives at any other moment goes
to aiohttp unseen.
"""

import asyncio
from collections import OrderedDict
from collections.abc import Callable
from hashlib import blake2b
from typing import Protocol

from aiohttp import web

from proxy.errors import HeaderFieldsTooLarge
from proxy.server.bounded_connection import MAX_PARTIAL_BYTES, BoundedConnection
from proxy.server.connection_limits import ConnectionLimits

HALF_OPEN_S = 2.0
"""A client that says no more listens on, or has left: nobody can tell. So long it is believed."""
_END = b"\r\n\r\n"
_FAST_PATH_PREFIX = b"GET /1/"
_MAX_FAST_PATH_HEADER_BYTES = 4096


ErrorHandler = Callable[[str, int, BaseException | None], web.StreamResponse]
"""From the client's address, the status and what was raised, the answer to a failed request."""


class PreparedResponse(Protocol):
    """How to answer one exact header again."""

    def respond(self, peer: str) -> bytes | None:
        """The whole response, counted and logged; None when it must be decided anew."""


class FastPathCache:
    """Plans by the digest of the header they are for; the least recently used leave first.

    The digest is keyed per process: a header may hold a client's credential, which is neither kept
    nor guessable from what is.
    """

    def __init__(self, digest_key: bytes, limit: int = 20_000) -> None:
        self._digest_key = digest_key
        self._limit = limit
        self._entries: OrderedDict[bytes, PreparedResponse] = OrderedDict()

    def __len__(self) -> int:
        return len(self._entries)

    def find(self, header: bytes) -> tuple[bytes, PreparedResponse | None]:
        digest = blake2b(header, digest_size=16, key=self._digest_key).digest()
        plan = self._entries.get(digest)
        if plan is not None:
            self._entries.move_to_end(digest)
        return digest, plan

    def add(self, digest: bytes, plan: PreparedResponse) -> None:
        self._entries[digest] = plan
        if len(self._entries) > self._limit:
            self._entries.popitem(last=False)

    def clear(self) -> None:
        """Decide everything anew."""
        self._entries.clear()

    def remove(self, digest: bytes) -> None:
        self._entries.pop(digest, None)


class Connection(BoundedConnection):
    """aiohttp's protocol; `learn` is what the API handler calls after an ordinary hit."""

    __slots__ = ("_at_message_boundary", "_digest", "_fast_path", "_half_open", "_on_error")

    def __init__(
        self,
        server: web.Server,
        fast_path: FastPathCache,
        refuse: ErrorHandler,
        connections: ConnectionLimits,
    ) -> None:
        super().__init__(server, connections)
        self._fast_path = fast_path
        self._on_error = refuse
        self._at_message_boundary = True
        self._digest: bytes | None = None
        self._half_open: asyncio.TimerHandle | None = None

    def connection_lost(self, exc: BaseException | None) -> None:
        self.keep_half_open()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        self._digest = None
        if (
            self._at_message_boundary
            and self._awaits_request()
            and data.startswith(_FAST_PATH_PREFIX)
            and self._try_fast_path(data)
        ):
            return
        queued = len(self._messages)
        super().data_received(data)
        arrived = len(self._messages) - queued
        self._at_message_boundary = self._is_complete_message(data, arrived)
        if arrived != 1 or not self._at_message_boundary:
            self._digest = None

    def remember_fast_path(self, plan: PreparedResponse) -> None:
        """Answer the request being handled the same way when its exact bytes come again."""
        if self._digest is not None:
            self._fast_path.add(self._digest, plan)

    def keep_half_open(self) -> None:
        """The answer is there: however long it takes to be sent, the client may be listening."""
        if self._half_open is not None:
            self._half_open.cancel()
            self._half_open = None

    def handle_error(
        self,
        request: web.BaseRequest,  # noqa: ARG002 — aiohttp's
        status: int = 500,
        exc: BaseException | None = None,
        message: str | None = None,  # noqa: ARG002 — quotes what was received
    ) -> web.StreamResponse:
        """Our own words, and nothing of what was received."""
        self.close()
        if self._is_header_too_long:
            exc = HeaderFieldsTooLarge(f"Send {MAX_PARTIAL_BYTES // 1024} KiB of fields at most.")
        return self._on_error(self._peer, status, exc)

    def log_exception(self, *_: object, exc_info: BaseException | None = None) -> None:
        """As an event, not as a traceback."""
        self._on_error(self._peer, 500, exc_info)

    def eof_received(self) -> bool | None:  # type: ignore[override]  # as asyncio has it
        """A client that has said everything still hears an answer that comes soon."""
        if self._awaits_request() or self._last_body is None or not self._last_body.is_eof():
            return None
        self.close()
        self._half_open = self._loop.call_later(HALF_OPEN_S, self.force_close)
        return True

    def _try_fast_path(self, data: bytes) -> bool:
        if len(data) > _MAX_FAST_PATH_HEADER_BYTES:
            return False
        self._digest, plan = self._fast_path.find(data)
        if plan is None:
            return False
        transport = self.transport
        if transport is None or transport.is_closing():
            return False
        if self._paused:  # the ordinary path waits for the client
            return False
        response = plan.respond(self._peer)
        if response is None:
            self._fast_path.remove(self._digest)
            return False
        transport.write(response)
        self._next_keepalive_close_time = self._loop.time() + self._keepalive_timeout
        return True

    def _is_complete_message(self, data: bytes, arrived: int) -> bool:
        """Whether aiohttp has no byte left of what it was given, and no body to wait for.

        Every header that was completed ended with one CRLF CRLF: with as many of them as headers,
        and one at the very end, nothing came after the last.
        """
        return (
            arrived > 0
            and data.endswith(_END)
            and data.count(_END) == arrived
            and not self._upgraded
            and all(payload.is_eof() for _, payload in list(self._messages)[-arrived:])
        )
