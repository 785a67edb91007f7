"""WebSocket channel: messages between two nodes, each end of an aiohttp WebSocket."""

import aiohttp
from aiohttp import web

from proxy.fleet.channel import ChannelClosed
from proxy.fleet.protocol import MAX_MESSAGE_BYTES, Message, decode, encode

CLOSE_S = 0.2
"""To end a connection in order; then it is cut."""
_FAILURES = (aiohttp.ClientError, ConnectionError, RuntimeError, ValueError)


class WebSocketChannel:
    """A Channel of the fleet."""

    def __init__(self, socket: web.WebSocketResponse | aiohttp.ClientWebSocketResponse) -> None:
        self._socket = socket

    async def send(self, message: Message) -> None:
        """As Channel.send."""
        try:
            await self._socket.send_bytes(encode(message))
        except _FAILURES:
            raise ChannelClosed from None

    async def receive(self) -> Message:
        """As Channel.receive."""
        while True:
            message = decode(await receive_bytes(self._socket))
            if message is not None:
                return message

    async def close(self) -> None:
        """As Channel.close."""
        try:
            await self._socket.close()
        except _FAILURES:
            return


async def receive_bytes(
    socket: web.WebSocketResponse | aiohttp.ClientWebSocketResponse,
) -> bytes:
    """The next frame; ChannelClosed."""
    try:
        received = await socket.receive()
    except _FAILURES:
        raise ChannelClosed from None
    if received.type is not aiohttp.WSMsgType.BINARY:
        raise ChannelClosed
    data: bytes = received.data
    return data


def server_socket() -> web.WebSocketResponse:
    """The end of the node that was called."""
    return web.WebSocketResponse(
        timeout=CLOSE_S, max_msg_size=MAX_MESSAGE_BYTES, autoping=True, compress=False
    )
