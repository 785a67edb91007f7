"""Peer client: connections to other nodes, for relayed requests and for sessions.

A connection that fails before anything was sent is not one that was lost: only then
may a write be relayed again.
"""

import asyncio
from collections.abc import AsyncIterator, Callable

import aiohttp
from multidict import CIMultiDict
from yarl import URL

from proxy.errors import InvalidTarget
from proxy.fleet.channel import Channel, ChannelClosed
from proxy.fleet.timing import TIMEOUT_S
from proxy.server.fleet.channel import CLOSE_S, WebSocketChannel, receive_bytes
from proxy.server.fleet.envelope import REQUEST_FIELD, SESSION, Envelope, proof, seal

MAX_CONNECTIONS = 2000
"""To all nodes: as many as a node accepts of clients."""
KEEPALIVE_S = 15.0
"""Shorter than a node's own: a connection that is about to be closed must not be reused."""
MAX_LINE_BYTES = 64 * 1024
_AUTOMATIC = ("User-Agent", "Accept", "Accept-Encoding", "Content-Type")


def sendable(target: str) -> str:
    """A client's target as it is sent, and signed; InvalidTarget for a fragment.

    yarl leaves both a fragment and the `?` of an empty query out.
    """
    if "#" in target:
        raise InvalidTarget("Leave the fragment out; a literal '#' is %23.")
    path, _, query = target.partition("?")
    return target if query else path


class PeerUnreachable(Exception):
    """No connection to the node: nothing was sent."""


class PeerLost(Exception):
    """The connection ended before the response."""


class PeerClient:
    """Sends requests to other nodes, and opens sessions with them."""

    def __init__(
        self,
        key: Callable[[], bytes],
        random: Callable[[int], bytes],
        unix_path: str = "",
        max_connections: int = MAX_CONNECTIONS,
    ) -> None:
        """`key`: the fleet's; ChannelClosed while it is not known.

        `unix_path`: of the socket of the only other node, if it is on this machine.
        """
        self._key = key
        self._random = random
        self._unix_path = unix_path
        self._max_connections = max_connections
        self._session: aiohttp.ClientSession | None = None

    async def close(self) -> None:
        """End all connections."""
        if self._session is not None:
            await self._session.close()

    async def connect(self, address: str) -> Channel:
        """As Connector.connect; both ends prove that they have the key."""
        key, nonce = self._key(), self._random(16).hex()
        sealed = seal(Envelope(nonce, "", ""), key, "GET", SESSION)
        try:
            async with asyncio.timeout(TIMEOUT_S):
                socket = await self._opened().ws_connect(
                    f"http://{address}{SESSION}",
                    headers={REQUEST_FIELD: sealed},
                    timeout=aiohttp.ClientWSTimeout(ws_close=CLOSE_S),
                    max_msg_size=MAX_LINE_BYTES,
                )
                if await receive_bytes(socket) != proof(key, sealed):
                    await socket.close()
                    raise ChannelClosed
        except (aiohttp.ClientError, TimeoutError, OSError):
            raise ChannelClosed from None
        return WebSocketChannel(socket)

    async def send(
        self,
        address: str,
        request: tuple[str, str, CIMultiDict[str]],
        envelope: Envelope,
        body: bytes | AsyncIterator[bytes] | None,
    ) -> aiohttp.ClientResponse:
        """The response, its body unread: PeerUnreachable, PeerLost.

        `request`: method, target as received, fields.
        """
        method, target, fields = request
        try:
            fields[REQUEST_FIELD] = seal(envelope, self._key(), method, target)
            return await self._opened().request(
                method,
                URL(f"http://{address}{target}", encoded=True),
                headers=fields,
                data=body,
                allow_redirects=False,
                skip_auto_headers=_AUTOMATIC,
            )
        except (ChannelClosed, aiohttp.ClientConnectorError, aiohttp.ConnectionTimeoutError):
            raise PeerUnreachable from None
        except (aiohttp.ClientError, OSError):
            raise PeerLost from None

    def _opened(self) -> aiohttp.ClientSession:
        if self._session is None:
            self._session = aiohttp.ClientSession(
                connector=self._connector(),
                cookie_jar=aiohttp.DummyCookieJar(),
                timeout=aiohttp.ClientTimeout(total=None, sock_connect=TIMEOUT_S),
                auto_decompress=False,
                max_line_size=MAX_LINE_BYTES,
                max_field_size=MAX_LINE_BYTES,
            )
            # aiohttp would send a PUT or DELETE again whose connection ended.
            self._session._retry_connection = False
        return self._session

    def _connector(self) -> aiohttp.BaseConnector:
        limit = self._max_connections
        if self._unix_path:
            return aiohttp.UnixConnector(
                self._unix_path, limit=limit, keepalive_timeout=KEEPALIVE_S
            )
        return aiohttp.TCPConnector(limit=limit, keepalive_timeout=KEEPALIVE_S)
