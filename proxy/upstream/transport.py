"""The only outward socket: send one request, hand out one reply, name what went wrong.

Nothing is followed, decoded, retried or remembered behind our back: no redirects, no content
decoding, no cookies, no environment proxies, no resending of a request on a fresh connection.
"""

import asyncio
import socket
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import aiohttp
from aiohttp.connector import AddrInfoType
from multidict import CIMultiDict
from yarl import URL

from proxy.errors import (
    ConnectionTerminated,
    ConnectTimeout,
    IncompleteResponse,
    InvalidResponse,
    ResponseTimeout,
    UpstreamError,
)
from proxy.model import Fields
from proxy.upstream.connect_errors import ForbiddenAddress, connect_error

MAX_LINE_BYTES = 32 * 1024
"""Of a status line or a field; longer ones are an unusable answer."""
KEEPALIVE_S = 10.0
"""Shorter than Trello's own: a connection that Trello is about to close must not be chosen."""
MAX_CONNECTIONS = 64
"""To each host: slow downloads from the storage take none from the API."""
_AUTOMATIC = ("User-Agent", "Accept", "Accept-Encoding", "Content-Type")


@dataclass(frozen=True, slots=True)
class UpstreamRequest:
    """One request, ready to be sent: authorised, and free of what must not travel."""

    method: str
    url: str
    """Byte for byte what goes on the request line, behind the origin."""
    fields: Fields
    body: bytes | AsyncIterator[bytes] | None = None


class UpstreamResponse:
    """An answer whose body is still to be read; it holds a connection until it is closed."""

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
        """Whether a body that was cut would have been noticed."""
        self.length = response.content_length
        self._peeked = b""

    async def peek(self, most: int) -> bytes:
        """The first `most` bytes of the body or a little more; `chunks` gives them too."""
        with _translate_errors(IncompleteResponse):
            while len(self._peeked) < most and (chunk := await self._response.content.readany()):
                self._peeked += chunk
        return self._peeked

    async def chunks(self) -> AsyncGenerator[bytes, None]:
        """The body as it arrives; Incomplete when it ends before its length."""
        if self._peeked:
            yield self._peeked
        with _translate_errors(IncompleteResponse):
            while chunk := await self._response.content.readany():
                yield chunk

    def close(self) -> None:
        """Let the connection go: to be used again when the body was read to its end."""
        if self._response.content.at_eof():
            self._response.release()
        else:
            self._response.close()


def allow_any(_: str, __: int) -> bool:
    """To Trello itself: where that is, the operator says."""
    return True


class Transport:
    """One pool of connections.

    `may_connect` is asked at each connect, with the very address and port: what a name resolved to
    a moment ago does not matter.
    """

    def __init__(
        self,
        *,
        connect_timeout_s: float,
        read_timeout_s: float,
        may_connect: Callable[[str, int], bool] = allow_any,
    ) -> None:
        self._may_connect = may_connect
        self._answer_timeout_s = connect_timeout_s + 2 * read_timeout_s  # waits for all of it
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(
                limit=0,
                limit_per_host=MAX_CONNECTIONS,
                keepalive_timeout=KEEPALIVE_S,
                ttl_dns_cache=60,
                socket_factory=self._socket,
            ),
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
        # aiohttp sends PUT and DELETE again when a kept connection turns out closed; a write must
        # not be repeated, and what may be is decided elsewhere. There is no public switch.
        self._session._retry_connection = False

    async def close(self) -> None:
        await self._session.close()

    def _socket(self, address: AddrInfoType) -> socket.socket:
        family, kind, protocol, _, where = address
        if not self._may_connect(str(where[0]), int(where[1])):
            raise ForbiddenAddress("an address inside")
        return socket.socket(family, kind, protocol)

    async def send(self, request: UpstreamRequest) -> UpstreamResponse:
        """The reply, its header there already; the caller closes it. Raises UpstreamError only.

        However slowly they come, the bytes of a header are there in time; so is the room for the
        next piece of a body that is sent. The time a client takes for its own is not counted.
        """
        with _translate_errors(ConnectionTerminated):
            async with asyncio.timeout(self._answer_timeout_s) as deadline:
                body = request.body
                if isinstance(body, AsyncIterator):
                    body = self._taken_in_time(body, deadline)
                return UpstreamResponse(
                    await self._session.request(
                        request.method,
                        URL(request.url, encoded=True),
                        headers=CIMultiDict(request.fields),
                        data=body,
                        allow_redirects=False,
                    )
                )

    async def _taken_in_time(
        self, body: AsyncIterator[bytes], deadline: asyncio.Timeout
    ) -> AsyncGenerator[bytes, None]:
        while True:
            deadline.reschedule(None)
            chunk = await anext(body, None)
            deadline.reschedule(asyncio.get_running_loop().time() + self._answer_timeout_s)
            if chunk is None:
                return
            yield chunk


@contextmanager
def _translate_errors(otherwise: type[UpstreamError]) -> Iterator[None]:
    """aiohttp's exceptions as ours; the message never holds an address or a field's value."""
    try:
        yield
    except (aiohttp.ConnectionTimeoutError, aiohttp.ServerTimeoutError, TimeoutError) as error:
        if isinstance(error, aiohttp.ConnectionTimeoutError):
            raise ConnectTimeout("No connection to Trello in time; try again later.") from error
        raise ResponseTimeout("Trello did not answer in time; try again later.") from error
    except aiohttp.ClientConnectorError as error:
        raise connect_error(error) from error
    except (aiohttp.ClientResponseError, aiohttp.InvalidURL) as error:
        raise InvalidResponse("Trello's answer is not HTTP; try again later.") from error
    except (aiohttp.ClientError, ConnectionError, asyncio.IncompleteReadError) as error:
        raise otherwise("The connection to Trello broke; try again later.") from error
