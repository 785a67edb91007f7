"""HTTP transport: the only outward socket. Sends one request, returns one response.

Nothing is implicit: no redirects, no content decoding, no cookies, no proxy that is not configured,
no repetition of a request on a fresh connection. A connection error is classified as DNS, TCP, TLS
or certificate (RFC 9209 §2.3): the message says what failed and who can help; host, OpenSSL's
reason and the system's text are in `reason`, for the operator. Neither has a path, query or field.
"""

import asyncio
import errno
import socket
import ssl
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from types import SimpleNamespace

import aiohttp
from aiohttp.abc import AbstractResolver
from aiohttp.connector import AddrInfoType
from aiohttp.helpers import is_ip_address
from aiohttp.resolver import ThreadedResolver
from multidict import CIMultiDict
from yarl import URL

from proxy.errors import (
    ConnectionRefused,
    ConnectionTerminated,
    ConnectTimeout,
    EgressProxyFailed,
    IncompleteResponse,
    InvalidResponse,
    NameNotResolved,
    ResponseTimeout,
    TlsFailure,
    Unreachable,
    UntrustedCertificate,
    UpstreamError,
)
from proxy.model import Fields
from proxy.upstream.egress import Egress

MAX_LINE_BYTES = 32 * 1024
"""Longest status line or field of a response; a longer one makes it invalid."""
KEEPALIVE_S = 10.0
"""Shorter than Trello's: a connection that Trello is about to close must not be reused."""
MAX_CONNECTIONS = 64
"""To each host, so that slow downloads from the storage use up none to the API."""
_AUTOMATIC = ("User-Agent", "Accept", "Accept-Encoding", "Content-Type")
_REASON_CHARS = 300


@dataclass(frozen=True, slots=True)
class UpstreamRequest:
    """One request as it is sent, with its authorization and without fields of the connection."""

    method: str
    url: str
    """After the origin byte for byte what is on the request line."""
    fields: Fields
    body: bytes | AsyncIterator[bytes] | None = None


class UpstreamResponse:
    """A response whose body is not yet read; it holds a connection until it is closed."""

    def __init__(self, response: aiohttp.ClientResponse) -> None:
        self._response = response
        self.status = response.status
        self.fields: Fields = tuple(
            (name.decode("latin-1"), value.decode("latin-1"))
            for name, value in response.raw_headers
        )
        headers = response.headers
        self.content_type = headers.get("Content-Type", "")
        self.content_encoding = headers.get("Content-Encoding", "identity").strip().lower()
        self.location = headers.get("Location", "")
        self.etag = headers.get("ETag", "")
        self.content_range = headers.get("Content-Range", "")
        self.length_known = "Content-Length" in headers or "Transfer-Encoding" in headers
        """Whether a truncated body would be noticed."""
        self.length = response.content_length
        self._peeked = b""

    async def peek(self, min_bytes: int) -> bytes:
        """The first bytes of the body, at least `min_bytes` if it has them; they stay unread."""
        with _translate_errors(IncompleteResponse):
            while len(self._peeked) < min_bytes:
                chunk = await self._response.content.readany()
                if not chunk:
                    break
                self._peeked += chunk
        return self._peeked

    async def read_chunk(self) -> bytes:
        """The next bytes of the body, none at its end; IncompleteResponse if it is truncated."""
        if self._peeked:
            chunk, self._peeked = self._peeked, b""
            return chunk
        with _translate_errors(IncompleteResponse):
            return await self._response.content.readany()

    def close(self) -> None:
        """Release the connection: for reuse if the body was read to its end."""
        if self._response.content.at_eof():
            self._response.release()
        else:
            self._response.close()


class ForbiddenAddress(OSError):
    """The address of a redirect that `may_connect` refuses."""


def allow_any(_: str, __: int) -> bool:
    """Allow every address: the operator chose the API's."""
    return True


DIRECT = Egress()


@dataclass(slots=True)
class _Attempt:
    """Progress of one request."""

    is_connected: bool = False
    """Whether its connection exists, and with it the tunnel through an egress proxy."""


