"""What happens on one connection: dripped, pipelined, half-sent, upgraded, ended."""

import asyncio

import pytest

from proxy.fake_trello.server import FakeTrello
from proxy.server import connection, request_body
from tests.server.conftest import Proxy

CARD = "/1/members/me"


async def test_the_rest_of_a_header_is_waited_for_only_so_long(
    proxy: Proxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connection, "HEADER_TIMEOUT_S", 0.15)
    wire = await proxy.connect()

    async def drip() -> None:
        for byte in proxy.request("GET", CARD):
            wire.send(bytes([byte]))
            await asyncio.sleep(0.01)  # a client that drips, in its own time

    dripping = asyncio.gather(drip())
    assert await wire.ended()
    dripping.cancel()


async def test_a_second_header_that_drips_ends_the_connection_too(
    proxy: Proxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connection, "HEADER_TIMEOUT_S", 0.15)
    wire = await proxy.connect()
    wire.send(proxy.request("GET", CARD))
    assert (await wire.hear()).status == 200
    wire.send(b"GET /1/memb")
    assert await wire.ended()


async def test_a_header_in_single_bytes_is_understood(proxy: Proxy) -> None:
    wire = await proxy.connect()
    for byte in proxy.request("GET", CARD):
        wire.send(bytes([byte]))
        await asyncio.sleep(0)
    assert (await wire.hear()).status == 200


async def test_a_body_that_was_not_read_is_never_the_next_request(
    proxy: Proxy, standin: FakeTrello
) -> None:
    smuggled = proxy.request("DELETE", f"/1/cards/{standin.trello.example_card}")
    wire = await proxy.connect()
    refused = {"Host": "evil.example", "Content-Length": str(len(smuggled))}
    wire.send(proxy.request("POST", CARD, refused, smuggled))
    assert (await wire.hear()).status == 421
    wire.send(proxy.request("GET", CARD))
    assert (await wire.hear()).status == 200
    assert [seen.method for seen in standin.request_log.requests] == ["GET"]


async def test_a_get_may_have_a_body_and_the_connection_goes_on(
    proxy: Proxy, standin: FakeTrello
) -> None:
    wire = await proxy.connect()
    for body in (b"fields=id", b'{"fields":"id"}', b"\0\1\2\3", proxy.request("GET", "/1/x")):
        wire.send(proxy.request("GET", f"{CARD}?fields=username", {}, body))
        assert (await wire.hear()).status == 200
    wire.send(proxy.request("GET", f"{CARD}?fields=username"))
    assert (await wire.hear()).json["username"] == "demo"
    assert {seen.path for seen in standin.request_log.requests} == {CARD}


async def test_pipelined_requests_are_answered_in_their_order(
    proxy: Proxy, standin: FakeTrello
) -> None:
    targets = [f"{CARD}?fields={name}" for name in ("id", "username", "fullName", "id")]
    wire = await proxy.connect()
    wire.send(b"".join(proxy.request("GET", target) for target in targets))
    bodies = [(await wire.hear()).json for _ in targets]
    assert [list(body) for body in bodies[:3]] == [
        ["id"],
        ["id", "username"],
        ["id", "fullName"],
    ]
    assert bodies[3] == bodies[0]
    assert standin.request_log.total == 3  # who `me` is, then a field, then all of them


async def test_pipelined_hits_are_answered_in_their_order(proxy: Proxy) -> None:
    targets = [f"{CARD}?fields={name}" for name in ("id", "username")]
    wire = await proxy.connect()
    for target in targets * 2:
        wire.send(proxy.request("GET", target))
        await wire.hear()
    wire.send(proxy.request("GET", targets[1]) + proxy.request("GET", targets[0]))
    wire.send(proxy.request("GET", targets[1]))
    heard = [await wire.hear() for _ in range(3)]
    assert ["username" in each.json for each in heard] == [True, False, True]
    assert all("; hit;" in each.fields["cache-status"] for each in heard)


async def test_a_rejected_request_behind_a_hit_is_still_rejected(
    proxy: Proxy, standin: FakeTrello
) -> None:
    wire = await proxy.connect()
    for _ in range(3):
        wire.send(proxy.request("GET", CARD))
        assert (await wire.hear()).status == 200
    wire.send(proxy.request("GET", CARD) + proxy.request("GET", CARD, {"Host": "evil.example"}))
    assert [(await wire.hear()).status for _ in range(2)] == [200, 421]
    assert standin.request_log.total == 1


async def test_expect_100_continue_is_answered_before_the_body(
    proxy: Proxy, standin: FakeTrello
) -> None:
    body = b'{"text":"after the go-ahead"}'
    fields = {
        "Expect": "100-continue",
        "Content-Type": "application/json",
        "Content-Length": str(len(body)),
    }
    wire = await proxy.connect()
    wire.send(
        proxy.request("POST", f"/1/cards/{standin.trello.example_card}/actions/comments", fields)
    )
    assert (await wire.hear()).status == 100
    wire.send(body)
    heard = await wire.hear("POST")
    assert heard.json["data"]["text"] == "after the go-ahead"


async def test_who_is_refused_is_not_asked_for_the_body(proxy: Proxy) -> None:
    fields = {"Host": "evil.example", "Expect": "100-continue", "Content-Length": "1000000"}
    wire = await proxy.connect()
    wire.send(proxy.request("POST", "/1/cards", fields))
    assert (await wire.hear("POST")).status == 421


async def test_http_1_0_is_answered_and_the_connection_ends(proxy: Proxy) -> None:
    for fields in (f"Host: {proxy.host}\r\n", f"Host: {proxy.host}\r\nConnection: keep-alive\r\n"):
        wire = await proxy.connect()
        wire.send(f"GET {CARD} HTTP/1.0\r\n{fields}\r\n".encode())
        heard = await wire.hear()
        assert heard.status == 200
        assert "transfer-encoding" not in heard.fields
        assert await wire.ended()


