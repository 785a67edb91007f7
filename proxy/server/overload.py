"""A connection for which there is no room: told so when it begins to ask, and closed."""

import asyncio
from collections.abc import Callable

BUSY_S = 1.0
"""How long it may take to ask."""
_SAID = (
    b'{"type":"urn:trello-proxy:busy","title":"Too many connections","status":503,'
    b'"detail":"The proxy holds as many connections as it can; try again later."}'
)
_BUSY = (
    b"HTTP/1.1 503 Service Unavailable\r\nContent-Type: application/problem+json\r\n"
    b"Cache-Control: no-store\r\nRetry-After: 5\r\nProxy-Status: trello-proxy; "
    b"error=connection_limit_reached\r\nConnection: close\r\nContent-Length: %d\r\n\r\n%b"
) % (len(_SAID), _SAID)


class OverloadProtocol(asyncio.Protocol):
    """503 to whatever comes first; `on_end` is called when it is over."""

    def __init__(self, on_end: Callable[[], None]) -> None:
        self._on_end = on_end

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._deadline = asyncio.get_running_loop().call_later(BUSY_S, transport.close)
        self._transport = transport

    def data_received(self, _: bytes) -> None:
        # Not before: closing with something unread would take the answer back (RFC 9112 §9.6).
        if isinstance(self._transport, asyncio.Transport):
            self._transport.write(_BUSY)
        self._transport.close()

    def connection_lost(self, _: Exception | None) -> None:
        self._deadline.cancel()
        self._on_end()