class Transport:
    """One pool of connections.

    `may_connect` is called for each connection with its address and port, so that it does not
    matter what the name resolved to before.
    """

    def __init__(
        self,
        *,
        connect_timeout_s: float,
        read_timeout_s: float,
        may_connect: Callable[[str, int], bool] = allow_any,
        egress: Egress = DIRECT,
    ) -> None:
        self._may_connect = may_connect
        self._egress = egress
        self._response_timeout_s = connect_timeout_s + 2 * read_timeout_s
        """From the request to the complete header, a free connection included."""
        self._resolver = _resolver(egress)
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(
                limit=0,
                limit_per_host=MAX_CONNECTIONS,
                keepalive_timeout=KEEPALIVE_S,
                ttl_dns_cache=60,
                resolver=self._resolver,
                ssl=egress.context or True,
                socket_factory=self._socket,
            ),
            proxy=egress.proxy,
            trace_configs=[_connection_trace()] if egress.proxy else None,
            cookie_jar=aiohttp.DummyCookieJar(),
            auto_decompress=False,
            timeout=aiohttp.ClientTimeout(
                total=None,
                connect=connect_timeout_s + read_timeout_s,  # waiting for a free one included
                sock_connect=connect_timeout_s,
                sock_read=read_timeout_s,
            ),
            skip_auto_headers=_AUTOMATIC,
            trust_env=False,
            max_line_size=MAX_LINE_BYTES,
            max_field_size=MAX_LINE_BYTES,
        )
        # aiohttp sends PUT and DELETE again when a reused connection turns out closed. A write must
        # not be repeated, and upstream/client.py decides on the rest. There is no public switch.
        self._session._retry_connection = False

    async def close(self) -> None:
        await self._session.close()
        await self._resolver.close()

    async def send(self, request: UpstreamRequest) -> UpstreamResponse:
        """The response, its body unread; the caller closes it. Raises UpstreamError only.

        The whole header must arrive within the response timeout, however slow its bytes are. While
        a body is sent, the timeout applies to each of its chunks, without the time that the client
        takes to provide it.
        """
        url, attempt = URL(request.url, encoded=True), _Attempt()
        if self._egress.proxy is not None:
            self._check_target(url)
        with (
            _translate_proxy_errors(self._egress, attempt),
            _translate_errors(ConnectionTerminated),
        ):
            async with asyncio.timeout(self._response_timeout_s) as deadline:
                body = request.body
                if isinstance(body, AsyncIterator):
                    body = self._pause_deadline(body, deadline)
                return UpstreamResponse(
                    await self._session.request(
                        request.method,
                        url,
                        headers=CIMultiDict(request.fields),
                        data=body,
                        allow_redirects=False,
                        proxy_headers=self._proxy_fields,
                        trace_request_ctx=attempt,
                    )
                )

    @property
    def _proxy_fields(self) -> dict[str, str] | None:
        """For the request to the egress proxy alone."""
        value = self._egress.authorization
        return {"Proxy-Authorization": value} if value else None

    def _check_target(self, url: URL) -> None:
        """InvalidResponse for a host that may not be connected to through the egress proxy.

        That proxy resolves names (D64), so an address is checked only where the URL has one.
        """
        if url.scheme != "https":
            raise InvalidResponse(
                "Trello redirected a download to plain http, which upstream.proxy does not tunnel."
            )
        host = url.host or ""
        if is_ip_address(host) and not self._may_connect(host, url.port or 0):
            raise _forbidden_address()

    def _socket(self, address: AddrInfoType) -> socket.socket:
        family, kind, protocol, _, sockaddr = address
        is_direct = self._egress.proxy is None
        if is_direct and not self._may_connect(str(sockaddr[0]), int(sockaddr[1])):
            raise ForbiddenAddress("a private address")
        return socket.socket(family, kind, protocol)

    async def _pause_deadline(
        self, body: AsyncIterator[bytes], deadline: asyncio.Timeout
    ) -> AsyncGenerator[bytes, None]:
        """The body's chunks; the deadline is suspended while the next is awaited."""
        while True:
            deadline.reschedule(None)
            chunk = await anext(body, None)
            deadline.reschedule(asyncio.get_running_loop().time() + self._response_timeout_s)
            if chunk is None:
                return
            yield chunk


def _resolver(egress: Egress) -> AbstractResolver:
    if not egress.dns_servers:
        return ThreadedResolver()
    from proxy.upstream.dns_resolver import DnsResolver  # noqa: PLC0415 — needs an extra

    return DnsResolver(egress.dns_servers)


