"""Behind a trusted proxy a client has its own address and user; behind another it has neither."""

import asyncio

import pytest

from proxy.access.client_keys import digest_of
from proxy.fake_trello.server import FakeTrello
from tests.server.conftest import MakeProxy, Proxy, Wire, says

ME = "/1/members/me?fields=id"
KEY = "tpk_" + "01d" * 21 + "0"
BEHIND = {"X-Forwarded-For": "1.1.1.1, 192.0.2.7", "X-Forwarded-User": "anna@home"}
YAML = f"""\
clients:
  access: keys
  keys: [{{name: ci, digest: '{digest_of(KEY)}'}}]
  trusted_proxies: [%s]
  user_header: X-Forwarded-User
"""


@pytest.fixture
async def behind(make_proxy: MakeProxy, standin: FakeTrello) -> Proxy:
    """A proxy that trusts this machine."""
    return await make_proxy(standin.url, YAML % "127.0.0.1")


async def test_a_user_of_a_trusted_proxy_needs_no_key(behind: Proxy) -> None:
    for _ in range(3):
        assert (await behind.get(ME, BEHIND)).status == 200
    assert (await behind.get("/", BEHIND)).status == 200
    assert says(await behind.get(ME), 401, "client-key-required")
    assert (await behind.get(ME, {**BEHIND, "Authorization": f"Bearer {KEY}"})).status == 200
    await behind.stop()
    lines = [(line["client"], line.get("name")) for line in behind.requests]
    assert lines[:4] == [("192.0.2.7", "anna@home")] * 4
    assert lines[4:] == [("127.0.0.1", None), ("192.0.2.7", "ci")]


async def test_a_user_named_by_anybody_else_is_none(
    make_proxy: MakeProxy, standin: FakeTrello
) -> None:
    proxy = await make_proxy(standin.url, YAML % "10.0.0.0/8")
    assert says(await proxy.get(ME, BEHIND), 401, "client-key-required")
    await proxy.stop()
    assert [line["client"] for line in proxy.requests] == ["127.0.0.1"]


async def test_two_users_are_none(behind: Proxy) -> None:
    wire = await behind.connect()
    request = behind.request("GET", ME, BEHIND)
    wire.send(request.replace(b"X-Forwarded-User", b"X-Forwarded-User: root\r\nX-Forwarded-User"))
    assert (await wire.hear()).status == 401


async def test_the_address_and_user_are_told_to_nobody(behind: Proxy, standin: FakeTrello) -> None:
    card = f"/1/cards/{standin.trello.example_card}?name=x"
    assert (await behind.ask("PUT", card, BEHIND)).status == 200
    sent = str(list(standin.request_log.requests))
    assert "192.0.2.7" not in sent
    assert "anna" not in sent


@pytest.mark.parametrize("address", ["127.0.0.1", "192.0.2.7", "::1"])
async def test_nobody_behind_it_is_the_local_machine(behind: Proxy, address: str) -> None:
    assert says(await behind.get("/metrics", {"X-Forwarded-For": address}), 403, "admin-only")
    assert (await behind.get("/metrics")).status == 200


async def test_nobody_gets_a_prepared_hit_of_its_users(behind: Proxy) -> None:
    """Bytes behind a header are no part of it, whatever address they spell."""
    request = behind.request("GET", ME, BEHIND)
    trusted = await behind.connect()
    for _ in range(3):
        trusted.send(request)
        assert (await trusted.hear()).status == 200
    assert len(behind.app.fast_paths[0]) == 1
    for rest in (b"", b"127.0.0.1", b"127.0.0.1\0", b"\x00127.0.0.1"):
        reader, writer = await asyncio.open_connection(
            "127.0.0.1", behind.app.port, local_addr=("127.0.0.2", 0)
        )
        behind.wires.append(Wire(reader, writer))
        behind.wires[-1].send(request + rest)
        assert (await behind.wires[-1].hear()).status in {400, 401}
