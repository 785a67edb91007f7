"""Connections beyond the limit: idle ones are closed for them, or they get a 503."""

import asyncio
import json
import resource
import socket
from asyncio import constants
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import pytest

from proxy.fake_trello.server import FakeTrello
from proxy.server import connection_limits
from tests.server.conftest import (
    MakeProxy,
    Proxy,
    Wire,
    says,
)

CARD = "/1/cards/5e9310df53f23017628a8011"
ASK = b"GET /healthz HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"


@pytest.fixture
async def small(
    make_proxy: MakeProxy, standin: FakeTrello, monkeypatch: pytest.MonkeyPatch
) -> Proxy:
    """A proxy that takes four connections, two of each address."""
    monkeypatch.setattr(connection_limits, "MAX_CONNECTIONS", 4)
    return await make_proxy(standin.url)


async def at_work(proxy: Proxy, more: Mapping[str, str] | None = None) -> Wire:
    """A connection in the middle of a body of a hundred bytes."""
    wire = await proxy.connect()
    fields = {
        "Content-Length": "100",
        "Content-Type": "application/json",
        "Expect": "100-continue",
        **(more or {}),
    }
    wire.send(proxy.request("PUT", CARD, fields))
    assert (await wire.hear("PUT")).status == 100
    wire.send(b'{"name"')
    return wire


async def figure(proxy: Proxy, sample: bytes) -> float:
    text = (await proxy.get("/metrics")).body
    (line,) = [line for line in text.splitlines() if line.startswith(sample + b" ")]
    return float(line.rpartition(b" ")[2])


async def is_answered(wire: Wire) -> bool:
    wire.send(ASK)
    try:
        return (await wire.hear()).status == 200
    except (EOFError, ConnectionError):
        return False


async def test_the_connection_that_has_been_idle_the_longest_makes_room(small: Proxy) -> None:
    first, second = [await small.connect() for _ in range(2)]
    assert await is_answered(second)
    assert await is_answered(first)
    third = await small.connect()
    assert await is_answered(third)
    assert not await is_answered(second)
    assert await is_answered(first)
    assert await is_answered(third)


async def test_silent_connections_keep_no_client_out(small: Proxy) -> None:
    silent = [await small.connect() for _ in range(20)]
    assert await is_answered(await small.connect())
    assert all(await asyncio.gather(*(wire.ended() for wire in silent[:18])))
    assert await figure(small, b'trello_proxy_connections_closed_total{reason="idle"}') >= 19
    assert await figure(small, b"trello_proxy_connections") <= 2
    assert await figure(small, b"trello_proxy_connections_limit") == 4


async def test_connections_being_served_stay_and_one_too_many_gets_503(small: Proxy) -> None:
    busy_wires = [await at_work(small) for _ in range(2)]
    told = await small.connect()
    told.send(ASK)
    heard = await told.hear()
    assert (heard.status, heard.fields["retry-after"]) == (503, "5")
    assert heard.fields["proxy-status"] == "trello-proxy; error=connection_limit_reached"
    assert heard.json["type"] == "urn:trello-proxy:busy"
    assert await told.ended()
    busy_wires[0].send(b':"x"' + b" " * 88 + b"}")
    assert (await busy_wires[0].hear("PUT")).status == 404
    assert await is_answered(await small.connect())
    assert await figure(small, b'trello_proxy_errors_total{type="busy"}') == 1


async def test_another_address_has_its_own_share(small: Proxy) -> None:
    for _ in range(2):
        await at_work(small)
    reader, writer = await asyncio.open_connection(
        "127.0.0.1", small.app.port, local_addr=("127.0.0.2", 0)
    )
    other = Wire(reader, writer)
    assert await is_answered(other)
    await other.close()


async def test_one_too_many_that_says_nothing_is_closed(
    small: Proxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connection_limits, "REFUSAL_TIMEOUT_S", 0.05)
    for _ in range(2):
        await at_work(small)
    assert await (await small.connect()).ended()


async def test_a_body_that_drips_is_waited_for_only_so_long_in_all(
    proxy: Proxy, standin: FakeTrello, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("proxy.server.request_body.BODY_S", 0.1)
    wire = await at_work(proxy)

    async def drip() -> None:
        while True:
            wire.send(b" ")
            await asyncio.sleep(0.01)  # a client that drips, in its own time

    dripping = asyncio.gather(drip())
    assert (await wire.hear("PUT")).status == 408
    dripping.cancel()
    assert standin.request_log.total == 0


@contextmanager
def no_more_files() -> Iterator[None]:
    """Every descriptor that may be open is."""
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    used = {int(each.name) for each in Path("/proc/self/fd").iterdir()}
    first_free = min(set(range(len(used) + 1)) - used)
    resource.setrlimit(resource.RLIMIT_NOFILE, (first_free, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, before)


async def test_without_a_descriptor_there_is_one_event_and_service_goes_on_later(
    proxy: Proxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(constants, "ACCEPT_RETRY_DELAY", 0.01)
    where = ("127.0.0.1", proxy.app.port)
    clients = [socket.create_connection(where) for _ in range(3)]  # none is accepted yet
    with no_more_files():
        await asyncio.sleep(0.05)
    for client in clients:
        client.close()
    assert (await proxy.get("/healthz")).status == 200
    lines = [json.loads(line) for line in proxy.log.splitlines()]
    events = [line for line in lines if line["level"] == "error"]
    assert [line["message"] for line in events] == ["connection limit reached"]


@pytest.mark.parametrize(
    ("files", "limit"), [(16_384, 2000), (2256, 2000), (1024, 768), (400, 200), (64, 32)]
)
def test_the_number_of_connections_follows_that_of_files(files: int, limit: int) -> None:
    assert connection_limits.limit_of(files) == limit


async def test_a_trusted_proxy_may_have_all_of_them(
    make_proxy: MakeProxy, standin: FakeTrello, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connection_limits, "MAX_CONNECTIONS", 4)
    proxy = await make_proxy(standin.url, "clients: {trusted_proxies: [127.0.0.0/8]}")
    for client in (1, 2, 1, 2):
        await at_work(proxy, {"X-Forwarded-For": f"192.0.2.{client}"})


async def test_a_client_behind_a_trusted_proxy_may_have_half_of_them(
    make_proxy: MakeProxy, standin: FakeTrello, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connection_limits, "MAX_CONNECTIONS", 6)
    proxy = await make_proxy(standin.url, "clients: {trusted_proxies: [127.0.0.0/8]}")
    client = {"X-Forwarded-For": "192.0.2.7"}
    for _ in range(3):
        await at_work(proxy, client)
    assert says(await proxy.get("/1/members/me", client), 503, "client-busy")
    assert (await proxy.get("/1/members/me", {"X-Forwarded-For": "192.0.2.8"})).status == 200