async def test_a_newer_version_is_never_claimed(proxy: Proxy) -> None:
    wire = await proxy.connect()
    wire.send(f"GET {CARD} HTTP/2.0\r\nHost: {proxy.host}\r\n\r\n".encode())
    heard = await wire.hear()
    assert heard.line.startswith(b"HTTP/1.1 ")
    assert heard.status in {200, 400, 505}


async def test_connection_close_is_kept(proxy: Proxy) -> None:
    for _ in range(3):  # the last is a hit
        wire = await proxy.connect()
        wire.send(proxy.request("GET", CARD, {"Connection": "close"}))
        heard = await wire.hear()
        assert (heard.status, heard.fields["connection"]) == (200, "close")
        assert await wire.ended()


@pytest.mark.parametrize("protocol", ["websocket", "h2c"])
async def test_an_upgrade_is_ignored_and_goes_no_further(
    proxy: Proxy, standin: FakeTrello, protocol: str
) -> None:
    fields = {
        "Connection": "Upgrade, HTTP2-Settings",
        "Upgrade": protocol,
        "HTTP2-Settings": "AAMAAABkAARAAAAAAAIAAAAA",
        "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==",
        "Sec-WebSocket-Version": "13",
    }
    assert (await proxy.get(CARD, fields)).status == 200
    (seen,) = standin.request_log.requests
    assert not {"upgrade", "sec-websocket-key", "http2-settings"} & set(seen.fields)


@pytest.mark.parametrize("token", ["h2c", "websocket2", "TLS/1.0, h2c", "WebSocket", "x"])
@pytest.mark.parametrize("cut", [0, 7, 30])
async def test_behind_an_upgrade_no_response_is_anothers(
    proxy: Proxy, token: str, cut: int
) -> None:
    upgrade = {"Connection": "Upgrade", "Upgrade": token}
    before, first, second, third = (
        proxy.request("GET", f"{CARD}?fields={name}", fields)
        for name, fields in (("url", {}), ("id", upgrade), ("username", {}), ("fullName", {}))
    )
    wire = await proxy.connect()
    wire.send(before + first + second[: cut or None])
    assert "url" in (await wire.hear()).json
    heard = await wire.hear()
    assert set(heard.json) == {"id"}
    if heard.fields.get("connection") == "close":
        assert await wire.ended()
        return
    wire.send(second[cut:] * bool(cut) + third)
    assert [sorted((await wire.hear()).json) for _ in range(2)] == [
        ["id", "username"],
        ["fullName", "id"],
    ]


@pytest.mark.parametrize("together", [True, False])
async def test_a_body_behind_an_upgrade_ends_the_connection(
    proxy: Proxy, *, together: bool
) -> None:
    fields = {"Connection": "Upgrade", "Upgrade": "h2c", "Content-Length": "9"}
    parts = [proxy.request("GET", CARD, fields), b"fields=id" + proxy.request("GET", CARD)]
    wire = await proxy.connect()
    for part in [b"".join(parts)] if together else parts:
        wire.send(part)
        await asyncio.sleep(0.01)
    assert (await wire.hear()).fields["connection"] == "close"
    assert await wire.ended()


async def test_an_upgrade_with_nothing_behind_it_keeps_the_connection(proxy: Proxy) -> None:
    wire = await proxy.connect()
    for _ in range(3):
        wire.send(proxy.request("GET", CARD, {"Connection": "Upgrade", "Upgrade": "h2c"}))
        assert "connection" not in (await wire.hear()).fields
    wire.send(proxy.request("GET", f"{CARD}?fields=id"))
    assert set((await wire.hear()).json) == {"id"}


async def test_a_stalled_body_is_408_and_ends_the_connection(
    proxy: Proxy, standin: FakeTrello, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(request_body, "IDLE_S", 0.1)
    wire = await proxy.connect()
    wire.send(proxy.request("POST", "/1/cards", {"Content-Length": "100"}) + b"name=")
    heard = await wire.hear("POST")
    assert heard.status == 408
    assert heard.is_problem
    assert standin.request_log.total == 0


async def test_a_form_too_large_to_hold_is_413(proxy: Proxy, standin: FakeTrello) -> None:
    heard = await proxy.ask(
        "POST", "/1/cards", {}, b"desc=" + b"x" * request_body.MAX_FORM_OR_JSON_BYTES
    )
    assert heard.status == 413
    assert heard.is_problem
    assert standin.request_log.total == 0


async def test_http_0_9_gets_nothing(proxy: Proxy, standin: FakeTrello) -> None:
    wire = await proxy.connect()
    wire.send(f"GET {CARD}\r\n\r\n".encode())
    assert (await wire.hear()).status == 421
    assert await wire.ended()
    assert standin.request_log.total == 0


async def test_a_client_that_closed_its_sending_side_still_gets_the_response(proxy: Proxy) -> None:
    for _ in range(3):  # asked, from the store, and without being parsed
        wire = await proxy.connect()
        wire.send(proxy.request("GET", CARD))
        wire.end()
        assert (await wire.hear()).status == 200
        assert await wire.ended()


async def test_a_client_that_ends_in_mid_body_is_let_go(proxy: Proxy, standin: FakeTrello) -> None:
    wire = await proxy.connect()
    fields = {"Content-Length": "100", "Content-Type": "application/json"}
    wire.send(proxy.request("PUT", CARD, fields, b'{"fullName": "x"'))
    wire.end()
    assert await wire.ended()
    assert standin.request_log.total == 0
