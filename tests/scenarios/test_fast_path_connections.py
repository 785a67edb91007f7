"""Connections that repeat a request: paused, half-closed, idle, pipelined, closed by the proxy."""

import asyncio
import gc
import socket
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

import pytest

from proxy.fake_trello.server import FakeTrello
from proxy.server import aiohttp_connection
from proxy.server.connection import Connection
from tests.scenarios.conftest import Proxy, Raw, answering, slow_client, turns

REQUESTS = "trello_proxy_client_api_requests_total"
Connect = Callable[[], Awaitable[Raw]]


def _header(proxy: Proxy, target: str, *fields: str) -> bytes:
    lines = (f"GET {target} HTTP/1.1", f"Host: {proxy.host}", *fields, "", "")
    return "\r\n".join(lines).encode()


async def _learnt(raw: Raw, header: bytes) -> bytes:
    """The body of the response to a header that was sent four times."""
    for _ in range(3):
        await raw.send(header)
        await raw.answer()
    await raw.send(header)
    return (await raw.answer())[2]


@dataclass(frozen=True, slots=True)
class Learnt:
    """Two headers that were sent often enough, and the bodies of their responses."""

    long: bytes
    long_body: bytes
    short: bytes
    short_body: bytes


@pytest.fixture
async def learnt(proxy: Proxy, connect: Connect, standin: FakeTrello, board: str) -> Learnt:
    raw = await connect()
    long, short = (_header(proxy, f"/1/boards/{board}?fields={each}") for each in ("id", "name"))
    standin.faults.add(answering(250_000))
    long_body = await _learnt(raw, long)
    standin.faults.clear()
    short_body = await _learnt(raw, short)
    assert len(long_body) > 250_000
    await raw.close()
    await turns()
    return Learnt(long, long_body, short, short_body)


def _idle_connections() -> list[Connection]:
    """The proxy's connections that wait for a request."""
    connections = [each for each in gc.get_objects() if isinstance(each, Connection)]
    return [each for each in connections if each.is_idle and each.can_write()]


async def test_a_client_that_reads_nothing_gets_every_response_later_whole_and_in_order(
    proxy: Proxy, learnt: Learnt
) -> None:
    client = await slow_client(proxy)
    for number in range(90):
        await asyncio.get_running_loop().sock_sendall(
            client, learnt.short if number % 3 else learnt.long
        )
        await turns(5)
    counted, before = 0.0, -1.0
    async with asyncio.timeout(10):
        while counted != before:
            await turns()
            counted, before = await proxy.metric(REQUESTS), counted
    assert counted < 80, "it waits until the client reads"
    slow = Raw(*await asyncio.open_connection(sock=client))
    for number in range(90):
        body = learnt.short_body if number % 3 else learnt.long_body
        assert (await slow.answer())[2] == body
    assert await _learnt(slow, learnt.short) == learnt.short_body
    await slow.close()


async def test_a_hit_that_the_socket_takes_in_part_arrives_whole(
    proxy: Proxy, learnt: Learnt
) -> None:
    slow = Raw(*await asyncio.open_connection(sock=await slow_client(proxy)))
    assert await _learnt(slow, learnt.short) == learnt.short_body
    (connection,) = _idle_connections()
    assert connection.transport is not None
    connection.transport.get_extra_info("socket").setsockopt(
        socket.SOL_SOCKET, socket.SO_SNDBUF, 4096
    )
    for _ in range(3):
        await slow.send(learnt.long)
        await turns(5)
        assert not connection.can_write(), "a part waits for the client"
        assert (await slow.answer())[2] == learnt.long_body
        await slow.send(learnt.short)
        assert (await slow.answer())[2] == learnt.short_body
    await slow.close()


async def test_requests_behind_a_hit_are_answered_in_order_however_they_are_cut(
    proxy: Proxy, connect: Connect, board: str
) -> None:
    raw = await connect()
    headers = [_header(proxy, f"/1/boards/{board}?fields={each}") for each in ("id", "name")]
    bodies = [await _learnt(raw, header) for header in headers]
    stream = b"".join(headers) * 4
    for size in (len(headers[0]), len(headers[0]) - 1, len(headers[0]) + 1, 7, 1000):
        await raw.send(headers[0])
        assert (await raw.answer())[2] == bodies[0]
        for at in range(0, len(stream), size):
            await raw.send(stream[at : at + size])
            await turns(3)
        assert [(await raw.answer())[2] for _ in range(8)] == bodies * 4, size


@pytest.mark.parametrize("hits", [0, 1, 5])
async def test_a_client_that_sends_no_more_gets_its_response_and_the_end(
    proxy: Proxy, connect: Connect, board: str, hits: int
) -> None:
    header = _header(proxy, f"/1/boards/{board}?fields=name")
    body = await _learnt(await connect(), header)
    reader, writer = await asyncio.open_connection("127.0.0.1", proxy.app.port)
    raw = Raw(reader, writer)
    for _ in range(hits):
        await raw.send(header)
        assert (await raw.answer())[2] == body
    writer.write(header)
    writer.write_eof()
    assert (await raw.answer())[2] == body
    assert await raw.rest() == b""
    await raw.close()


async def test_a_client_that_sends_no_more_after_a_hit_is_disconnected(
    proxy: Proxy, board: str
) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", proxy.app.port)
    raw = Raw(reader, writer)
    await _learnt(raw, _header(proxy, f"/1/boards/{board}?fields=name"))
    writer.write_eof()
    assert await raw.rest() == b""
    await raw.close()


async def test_a_connection_is_idle_for_as_long_after_a_hit_as_after_any_response(
    proxy: Proxy, connect: Connect, board: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert aiohttp_connection.KEEPALIVE_S == 75
    monkeypatch.setattr(aiohttp_connection, "KEEPALIVE_S", 0.3)
    raw = await connect()
    header, loop = _header(proxy, f"/1/boards/{board}?fields=name"), asyncio.get_running_loop()
    await _learnt(raw, header)
    await asyncio.sleep(0.2)
    await raw.send(header)
    last_at = loop.time()
    await raw.answer()
    assert await raw.rest() == b""
    assert 0.3 <= loop.time() - last_at < 0.5


@pytest.mark.parametrize("end", [Connection.close, Connection.force_close])
async def test_a_connection_that_is_being_closed_repeats_no_hit(
    proxy: Proxy, connect: Connect, board: str, end: Callable[[Connection], object]
) -> None:
    header = _header(proxy, f"/1/boards/{board}?fields=name")
    await _learnt(await connect(), header)
    (connection,) = _idle_connections()
    assert connection.is_after_hit
    before = await proxy.metric(REQUESTS)
    end(connection)
    connection.data_received(header)
    assert await proxy.metric(REQUESTS) == before


async def test_a_connection_after_a_hit_ends_with_the_proxy(
    proxy: Proxy, connect: Connect, board: str
) -> None:
    raw = await connect()
    header = _header(proxy, f"/1/boards/{board}?fields=name")
    await _learnt(raw, header)
    await proxy.app.stop()
    assert await raw.rest() == b""
