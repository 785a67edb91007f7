"""TLS of listeners: a certificate that can be replaced; connections have the bounds of plain ones.

See D59.
"""

import asyncio
import re
import ssl
from asyncio.sslproto import SSLProtocol

from proxy.config.certificates import Certificate
from proxy.errors import ConnectDenied
from proxy.model import TRELLO_API_HOST
from proxy.observability.log import Log
from proxy.server.aiohttp_connection import HEADER_END, KEEPALIVE_S
from proxy.server.connection import (
    ENCRYPTED_BYTES,
    HEADER_TIMEOUT_S,
    RECEIVE_BYTES,
    Connection,
    peer_address,
)
from proxy.server.connection_limits import ConnectionLimits

CLOSE_S = 1.0
"""How long a client may take to confirm the end of a connection (RFC 8446 §6.1)."""
_PROBLEM = (
    b'{"type":"urn:trello-proxy:malformed-request","title":"Not an acceptable HTTP request",'
    b'"status":400,"detail":"This port speaks TLS: begin the address with https://"}'
)
_HEAD = (
    b"HTTP/1.1 %b\r\nContent-Type: application/problem+json\r\n"
    b"Cache-Control: no-store\r\nConnection: close\r\nContent-Length: %d\r\n\r\n%b"
)
_SPEAK_TLS = _HEAD % (b"400 Bad Request", len(_PROBLEM), _PROBLEM)
_DENIED = (
    f'{{"type":"urn:trello-proxy:{ConnectDenied.slug}","title":"{ConnectDenied.title}",'
    f'"status":403,"detail":"A tunnel leads to {TRELLO_API_HOST}:443 only: send other hosts past '
    'the proxy (NO_PROXY)."}'
).encode()
_CONNECT_DENIED = _HEAD % (b"403 Forbidden", len(_DENIED), _DENIED)
_CONNECT = b"CONNECT "
_TUNNEL = re.compile(rb"CONNECT (?i:%b):443 HTTP/1\.[01]\r\n" % re.escape(TRELLO_API_HOST.encode()))
_MAX_CONNECT_BYTES = 8 * 1024
"""Of the header of a CONNECT."""
_ESTABLISHED = b"HTTP/1.1 200 Connection established\r\n\r\n"


class ListenerTls:
    """The certificate of all listeners; connections keep the one that they began with."""

    def __init__(self, certificate: Certificate, log: Log) -> None:
        self.certificate = certificate
        self._log = log

    def use(self, certificate: Certificate) -> None:
        """Begin new connections with another certificate."""
        self.certificate = certificate

    def log_denial(self, client: str) -> None:
        """Log a CONNECT that was refused, once a minute at most."""
        self._log.event_once_a_minute("warning", "connect refused", client=client)

    def log_failure(self, client: str, error: ssl.SSLError) -> None:
        """Log a handshake that failed, with OpenSSL's reason, once a minute at most."""
        reason = error.reason or str(error.strerror)
        self._log.event_once_a_minute(
            "warning", "tls handshake failed", client=client, reason=reason
        )


