"""A Trello that costs next to nothing: deterministic bodies, Trello's fields, a count of questions.

`/1/boards/{id}/cards?limit=1000` is a body of 1000 bytes, in which the id stands; `since=150` has
it wait so many milliseconds. `/asked` says how many of those that waited there were so far.
"""

import argparse
import asyncio
import re

_TARGET = re.compile(rb"GET /1/boards/([0-9a-f]{24})/cards\?limit=(\d+)(?:&since=(\d+))? ")
_HEAD = (
    b"HTTP/1.1 200 OK\r\n"
    b"Content-Type: application/json; charset=utf-8\r\n"
    b"Cache-Control: max-age=0, must-revalidate, no-cache, no-store\r\n"
    b"Expires: Thu, 01 Jan 1970 00:00:00 GMT\r\n"
    b"Set-Cookie: dsc=0123456789abcdef; Path=/; Secure\r\n"
    b"X-Rate-Limit-Api-Token-Interval-Ms: 10000\r\n"
    b"X-Rate-Limit-Api-Token-Max: 1000000\r\n"
    b"X-Rate-Limit-Api-Token-Remaining: 999999\r\n"
    b"Vary: Accept, Accept-Encoding\r\n"
    b"Content-Length: %d\r\n\r\n"
)


def body_of(board: str, size: int) -> bytes:
    """A list of one card, `size` bytes long."""
    start = b'[{"id":"%b","name":"' % board.encode()
    return start.ljust(size - 3, b"x") + b'"}]'


class Connection(asyncio.Protocol):
    """Answers one request after the other; they are never pipelined here."""

    asked = 0

    def __init__(self) -> None:
        self._received = b""
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        if isinstance(transport, asyncio.Transport):
            self._transport = transport

    def data_received(self, data: bytes) -> None:
        self._received += data
        if self._received.endswith(b"\r\n\r\n"):
            request, self._received = self._received, b""
            self._answer(request)

    def _answer(self, request: bytes) -> None:
        target = _TARGET.match(request)
        if target is None:
            self._send(b"%d" % Connection.asked)
            return
        body = body_of(target[1].decode(), int(target[2]))
        if target[3] is None:
            self._send(body)
        else:
            Connection.asked += 1
            asyncio.get_running_loop().call_later(int(target[3]) / 1000, self._send, body)

    def _send(self, body: bytes) -> None:
        if self._transport is not None:
            self._transport.write(_HEAD % len(body) + body)


async def _serve(port: int) -> None:
    loop = asyncio.get_running_loop()
    server = await loop.create_server(Connection, "127.0.0.1", port, backlog=1024)
    await server.serve_forever()


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("port", type=int)
    asyncio.run(_serve(parser.parse_args().port))
