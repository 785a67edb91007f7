"""What is held for clients has one bound; beyond it some are refused, others notice nothing."""

import asyncio
import gzip
import json
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import pytest

from proxy.server import connection
from proxy.upstream import response_body
from tests.scenarios.upstream import resident
from tests.server.conftest import (
    Heard,
    Proxy,
    Start,
    Wire,
    says,
)
from tests.server.raw_upstream import (
    BODY,
    JSON,
    PATIENCE_S,
    READ,
    RawUpstream,
    answer,
    hang,
)

CARD = "/1/cards/5e9310df53f23017628a8011"
CARDS = "/1/boards/5e93ba403f1ab3603ba81a09/cards"
MIB = 1024 * 1024
SMALL = "limits: {memory: 1MiB}"
GZIP = JSON + b"Content-Encoding: gzip\r\n"
LONG = b"[" + b'{"id":"5e9310df53f23017628a8011","name":"A card like any other"},' * 64_000 + b"{}]"
"""4 MB that pack to some kilobytes."""


async def used(proxy: Proxy) -> dict[str, float]:
    """Bytes held for clients, by use."""
    text = (await proxy.get("/metrics")).body.decode()
    lines = [line for line in text.splitlines() if line.startswith("trello_proxy_client_memory_b")]
    return {line.split('"')[1]: float(line.rpartition(" ")[2]) for line in lines}


async def until(is_so: Callable[[dict[str, float]], bool], proxy: Proxy) -> None:
    async with asyncio.timeout(PATIENCE_S):
        while not is_so(await used(proxy)):  # noqa: ASYNC110 — it can only be polled
            await asyncio.sleep(0.001)


def is_nothing(bytes_by_use: dict[str, float]) -> bool:
    return not any(bytes_by_use.values())


async def unfinished(proxy: Proxy, client: int = 1) -> Wire:
    """A client in the middle of a body of 250 kB."""
    wire = await proxy.connect(client=client)
    fields = {"Content-Length": "250000", "Content-Type": "application/json"}
    wire.send(proxy.request("PUT", CARD, fields) + b'{"desc":"' + b"x" * 200_000)
    return wire


@asynccontextmanager
async def who_reads_nothing(proxy: Proxy, count: int, request: bytes) -> AsyncIterator[None]:
    """Connections of three clients that send a request and receive as little as a socket can."""
    loop, clients = asyncio.get_running_loop(), []
    for number in range(count):
        client = socket.socket()
        client.bind((f"127.0.0.{number % 3 + 1}", 0))
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        client.setblocking(False)  # noqa: FBT003
        await loop.sock_connect(client, ("127.0.0.1", proxy.app.port))
        await loop.sock_sendall(client, request)
        clients.append(client)
    yield
    for client in clients:
        client.close()


async def test_unfinished_bodies_are_bounded_and_hits_go_on(before: Start) -> None:
    proxy = await before(answer(), SMALL)
    hit = [await proxy.get(READ) for _ in range(3)][-1]
    wires = [await unfinished(proxy, number % 3 + 1) for number in range(6)]
    refused = await asyncio.gather(*(wire.hear("PUT") for wire in wires[3:]))
    assert all(says(each, 503, "memory-full") for each in refused)
    assert {each.fields["retry-after"] for each in refused} == {"5"}
    assert 600_000 <= (await used(proxy))["requests"] <= 0.75 * MIB
    again = await proxy.get(READ)
    assert (again.body, again.fields["cache-status"]) == (hit.body, hit.fields["cache-status"])
    for wire in wires[:3]:
        await wire.close()
    await until(is_nothing, proxy)
    body = json.dumps({"desc": "x" * 200_000}).encode()
    heard = await proxy.ask("PUT", CARD, {"Content-Type": "application/json"}, body)
    assert heard.status == 200
    await until(is_nothing, proxy)
    events = [line for line in proxy.log.splitlines() if b"client memory full" in line]
    assert len(events) == 1


async def test_one_client_cannot_hold_all_of_it(before: Start) -> None:
    proxy = await before(answer(), SMALL)
    wires = [await unfinished(proxy) for _ in range(3)]
    assert says(await wires[2].hear("PUT"), 503, "memory-full")
    other = await unfinished(proxy, client=2)
    await until(lambda each: each["requests"] == 600_027, proxy)
    for wire in (*wires, other):
        await wire.close()
    await until(is_nothing, proxy)


async def test_the_response_to_a_write_is_sent_though_the_memory_is_full(before: Start) -> None:
    long = b'["' + b"x" * 400_000 + b'"]'
    proxy = await before(answer(long), SMALL)
    wires = [await unfinished(proxy, number + 1) for number in range(3)]
    await until(lambda each: each["requests"] == 600_027, proxy)
    for _ in range(2):
        heard = await proxy.ask("PUT", CARD)
        assert (heard.status, heard.body) == (200, long)
    for wire in wires:
        await wire.close()
    await until(is_nothing, proxy)


async def test_the_bodies_that_are_sent_on_are_bounded_too(before: Start) -> None:
    proxy = await before(hang, SMALL)
    fields = {"Content-Length": "9000000", "Content-Type": "multipart/form-data; boundary=b"}
    head = b'--b\r\nContent-Disposition: form-data; name="file"; filename="a"\r\n\r\n'
    wires = [await proxy.connect(client=number % 2 + 1) for number in range(8)]
    for wire in wires:
        wire.send(proxy.request("POST", f"{CARD}/attachments", fields) + head + b"x" * 100_000)
    statuses = await asyncio.gather(*(status_of(wire) for wire in wires))
    assert sorted(statuses) == [0] * 6 + [503] * 2
    assert sum((await used(proxy)).values()) <= MIB
    for wire in wires:
        await wire.close()
    await until(is_nothing, proxy)


