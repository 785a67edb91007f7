"""The transport: requests as sent, responses as received, and the class of each error."""

import asyncio
import gzip
import socket
from collections.abc import AsyncIterator
from contextlib import suppress
from typing import Literal

import aiohttp
import pytest
from aiohttp import web

from proxy.errors import (
    ConnectionTerminated,
    ConnectTimeout,
    IncompleteResponse,
    InvalidResponse,
    ResponseTimeout,
    Unreachable,
    UpstreamError,
)
from proxy.upstream import transport
from proxy.upstream.transport import (
    MAX_LINE_BYTES,
    Transport,
    UpstreamRequest,
)
from tests.upstream.conftest import (
    OK,
    Reply,
    Send,
    Server,
)


def header(*lines: bytes, status: bytes = b"200 OK") -> bytes:
    return b"\r\n".join((b"HTTP/1.1 " + status, *lines, b"", b""))


NO_RESPONSE: dict[str, tuple[Reply, type[UpstreamError]]] = {
    "closed without a word": (Reply(b"", "close"), ConnectionTerminated),
    "reset without a word": (Reply(b"", "reset"), ConnectionTerminated),
    "closed in the header": (Reply(b"HTTP/1.1 200 OK\r\nConte", "close"), ConnectionTerminated),
    "silence": (Reply(b"", "hang"), ResponseTimeout),
    "silence in the header": (Reply(b"HTTP/1.1 200 OK\r\n", "hang"), ResponseTimeout),
    "another protocol": (Reply(b"SSH-2.0-OpenSSH\r\n\r\n", "close"), InvalidResponse),
    "no status": (Reply(b"HTTP/1.1 soon OK\r\n\r\n", "close"), InvalidResponse),
    "a field too long": (
        Reply(header(b"X: " + b"x" * MAX_LINE_BYTES, b"Content-Length: 0"), "close"),
        InvalidResponse,
    ),
    "a length that is no number": (Reply(header(b"Content-Length: 1x"), "close"), InvalidResponse),
    "a chunk of no length": (
        Reply(header(b"Transfer-Encoding: chunked") + b"zz\r\n{}\r\n", "close"),
        InvalidResponse,
    ),
    "two lengths": (
        Reply(header(b"Content-Length: 1", b"Content-Length: 2"), "close"),
        InvalidResponse,
    ),
}

TRUNCATED: dict[str, tuple[Reply, type[UpstreamError]]] = {
    "closed before its length": (
        Reply(header(b"Content-Length: 9") + b"{}", "close"),
        IncompleteResponse,
    ),
    "reset before its length": (
        Reply(header(b"Content-Length: 9") + b"{}", "reset"),
        IncompleteResponse,
    ),
    "closed between chunks": (
        Reply(header(b"Transfer-Encoding: chunked") + b"2\r\n{}\r\n", "close"),
        IncompleteResponse,
    ),
    "closed within a chunk": (
        Reply(header(b"Transfer-Encoding: chunked") + b"9\r\n{}", "close"),
        IncompleteResponse,
    ),
    "silence": (Reply(header(b"Content-Length: 9") + b"{}", "hang"), ResponseTimeout),
}


UNFINISHED = Reply(header(b"Content-Length: 999") + b"x", "hang")


@pytest.mark.parametrize(("reply", "error"), NO_RESPONSE.values(), ids=NO_RESPONSE.keys())
async def test_no_response(
    server: Server, send: Send, reply: Reply, error: type[UpstreamError]
) -> None:
    server.script = [reply, reply]
    with pytest.raises(error) as raised:
        await send()
    assert str(server.port) not in str(raised.value)
    assert raised.value.sent


@pytest.mark.parametrize(("reply", "error"), TRUNCATED.values(), ids=TRUNCATED.keys())
async def test_a_truncated_response(
    server: Server, send: Send, reply: Reply, error: type[UpstreamError]
) -> None:
    server.script = [reply]
    with pytest.raises(error):
        await send()
    assert len(server.requests) == 1


async def test_a_refused_connection(send: Send) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        with pytest.raises(Unreachable) as raised:
            await send(origin=f"http://127.0.0.1:{free.getsockname()[1]}")
    assert not raised.value.sent


async def test_a_connection_that_is_not_accepted(hasty: Transport) -> None:
    with socket.socket() as busy, socket.socket() as first, socket.socket() as second:
        busy.bind(("127.0.0.1", 0))
        busy.listen(0)
        for each in (first, second):
            each.settimeout(0)
            each.connect_ex(busy.getsockname())
        with pytest.raises(ConnectTimeout) as raised:
            await hasty.send(
                UpstreamRequest("GET", f"http://127.0.0.1:{busy.getsockname()[1]}/", ())
            )
    assert not raised.value.sent


