"""The only outward socket: what goes out, what comes back, and the name of what went wrong."""

import asyncio
import gzip
import socket
from collections.abc import AsyncIterator
from contextlib import suppress
from typing import Literal

import pytest

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
    Ask,
    Say,
    Server,
)


def header(*lines: bytes, status: bytes = b"200 OK") -> bytes:
    return b"\r\n".join((b"HTTP/1.1 " + status, *lines, b"", b""))


NO_ANSWER: dict[str, tuple[Say, type[UpstreamError]]] = {
    "closed without a word": (Say(b"", "close"), ConnectionTerminated),
    "reset without a word": (Say(b"", "reset"), ConnectionTerminated),
    "closed in the header": (Say(b"HTTP/1.1 200 OK\r\nConte", "close"), ConnectionTerminated),
    "silence": (Say(b"", "hang"), ResponseTimeout),
    "silence in the header": (Say(b"HTTP/1.1 200 OK\r\n", "hang"), ResponseTimeout),
    "another protocol": (Say(b"SSH-2.0-OpenSSH\r\n\r\n", "close"), InvalidResponse),
    "no status": (Say(b"HTTP/1.1 soon OK\r\n\r\n", "close"), InvalidResponse),
    "a field too long": (
        Say(header(b"X: " + b"x" * MAX_LINE_BYTES, b"Content-Length: 0"), "close"),
        InvalidResponse,
    ),
    "a length that is no number": (Say(header(b"Content-Length: 1x"), "close"), InvalidResponse),
    "a chunk of no length": (
        Say(header(b"Transfer-Encoding: chunked") + b"zz\r\n{}\r\n", "close"),
        InvalidResponse,
    ),
    "two lengths": (
        Say(header(b"Content-Length: 1", b"Content-Length: 2"), "close"),
        InvalidResponse,
    ),
}

CUT: dict[str, tuple[Say, type[UpstreamError]]] = {
    "closed before its length": (
        Say(header(b"Content-Length: 9") + b"{}", "close"),
        IncompleteResponse,
    ),
    "reset before its length": (
        Say(header(b"Content-Length: 9") + b"{}", "reset"),
        IncompleteResponse,
    ),
    "closed between chunks": (
        Say(header(b"Transfer-Encoding: chunked") + b"2\r\n{}\r\n", "close"),
        IncompleteResponse,
    ),
    "closed within a chunk": (
        Say(header(b"Transfer-Encoding: chunked") + b"9\r\n{}", "close"),
        IncompleteResponse,
    ),
    "silence": (Say(header(b"Content-Length: 9") + b"{}", "hang"), ResponseTimeout),
}


UNFINISHED = Say(header(b"Content-Length: 999") + b"x", "hang")


@pytest.mark.parametrize(("say", "error"), NO_ANSWER.values(), ids=NO_ANSWER.keys())
async def test_no_answer(server: Server, ask: Ask, say: Say, error: type[UpstreamError]) -> None:
    server.says = [say, say]
    with pytest.raises(error) as raised:
        await ask()
    assert str(server.port) not in str(raised.value)
    assert raised.value.sent


@pytest.mark.parametrize(("say", "error"), CUT.values(), ids=CUT.keys())
async def test_an_answer_cut(
    server: Server, ask: Ask, say: Say, error: type[UpstreamError]
) -> None:
    server.says = [say]
    with pytest.raises(error):
        await ask()
    assert len(server.heard) == 1


async def test_nobody_listens(ask: Ask) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        with pytest.raises(Unreachable) as raised:
            await ask(origin=f"http://127.0.0.1:{free.getsockname()[1]}")
    assert not raised.value.sent


async def test_nobody_takes_the_connection(hasty: Transport) -> None:
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