def _connection_trace() -> aiohttp.TraceConfig:
    """Notes in an _Attempt when it has its connection."""

    async def note(_: aiohttp.ClientSession, context: SimpleNamespace, __: object) -> None:
        context.trace_request_ctx.is_connected = True

    trace = aiohttp.TraceConfig()
    trace.on_connection_create_end.append(note)
    trace.on_connection_reuseconn.append(note)
    return trace


@contextmanager
def _translate_proxy_errors(egress: Egress, attempt: _Attempt) -> Iterator[None]:
    """Errors before the tunnel exists are those of the egress proxy, later ones those of Trello."""
    try:
        yield
    except (UntrustedCertificate, TlsFailure):
        raise
    except UpstreamError as error:
        if egress.proxy is None or attempt.is_connected:
            raise
        raise _proxy_error(egress, error) from error


def _proxy_error(egress: Egress, error: UpstreamError) -> UpstreamError:
    """The error for a tunnel that did not come about, its `reason` set."""
    cause, reason = error.__cause__, error.reason.partition(": ")[2]
    text = "There is no connection through the proxy on the way to Trello"
    if isinstance(cause, aiohttp.ClientHttpProxyError):
        text = "The proxy on the way to Trello refused the connection"
        reason = f"CONNECT got {cause.status}"
    is_late = isinstance(error, (ConnectTimeout, ResponseTimeout))
    kind = ConnectTimeout if is_late else EgressProxyFailed
    translated = kind(f"{text}; ask the operator, whose log says why.")
    translated.reason = f"{egress.proxy_address}: {reason or type(cause).__name__}"
    return translated


@contextmanager
def _translate_errors(otherwise: type[UpstreamError]) -> Iterator[None]:
    """Translate aiohttp's exceptions; no message has an address or a field value."""
    try:
        yield
    except (aiohttp.ConnectionTimeoutError, aiohttp.ServerTimeoutError, TimeoutError) as error:
        if isinstance(error, aiohttp.ConnectionTimeoutError):
            raise ConnectTimeout("No connection to Trello in time; try again later.") from error
        raise ResponseTimeout("Trello did not answer in time; try again later.") from error
    except aiohttp.ClientConnectorError as error:
        raise connect_error(error) from error
    except (aiohttp.ClientResponseError, aiohttp.InvalidURL) as error:
        raise InvalidResponse("Trello's response is not HTTP; try again later.") from error
    except (aiohttp.ClientError, ConnectionError, asyncio.IncompleteReadError) as error:
        raise otherwise("The connection to Trello broke; try again later.") from error


def connect_error(error: aiohttp.ClientConnectorError) -> UpstreamError:
    """The error for a failed connection, its `reason` set."""
    translated = _classify(error)
    reason = _reason(error.os_error)
    translated.reason = f"{error.host}:{error.port}: {reason}"[:_REASON_CHARS]
    return translated


def _classify(error: aiohttp.ClientConnectorError) -> UpstreamError:
    cause = error.os_error
    if isinstance(cause, ForbiddenAddress):
        return _forbidden_address()
    if isinstance(cause, ssl.SSLCertVerificationError):
        return UntrustedCertificate(
            "The certificate that Trello's address shows is not trusted here; ask the operator, "
            "whose log says why."
        )
    if isinstance(cause, ssl.SSLError):
        return TlsFailure(
            "The TLS handshake with Trello's address failed; ask the operator, whose log says why."
        )
    if isinstance(error, aiohttp.ClientConnectorDNSError):
        return NameNotResolved("DNS knows no address for Trello's name here; ask the operator.")
    if cause.errno == errno.ECONNREFUSED:
        return ConnectionRefused("Trello's address refuses connections; try again later.")
    return Unreachable("No connection to Trello; is the network up?")


def _forbidden_address() -> InvalidResponse:
    return InvalidResponse(
        "Trello redirected a download to an address inside; "
        "the operator can list it in upstream.storage_hosts of proxy.yaml."
    )


def _reason(cause: OSError) -> str:
    """OpenSSL's reason, or the name and text of the system's error."""
    if isinstance(cause, ssl.SSLCertVerificationError):
        return f"{cause.reason}: {cause.verify_message}"
    if isinstance(cause, ssl.SSLError):
        return cause.reason or cause.strerror or type(cause).__name__
    name = errno.errorcode.get(cause.errno or 0, type(cause).__name__)
    return f"{name}: {cause.strerror}"
