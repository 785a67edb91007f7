"""What goes wrong goes wrong as asked, as often as asked."""

import asyncio
from typing import Any

import aiohttp
import pytest

from proxy.fake_trello.faults import Fault
from proxy.fake_trello.server import FakeTrello
from proxy.runtime.clock import FakeClock


def card(request: Any) -> str:
    return f"/1/cards/{request.trello.example_card}"


async def test_a_status_comes_so_many_times(ask: Any) -> None:
    ask.standin.faults.add(Fault("status", path="/1/cards/*", times=2, status=502, body="bad"))
    heard = [await ask.get(card(ask)) for _ in range(3)]
    assert [each.status for each in heard] == [502, 502, 200]
    assert heard[0].text == "bad"


async def test_a_fault_hits_its_path_and_method_only(ask: Any) -> None:
    ask.standin.faults.add(Fault("status", path="/1/boards/*", method="PUT", times=None))
    board = f"/1/boards/{ask.trello.example_board}"
    assert (await ask.get(card(ask))).status == 200
    assert (await ask.get(board)).status == 200
    assert (await ask("PUT", board, json={})).status == 503


async def test_html_comes_with_200(ask: Any) -> None:
    ask.standin.faults.add(Fault("html"))
    heard = await ask.get(card(ask))
    assert (heard.status, heard.fields["Content-Type"]) == (200, "text/html; charset=utf-8")


async def test_a_reset_comes_before_any_header(ask: Any) -> None:
    ask.standin.faults.add(Fault("reset", times=None))
    with pytest.raises(aiohttp.ClientConnectionError):
        await ask.get(card(ask))


@pytest.mark.parametrize("kind", ["cut", "too_long"])
async def test_a_short_body_is_noticed(ask: Any, kind: Any) -> None:
    ask.standin.faults.add(Fault(kind))
    with pytest.raises(aiohttp.ClientPayloadError):
        await ask.get(card(ask))


async def test_too_short_a_length_leaves_bytes_over(ask: Any) -> None:
    target = f"{card(ask)}?fields=id"
    whole = (await ask.get(target)).body
    ask.standin.faults.add(Fault("too_short", after_bytes=7))
    host, port = ask.standin.url.removeprefix("http://").split(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    shown = plain(ask)["Authorization"]
    writer.write(f"GET {target} HTTP/1.1\r\nHost: x\r\nAuthorization: {shown}\r\n\r\n".encode())
    head, _, body = (await reader.read()).partition(b"\r\n\r\n")
    writer.close()
    assert f"Content-Length: {len(whole) - 7}".encode() in head
    assert body == whole


def plain(request: Any) -> dict[str, str]:
    shown = f'OAuth oauth_consumer_key="{"0" * 32}", oauth_token="{"1" * 64}"'
    return {"Authorization": shown, "Accept-Encoding": "identity"}


async def test_a_write_may_take_effect_before_it_fails(ask: Any) -> None:
    ask.standin.faults.add(Fault("status", method="PUT", applied=True))
    assert (await ask("PUT", card(ask), json={"name": "done"})).status == 503
    assert ask.trello.request(card(ask))["name"] == "done"
    ask.standin.faults.add(Fault("status", method="PUT"))
    assert (await ask("PUT", card(ask), json={"name": "undone"})).status == 503
    assert ask.trello.request(card(ask))["name"] == "done"


async def arrived(fake_trello: FakeTrello) -> None:
    """Return when the stand-in has a request to answer."""
    while not fake_trello.request_log.total:  # noqa: ASYNC110 - nothing to wait on but the count
        await asyncio.sleep(0)


async def test_latency_waits_on_the_clock(ask: Any, clock: FakeClock) -> None:
    ask.standin.faults.latency_s = 5.0
    waiting = asyncio.ensure_future(ask.get(card(ask)))
    await arrived(ask.standin)
    clock.advance(4.0)
    await asyncio.sleep(0)
    assert not waiting.done()
    clock.advance(1.0)
    assert (await waiting).status == 200


async def test_a_slow_body_comes_by_the_second(ask: Any, clock: FakeClock) -> None:
    whole = (await ask.get(card(ask), headers=plain(ask))).body
    ask.standin.faults.add(Fault("slow", bytes_per_s=len(whole) // 2 + 1))
    url = ask.standin.url + card(ask)
    async with ask.session.get(url, headers=plain(ask)) as response:
        first = await response.content.readany()
        assert whole.startswith(first)
        assert len(first) < len(whole)
        clock.advance(1.0)
        assert first + await response.read() == whole


async def test_what_hangs_ends_when_the_stand_in_stops(clock: FakeClock) -> None:
    made = FakeTrello(clock, key="k" * 32, token="t" * 64)
    await made.start()
    made.faults.add(Fault("hang"))
    async with aiohttp.ClientSession() as session:
        waiting = asyncio.ensure_future(session.get(f"{made.url}/1/members/me"))
        await arrived(made)
        await made.stop()
        with pytest.raises(aiohttp.ClientError):
            await waiting


async def test_the_storage_host_has_faults_too(ask: Any) -> None:
    url = (await ask.get(ask.trello.example_attachment_path)).fields["Location"]
    ask.standin.faults.add(Fault("cut", path="/files/*", after_bytes=20))
    with pytest.raises(aiohttp.ClientPayloadError):
        await ask.get(url, headers={})
    assert (await ask.get(url, headers={})).status == 200


async def test_a_field_that_is_hidden_is_in_no_answer(ask: Any) -> None:
    target = f"/1/boards/{ask.trello.example_board}?fields=ixUpdate,name"
    hidden = {"hidden": ["ixUpdate"]}
    assert set((await ask.get(target)).json) == {"id", "ixUpdate", "name"}
    assert (await ask("POST", "/-/demo/fault", headers={}, json=hidden)).status == 200
    assert set((await ask.get(target)).json) == {"id", "name"}
    await ask("POST", "/-/demo/fault", headers={}, json={"hidden": []})
    assert "ixUpdate" in (await ask.get(target)).json