async def status_of(wire: Wire) -> int:
    """The status of the response; 0 while the proxy waits for the body."""
    try:
        async with asyncio.timeout(0.2):
            return (await wire.hear("POST")).status
    except (TimeoutError, EOFError, ConnectionError):
        return 0


async def test_clients_that_receive_nothing_of_a_large_response_cost_little(
    before: Start,
) -> None:
    proxy = await before(answer(gzip.compress(LONG, 1), GZIP), "limits: {memory: 6MiB}")
    assert (await proxy.get(CARDS)).body == LONG
    assert (await proxy.get(CARDS)).fields["cache-status"].startswith("trello-proxy; hit;")
    before_bytes = resident()
    async with who_reads_nothing(proxy, 40, proxy.request("GET", CARDS)):
        await until(lambda each: each["responses"] > 4 * MIB, proxy)
        assert says(await proxy.get(CARDS), 503, "memory-full")
        assert (await proxy.get(CARDS, {"Accept-Encoding": "gzip"})).status == 200
        assert sum((await used(proxy)).values()) <= 6 * MIB
        assert resident() - before_bytes < 30 * MIB
    await until(is_nothing, proxy)
    assert (await proxy.get(CARDS)).body == LONG


async def test_who_takes_nothing_of_hits_makes_room_for_the_others(before: Start) -> None:
    """Their bytes are in our buffers already: the one that has left them there longest ends."""
    proxy = await before(answer(b'["' + b"x" * 200_000 + b'"]'), "limits: {memory: 3MiB}")
    request = proxy.request("GET", CARDS)
    for _ in range(3):
        await proxy.say(request)
    # More than a socket takes in on its own.
    async with who_reads_nothing(proxy, 60, request * 40):
        async with asyncio.timeout(PATIENCE_S):
            while b'closed_total{reason="memory"} 0.0' in await metrics(proxy):  # noqa: ASYNC110
                await asyncio.sleep(0.001)
        assert sum((await used(proxy)).values()) <= 3 * MIB
        heard = await proxy.say(request)
        assert (heard.status, len(heard.body)) == (200, 200_004)
    await until(is_nothing, proxy)


async def test_who_takes_nothing_of_hits_and_asks_no_more_is_let_go(
    before: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Only the connection waits for a prepared hit to be received."""
    monkeypatch.setattr(connection, "WRITE_IDLE_S", 0.1)
    proxy = await before(answer(b'["' + b"x" * 200_000 + b'"]'))
    request = proxy.request("GET", CARDS)
    for _ in range(3):
        await proxy.say(request)
    async with who_reads_nothing(proxy, 1, request * 40), asyncio.timeout(PATIENCE_S):
        while b'closed_total{reason="slow"} 0.0' in await metrics(proxy):  # noqa: ASYNC110
            await asyncio.sleep(0.001)
    await until(is_nothing, proxy)


async def metrics(proxy: Proxy) -> bytes:
    return (await proxy.get("/metrics")).body


async def test_headers_without_end_are_bounded(before: Start) -> None:
    proxy = await before(answer())
    wire = await proxy.connect()
    wire.send(b"GET /1/members/me HTTP/1.1\r\nHost: localhost\r\n")
    wire.send(b"X-Long: " + b"x" * 20_000 + b"\r\n")
    await until(lambda each: each["buffers"] > 20_000, proxy)
    wire.send((b"X-Long: " + b"x" * 20_000 + b"\r\n") * 4)
    assert says(await wire.hear(), 431, "header-fields-too-large")
    assert await wire.ended()
    assert b'connections_closed_total{reason="header"} 1.0' in await metrics(proxy)
    await until(is_nothing, proxy)


async def test_requests_that_wait_behind_another_are_not_all_received(
    before: Start, raw_upstream: RawUpstream
) -> None:
    asked = asyncio.Event()

    async def late(_: asyncio.StreamReader, writer: asyncio.StreamWriter, __: bytes) -> None:
        await asked.wait()
        writer.write(answer())

    proxy = await before(late)
    wire = await proxy.connect()
    wire.send(proxy.request("GET", READ))
    other = proxy.request("GET", READ, {"X-Long": "x" * 20_000})
    wire.send(other * 30)
    await until(lambda each: each["buffers"] > 0, proxy)
    await raw_upstream.until_asked(1)
    assert len(raw_upstream.asked) == 1
    assert (await used(proxy))["buffers"] < 100_000
    asked.set()
    heard = [await wire.hear() for _ in range(31)]
    assert {each.body for each in heard} == {BODY}
    await until(is_nothing, proxy)


async def test_a_response_too_long_when_inflated_passes_in_pieces(
    before: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(response_body, "MAX_PLAIN_BYTES", MIB)
    proxy = await before(answer(gzip.compress(LONG, 1), GZIP))
    for _ in range(2):
        heard: Heard = await proxy.get(CARDS)
        assert heard.body == LONG
        assert heard.fields["cache-status"] == "trello-proxy; fwd=bypass"
    await until(is_nothing, proxy)