async def test_a_server_without_tls(send: Send) -> None:
    async def refuse(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(1)
        writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")
        writer.close()

    server = await asyncio.start_server(refuse, "127.0.0.1", 0)
    async with server:
        port = server.sockets[0].getsockname()[1]
        with pytest.raises(Unreachable) as raised:
            await send(origin=f"https://127.0.0.1:{port}")
    assert not raised.value.sent


@pytest.mark.parametrize("method", ["GET", "PUT", "POST", "DELETE"])
@pytest.mark.parametrize("then", ["close", "reset"])
async def test_nothing_is_sent_twice_even_on_a_reused_connection(
    server: Server, send: Send, method: str, then: Literal["close", "reset"]
) -> None:
    server.script = [Reply(OK), Reply(b"", then), Reply(OK)]
    await send()
    with pytest.raises(ConnectionTerminated):
        await send(method)
    assert server.connections == 1
    assert [head.split()[0] for head in server.requests] == [b"GET", method.encode()]


async def test_a_slow_header_times_out(server: Server, hasty: Transport) -> None:
    header_bytes = b"HTTP/1.1 200 OK\r\nX-A: " + b"a" * 10_000
    server.script = [Reply(header_bytes, "drip")]
    with pytest.raises(ResponseTimeout) as raised:
        await hasty.send(UpstreamRequest("GET", server.url + "/1/x", ()))
    assert raised.value.sent


async def test_a_request_body_that_is_not_read_times_out(hasty: Transport) -> None:
    async def endless() -> AsyncIterator[bytes]:
        while True:
            yield b"x" * 65536

    async def deaf(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(asyncio.CancelledError):
            await given_up.wait()
        writer.transport.abort()

    given_up = asyncio.Event()
    listening = await asyncio.start_server(deaf, "127.0.0.1", 0)
    async with listening:
        port = listening.sockets[0].getsockname()[1]
        fields = (("Content-Length", str(1 << 40)),)
        with pytest.raises(ResponseTimeout):
            await hasty.send(
                UpstreamRequest("POST", f"http://127.0.0.1:{port}/", fields, endless())
            )
        given_up.set()


async def test_a_client_that_uploads_slowly_is_awaited(server: Server, hasty: Transport) -> None:
    async def slow() -> AsyncIterator[bytes]:
        for _ in range(4):
            await asyncio.sleep(0.25)
            yield b"xx"

    fields = (("Content-Length", "8"),)
    response = await hasty.send(UpstreamRequest("POST", server.url + "/1/x", fields, slow()))
    response.close()
    assert server.requests[0].endswith(b"x" * 8)


async def test_another_address_is_tried_after_a_dead_one(
    upstream: Transport, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def response(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(OK)
        writer.close()

    async def addresses(_host: str, port: int, **_: object) -> list[tuple[object, ...]]:
        return [
            (socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, port))
            for address in ("127.0.0.3", "127.0.0.1")
        ]

    listening = await asyncio.start_server(response, "127.0.0.1", 0)
    port = listening.sockets[0].getsockname()[1]
    monkeypatch.setattr(asyncio.get_running_loop(), "getaddrinfo", addresses)
    with socket.socket() as dead, socket.socket() as first, socket.socket() as second:
        dead.bind(("127.0.0.3", port))  # takes no connection: its backlog is full
        dead.listen(0)
        for each in (first, second):
            each.settimeout(0)
            each.connect_ex(dead.getsockname())
        async with listening, asyncio.timeout(10):
            request = UpstreamRequest("GET", f"http://trello.example:{port}/1/x", ())
            reply = await upstream.send(request)
            reply.close()
    assert reply.status == 200


@pytest.mark.parametrize("method", ["PUT", "DELETE", "POST"])
async def test_a_write_that_timed_out_is_not_repeated(
    server: Server, send: Send, method: str
) -> None:
    server.script = [Reply(b"", "hang"), Reply(OK)]
    with pytest.raises(ResponseTimeout):
        await send(method)
    assert len(server.requests) == 1


async def test_a_read_with_a_body_is_sent_once(server: Server, send: Send) -> None:
    server.script = [Reply(b"", "close"), Reply(OK)]
    with pytest.raises(ConnectionTerminated):
        await send(body=b"{}")
    assert len(server.requests) == 1


async def test_connections_are_reused_unless_a_response_was_left_unread(
    server: Server, send: Send, upstream: Transport
) -> None:
    await send()
    await send()
    assert server.connections == 1
    server.script = [UNFINISHED]
    response = await upstream.send(UpstreamRequest("GET", server.url + "/1/x", ()))
    response.close()
    await send()
    assert server.connections == 2


async def test_waiting_for_a_free_connection_times_out(server: Server, hasty: Transport) -> None:
    request = UpstreamRequest("GET", server.url + "/1/x", ())
    server.script = [UNFINISHED] * transport.MAX_CONNECTIONS
    held = [await hasty.send(request) for _ in server.script.copy()]
    with pytest.raises(ConnectTimeout) as raised:
        await hasty.send(request)
    assert not raised.value.sent
    for response in held:
        response.close()
    (await hasty.send(request)).close()


async def test_connections_to_one_host_use_up_none_to_another(
    server: Server, upstream: Transport
) -> None:
    request = UpstreamRequest("GET", server.url + "/1/x", ())
    server.script = [UNFINISHED] * transport.MAX_CONNECTIONS
    held = [await upstream.send(request) for _ in server.script.copy()]
    elsewhere = server.url.replace("127.0.0.1", "127.0.0.2")
    (await upstream.send(UpstreamRequest("GET", elsewhere + "/1/x", ()))).close()
    for response in held:
        response.close()


async def test_a_redirect_is_not_followed(server: Server, send: Send) -> None:
    where = f"Location: {server.url}/elsewhere".encode()
    server.script = [Reply(header(where, b"Content-Length: 0", status=b"302 Found"))]
    assert (await send()).status == 302
    assert len(server.requests) == 1


async def test_a_cookie_is_not_remembered(server: Server, send: Send) -> None:
    server.script = [Reply(header(b"Set-Cookie: a=1; Path=/", b"Content-Length: 0"))]
    await send()
    await send()
    assert b"cookie" not in server.requests[1].lower()


async def test_a_body_is_not_decoded(server: Server, send: Send) -> None:
    body = gzip.compress(b"{}" * 100)
    length = b"Content-Length: %d" % len(body)
    server.script = [Reply(header(b"Content-Encoding: GZIP", length) + body)]
    received = await send()
    assert (received.body, received.coding, received.length) == (body, "gzip", len(body))


async def test_no_proxy_of_the_environment_is_used(
    server: Server, send: Send, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("http_proxy", "HTTP_PROXY", "HTTPS_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    assert (await send()).status == 200


async def test_a_request_is_sent_exactly_as_given(server: Server, send: Send) -> None:
    target = "/1//Boards/%7e%41,b%2C/?q=a+b%20c&x=%zz[]&&y='"
    await send(target=target, fields=(("Authorization", "OAuth x"), ("X-A", "1"), ("X-A", "2")))
    assert server.requests == [
        f"GET {target} HTTP/1.1\r\nHost: 127.0.0.1:{server.port}\r\n"
        "Authorization: OAuth x\r\nX-A: 1\r\nX-A: 2\r\n\r\n".encode()
    ]


async def test_a_body_is_sent_unchanged_and_without_a_default_type(
    server: Server, send: Send
) -> None:
    await send("POST", body=b"\x00\xffbody")
    head, _, body = server.requests[0].partition(b"\r\n\r\n")
    assert body == b"\x00\xffbody"
    assert b"content-type" not in head.lower()


async def test_response_fields_keep_their_bytes_and_order(server: Server, send: Send) -> None:
    server.script = [
        Reply(header(b"X-B: caf\xe9", b"x-a: \xc3\xa9", b"X-B: 2", b"Content-Length: 0"))
    ]
    assert (await send()).fields == (
        ("X-B", b"caf\xe9".decode("latin-1")),
        ("x-a", b"\xc3\xa9".decode("latin-1")),
        ("X-B", "2"),
        ("Content-Length", "0"),
    )


async def test_it_is_known_whether_truncation_would_be_noticed(server: Server, send: Send) -> None:
    server.script = [
        Reply(header() + b"{}", "close"),
        Reply(header(b"Transfer-Encoding: chunked") + b"2\r\n{}\r\n0\r\n\r\n"),
        Reply(OK),
    ]
    received = [await send() for _ in range(3)]
    assert [each.length_known for each in received] == [False, True, True]
    assert [each.length for each in received] == [None, None, 2]
    assert {each.body for each in received} == {b"{}"}


async def _respond(_: web.BaseRequest) -> web.Response:
    return web.Response(text="inside")


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
async def test_the_address_is_checked_when_connecting(host: str) -> None:
    checked: list[tuple[str, int]] = []

    def never(address: str, port: int) -> bool:
        checked.append((address, port))
        return False

    runner = web.ServerRunner(web.Server(_respond))
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    port = runner.addresses[0][1]
    upstream = Transport(connect_timeout_s=5, read_timeout_s=5, may_connect=never)
    try:
        with pytest.raises(InvalidResponse):
            await upstream.send(UpstreamRequest("GET", f"http://{host}:{port}/", ()))
    finally:
        await upstream.close()
        await runner.cleanup()
    assert checked
    assert {each[1] for each in checked} == {port}
    assert all(aiohttp.helpers.is_ip_address(address) for address, _ in checked)
