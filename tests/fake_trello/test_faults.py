"""Faults apply as configured, as often as configured."""

import asyncio
from typing import Any

import aiohttp
import pytest

from proxy.fake_trello.faults import Fault
from proxy.fake_trello.server import FakeTrello
from proxy.runtime.clock import FakeClock


def card(request: Any) -> str:
    return f"/1/cards/{request.trello.example_card}"


async def test_a_status_comes_a_number_of_times(client: Any) -> None:
    client.fake_trello.faults.add(
        Fault("status", path="/1/cards/*", times=2, status=502, body="bad")
    )
    response = [await client.get(card(client)) for _ in range(3)]
    assert [each.status for each in response] == [502, 502, 200]
    assert response[0].text == "bad"


async def test_a_fault_hits_its_path_and_method_only(client: Any) -> None:
    client.fake_trello.faults.add(Fault("status", path="/1/boards/*", method="PUT", times=None))
    board = f"/1/boards/{client.trello.example_board}"
    assert (await client.get(card(client))).status == 200
    assert (await client.get(board)).status == 200
    assert (await client("PUT", board, json={})).status == 503


async def test_html_comes_with_200(client: Any) -> None:
    client.fake_trello.faults.add(Fault("html"))
    response = await client.get(card(client))
    assert (response.status, response.fields["Content-Type"]) == (200, "text/html; charset=utf-8")


async def test_a_reset_comes_before_any_header(client: Any) -> None:
    client.fake_trello.faults.add(Fault("reset", times=None))
    with pytest.raises(aiohttp.ClientConnectionError):
        await client.get(card(client))


@pytest.mark.parametrize("kind", ["cut", "too_long"])
async def test_a_short_body_is_noticed(client: Any, kind: Any) -> None:
    client.fake_trello.faults.add(Fault(kind))
    with pytest.raises(aiohttp.ClientPayloadError):
        await client.get(card(client))


async def test_too_short_a_length_leaves_bytes_over(client: Any) -> None:
    target = f"{card(client)}?fields=id"
    complete = (await client.get(target)).body
    client.fake_trello.faults.add(Fault("too_short", after_bytes=7))
    host, port = client.fake_trello.url.removeprefix("http://").split(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    credential = plain(client)["Authorization"]
    writer.write(
        f"GET {target} HTTP/1.1\r\nHost: x\r\nAuthorization: {credential}\r\n\r\n".encode()
    )
    head, _, body = (await reader.read()).partition(b"\r\n\r\n")
    writer.close()
    assert f"Content-Length: {len(complete) - 7}".encode() in head
    assert body == complete


def plain(request: Any) -> dict[str, str]:
    credential = f'OAuth oauth_consumer_key="{"0" * 32}", oauth_token="{"1" * 64}"'
    return {"Authorization": credential, "Accept-Encoding": "identity"}


async def test_a_write_may_take_effect_before_it_fails(client: Any) -> None:
    client.fake_trello.faults.add(Fault("status", method="PUT", applied=True))
    assert (await client("PUT", card(client), json={"name": "done"})).status == 503
    assert client.trello.request(card(client))["name"] == "done"
    client.fake_trello.faults.add(Fault("status", method="PUT"))
    assert (await client("PUT", card(client), json={"name": "undone"})).status == 503
    assert client.trello.request(card(client))["name"] == "done"


async def arrived(fake_trello: FakeTrello) -> None:
    """Wait until the fake Trello has received a request."""
    while not fake_trello.request_log.total:  # noqa: ASYNC110 - nothing to wait on but the count
        await asyncio.sleep(0)


async def test_latency_waits_on_the_clock(client: Any, clock: FakeClock) -> None:
    client.fake_trello.faults.latency_s = 5.0
    waiting = asyncio.ensure_future(client.get(card(client)))
    await arrived(client.fake_trello)
    clock.advance(4.0)
    await asyncio.sleep(0)
    assert not waiting.done()
    clock.advance(1.0)
    assert (await waiting).status == 200


async def test_a_slow_body_comes_by_the_second(client: Any, clock: FakeClock) -> None:
    complete = (await client.get(card(client), headers=plain(client))).body
    client.fake_trello.faults.add(Fault("slow", bytes_per_s=len(complete) // 2 + 1))
    url = client.fake_trello.url + card(client)
    async with client.session.get(url, headers=plain(client)) as response:
        first = await response.content.readany()
        assert complete.startswith(first)
        assert len(first) < len(complete)
        clock.advance(1.0)
        assert first + await response.read() == complete


async def test_what_hangs_ends_when_the_server_stops(clock: FakeClock) -> None:
    made = FakeTrello(clock, key="k" * 32, token="t" * 64)
    await made.start()
    made.faults.add(Fault("hang"))
    async with aiohttp.ClientSession() as session:
        waiting = asyncio.ensure_future(session.get(f"{made.url}/1/members/me"))
        await arrived(made)
        await made.stop()
        with pytest.raises(aiohttp.ClientError):
            await waiting


async def test_the_storage_host_has_faults_too(client: Any) -> None:
    url = (await client.get(client.trello.example_attachment_path)).fields["Location"]
    client.fake_trello.faults.add(Fault("cut", path="/files/*", after_bytes=20))
    with pytest.raises(aiohttp.ClientPayloadError):
        await client.get(url, headers={})
    assert (await client.get(url, headers={})).status == 200


async def test_a_hidden_field_is_in_no_response(client: Any) -> None:
    target = f"/1/boards/{client.trello.example_board}?fields=ixUpdate,name"
    hidden = {"hidden": ["ixUpdate"]}
    assert set((await client.get(target)).json) == {"id", "ixUpdate", "name"}
    assert (await client("POST", "/-/demo/fault", headers={}, json=hidden)).status == 200
    assert set((await client.get(target)).json) == {"id", "name"}
    await client("POST", "/-/demo/fault", headers={}, json={"hidden": []})
    assert "ixUpdate" in (await client.get(target)).json