class TlsProtocol(SSLProtocol):
    """The handshake of one connection, and then its encryption.

    Adapter to asyncio: the only class that touches the undocumented attributes of its TLS protocol.
    Added are a place among the connections before the handshake, smaller buffers (asyncio's take
    256 KiB a connection), and the count of bytes that are encrypted and not yet sent. Before the
    handshake there may be a CONNECT to Trello's API in plain HTTP (RFC 9110 §9.3.6), so that the
    listener can be a client's HTTPS_PROXY; the tunnel ends here (D68).
    """

    max_size = RECEIVE_BYTES

    def __init__(
        self,
        connection: Connection,
        tls: ListenerTls,
        limits: ConnectionLimits,
        handshakes: "set[TlsProtocol]",
    ) -> None:
        """`handshakes`: this one is among them until it has ended."""
        loop = asyncio.get_running_loop()
        super().__init__(
            loop,
            connection,
            tls.certificate.context,
            None,  # type: ignore[arg-type]  # asyncio's own callers may wait for the handshake
            server_side=True,
            ssl_handshake_timeout=HEADER_TIMEOUT_S,  # type: ignore[arg-type]  # a float will do
            ssl_shutdown_timeout=CLOSE_S,
        )
        self._set_read_buffer_limits(high=ENCRYPTED_BYTES)  # type: ignore[attr-defined]
        self._tls = tls
        self._limits = limits
        self._handshakes = handshakes
        self._socket: asyncio.Transport | None = None
        """The connection itself, until it is lost."""
        self._peer = ""
        self._before_tls: bytes | None = b""
        """The beginning of what may be a CONNECT; None when TLS has begun."""
        self.is_idle = True
        """A connection without a request makes room for another."""
        self.last_used_at = loop.time() + KEEPALIVE_S

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        if not isinstance(transport, asyncio.Transport):
            raise TypeError("not a stream")
        self._peer = peer_address(transport)
        if not self._limits.admit(self, self._peer):
            self._limits.refuse_unread(transport)
            return
        self._handshakes.add(self)
        self._socket = transport
        transport.set_write_buffer_limits(high=0)
        super().connection_made(transport)

    def buffer_updated(self, nbytes: int) -> None:
        """Decrypt what was received; a CONNECT before it is answered."""
        if self._before_tls is not None:
            nbytes = self._skip_connect(self._before_tls, nbytes)
        if nbytes:
            super().buffer_updated(nbytes)

    def _skip_connect(self, before: bytes, nbytes: int) -> int:
        """How many of the bytes in the buffer are TLS, moved to its beginning."""
        buffer: memoryview = self._ssl_buffer_view  # type: ignore[attr-defined]
        data = before + bytes(buffer[:nbytes])
        if data[: len(_CONNECT)] != _CONNECT[: len(data)]:
            self._before_tls = None
            self._incoming.write(before)  # type: ignore[attr-defined]
            return nbytes
        head, end, rest = data.partition(HEADER_END)
        self._before_tls = None if end else data
        if end and _TUNNEL.match(head + b"\r\n") and self._socket is not None:
            self._socket.write(_ESTABLISHED)
            buffer[: len(rest)] = rest
            return len(rest)
        if (end or len(data) > _MAX_CONNECT_BYTES) and self._socket is not None:
            self._tls.log_denial(self._peer)
            self._socket.write(_CONNECT_DENIED)
            self._socket.close()
        return 0

    def force_close(self) -> None:
        """Abort the handshake."""
        self._handshakes.discard(self)
        if self._socket is not None:
            self._socket.abort()

    def connection_lost(self, exc: BaseException | None) -> None:
        if self in self._handshakes:
            self._end_handshake()
            self._limits.closed["tls"] += isinstance(exc, (ssl.SSLError, ConnectionAbortedError))
        self._socket = None
        super().connection_lost(exc)

    def _on_handshake_complete(self, handshake_exc: BaseException | None) -> None:
        if isinstance(handshake_exc, ssl.SSLError) and self._socket is not None:
            self._tls.log_failure(self._peer, handshake_exc)
            is_http = handshake_exc.reason == "HTTP_REQUEST"
            alert = self._outgoing.read()  # type: ignore[attr-defined]  # asyncio never sends it
            self._socket.write(_SPEAK_TLS if is_http else alert)
        if handshake_exc is None:
            self._end_handshake()
        super()._on_handshake_complete(handshake_exc)

    def _end_handshake(self) -> None:
        """Leave the place among the connections to the connection itself."""
        self._handshakes.discard(self)
        self._limits.leave(self, self._peer)

    def _get_write_buffer_size(self) -> int:
        size: int = super()._get_write_buffer_size()  # type: ignore[misc]  # not in typeshed
        return size if self._socket is None else size + self._socket.get_write_buffer_size()