async def test_somebody_else_listens_where_tls_belongs(ask: Ask) -> None:
    async def refuse(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(1)
        writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")
        writer.close()

    server = await asyncio.start_server(refuse, "127.0.0.1", 0)
    async with server:
        port = server.sockets[0].getsockname()[1]
        with pytest.raises(Unreachable) as raised:
            await ask(origin=f"https://127.0.0.1:{port}")
    assert not raised.value.sent


@pytest.mark.parametrize("method", ["GET", "PUT", "POST", "DELETE"])
@pytest.mark.parametrize("then", ["close", "reset"])
async def test_nothing_is_sent_twice_even_on_a_kept_connection(
    server: Server, ask: Ask, method: str, then: Literal["close", "reset"]
) -> None:
    server.says = [Say(OK), Say(b"", then), Say(OK)]
    await ask()
    with pytest.raises(ConnectionTerminated):
        await ask(method)
    assert server.connections == 1
    assert [head.split()[0] for head in server.heard] == [b"GET", method.encode()]


async def test_a_header_that_drips_is_given_up(server: Server, hasty: Transport) -> None:
    header_bytes = b"HTTP/1.1 200 OK\r\nX-A: " + b"a" * 10_000
    server.says = [Say(header_bytes, "drip")]
    with pytest.raises(ResponseTimeout) as raised:
        await hasty.send(UpstreamRequest("GET", server.url + "/1/x", ()))
    assert raised.value.sent


async def test_a_body_that_nobody_takes_is_given_up(hasty: Transport) -> None:
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


async def test_a_client_that_uploads_slowly_is_waited_for(server: Server, hasty: Transport) -> None:
    async def slow() -> AsyncIterator[bytes]:
        for _ in range(4):
            await asyncio.sleep(0.25)
            yield b"xx"

    fields = (("Content-Length", "8"),)
    response = await hasty.send(UpstreamRequest("POST", server.url + "/1/x", fields, slow()))
    response.close()
    assert server.heard[0].endswith(b"x" * 8)


async def test_another_address_is_tried_where_one_is_dead(
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
async def test_a_write_that_took_too_long_is_not_repeated(
    server: Server, ask: Ask, method: str
) -> None:
    server.says = [Say(b"", "hang"), Say(OK)]
    with pytest.raises(ResponseTimeout):
        await ask(method)
    assert len(server.heard) == 1


async def test_a_read_with_a_body_is_sent_once(server: Server, ask: Ask) -> None:
    server.says = [Say(b"", "close"), Say(OK)]
    with pytest.raises(ConnectionTerminated):
        await ask(body=b"{}")
    assert len(server.heard) == 1


async def test_connections_are_kept_unless_an_answer_was_left_unread(
    server: Server, ask: Ask, upstream: Transport
) -> None:
    await ask()
    await ask()
    assert server.connections == 1
    server.says = [UNFINISHED]
    response = await upstream.send(UpstreamRequest("GET", server.url + "/1/x", ()))
    response.close()
    await ask()
    assert server.connections == 2


async def test_who_finds_all_connections_taken_does_not_wait_for_ever(
    server: Server, hasty: Transport
) -> None:
    request = UpstreamRequest("GET", server.url + "/1/x", ())
    server.says = [UNFINISHED] * transport.MAX_CONNECTIONS
    held = [await hasty.send(request) for _ in server.says.copy()]
    with pytest.raises(ConnectTimeout) as raised:
        await hasty.send(request)
    assert not raised.value.sent
    for response in held:
        response.close()
    (await hasty.send(request)).close()


async def test_connections_to_one_host_take_none_from_another(
    server: Server, upstream: Transport
) -> None:
    request = UpstreamRequest("GET", server.url + "/1/x", ())
    server.says = [UNFINISHED] * transport.MAX_CONNECTIONS
    held = [await upstream.send(request) for _ in server.says.copy()]
    elsewhere = server.url.replace("127.0.0.1", "127.0.0.2")
    (await upstream.send(UpstreamRequest("GET", elsewhere + "/1/x", ()))).close()
    for response in held:
        response.close()


async def test_a_redirect_is_not_followed(server: Server, ask: Ask) -> None:
    where = f"Location: {server.url}/elsewhere".encode()
    server.says = [Say(header(where, b"Content-Length: 0", status=b"302 Found"))]
    assert (await ask()).status == 302
    assert len(server.heard) == 1


async def test_a_cookie_is_not_remembered(server: Server, ask: Ask) -> None:
    server.says = [Say(header(b"Set-Cookie: a=1; Path=/", b"Content-Length: 0"))]
    await ask()
    await ask()
    assert b"cookie" not in server.heard[1].lower()


async def test_a_body_is_not_decoded(server: Server, ask: Ask) -> None:
    body = gzip.compress(b"{}" * 100)
    length = b"Content-Length: %d" % len(body)
    server.says = [Say(header(b"Content-Encoding: GZIP", length) + body)]
    told = await ask()
    assert (told.body, told.coding, told.length) == (body, "gzip", len(body))


async def test_no_proxy_of_the_environment_is_asked(
    server: Server, ask: Ask, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    assert (await ask()).status == 200


async def test_exactly_what_was_asked_goes_out(server: Server, ask: Ask) -> None:
    target = "/1//Boards/%7e%41,b%2C/?q=a+b%20c&x=%zz[]&&y='"
    await ask(target=target, fields=(("Authorization", "OAuth x"), ("X-A", "1"), ("X-A", "2")))
    assert server.heard == [
        f"GET {target} HTTP/1.1\r\nHost: 127.0.0.1:{server.port}\r\n"
        "Authorization: OAuth x\r\nX-A: 1\r\nX-A: 2\r\n\r\n".encode()
    ]


async def test_a_body_goes_out_as_it_is_without_a_type_of_our_own(server: Server, ask: Ask) -> None:
    await ask("POST", body=b"\x00\xffbody")
    head, _, body = server.heard[0].partition(b"\r\n\r\n")
    assert body == b"\x00\xffbody"
    assert b"content-type" not in head.lower()


async def test_fields_come_back_byte_for_byte_in_their_order(server: Server, ask: Ask) -> None:
    server.says = [Say(header(b"X-B: caf\xe9", b"x-a: \xc3\xa9", b"X-B: 2", b"Content-Length: 0"))]
    assert (await ask()).fields == (
        ("X-B", b"caf\xe9".decode("latin-1")),
        ("x-a", b"\xc3\xa9".decode("latin-1")),
        ("X-B", "2"),
        ("Content-Length", "0"),
    )


async def test_it_is_known_whether_a_cut_would_have_been_noticed(server: Server, ask: Ask) -> None:
    server.says = [
        Say(header() + b"{}", "close"),
        Say(header(b"Transfer-Encoding: chunked") + b"2\r\n{}\r\n0\r\n\r\n"),
        Say(OK),
    ]
    told = [await ask() for _ in range(3)]
    assert [each.length_known for each in told] == [False, True, True]
    assert [each.length for each in told] == [None, None, 2]
    assert {each.body for each in told} == {b"{}"}
