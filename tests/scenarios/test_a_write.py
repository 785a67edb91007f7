"""A write: forwarded once, invalidated before the client hears the answer."""

import asyncio

import aiohttp
import pytest

from proxy.fake_trello.faults import Fault
from proxy.fake_trello.server import FakeTrello
from proxy.runtime.clock import FakeClock
from tests.scenarios.conftest import (
    DELIBERATE,
    KEY,
    TOKEN,
    Proxy,
    StartProxy,
    turns,
    until,
)


async def _is_hit(proxy: Proxy, target: str) -> bool:
    return (await proxy.get(target)).cache.startswith("hit")


@pytest.fixture
def list_(standin: FakeTrello, card: str) -> str:
    """The id of the list that the card is in."""
    return str(standin.trello.request(f"/1/cards/{card}?fields=idList")["idList"])


async def test_the_next_get_of_what_i_changed_asks_trello(
    proxy: Proxy, standin: FakeTrello, card: str
) -> None:
    await proxy.get(f"/1/cards/{card}")
    written = await proxy("PUT", f"/1/cards/{card}", json={"name": "Mine"})
    assert (written.status, written.json["name"]) == (200, "Mine")
    assert written.cache == "fwd=method; fwd-status=200"
    heard = await proxy.get(f"/1/cards/{card}")
    assert (heard.json["name"], heard.cache) == ("Mine", "fwd=uri-miss; fwd-status=200; stored")
    assert standin.request_log.count("PUT", f"/1/cards/{card}") == 1


async def test_so_does_the_list_and_the_board_that_contain_it(
    proxy: Proxy, standin: FakeTrello, card: str, list_: str, board: str
) -> None:
    short_link = standin.trello.request(f"/1/boards/{board}?fields=shortLink")["shortLink"]
    containing = (
        f"/1/lists/{list_}/cards",
        f"/1/boards/{short_link}/cards?fields=name",
        f"/1/boards/{board}/cards",
        f"/1/boards/{board}?cards=open",
        "/1/members/me/cards",
        f"/1/search?query=Mine&idBoards={board}",
    )
    before = [(await proxy.get(target)).body for target in containing]
    await proxy("PUT", f"/1/cards/{card}", params={"name": "Mine"})
    after = [await proxy.get(target) for target in containing]
    assert not [each.cache for each in after if each.cache.startswith("hit")]
    assert all(b"Mine" in each.body for each in after[:4])
    assert before[0] != after[0].body


async def test_other_boards_stay_cached(
    proxy: Proxy, standin: FakeTrello, card: str, other_board: str
) -> None:
    other_card = standin.trello.request(f"/1/boards/{other_board}/cards?fields=id")[0]["id"]
    others = (
        f"/1/boards/{other_board}",
        f"/1/boards/{other_board}/cards",
        f"/1/cards/{other_card}",
        f"/1/cards/{other_card}/attachments",
    )
    for target in others:
        await proxy.get(target)
    await proxy("PUT", f"/1/cards/{card}", params={"name": "Mine"})
    assert [await _is_hit(proxy, target) for target in others] == [True] * len(others)


async def test_a_write_on_another_card_leaves_this_one_cached(
    proxy: Proxy, standin: FakeTrello, board: str, card: str
) -> None:
    cards = standin.trello.request(f"/1/boards/{board}/cards?fields=id")
    other = next(each["id"] for each in cards if each["id"] != card)
    await proxy.get(f"/1/cards/{card}")
    await proxy("POST", f"/1/cards/{other}/actions/comments", params={"text": "hello"})
    assert await _is_hit(proxy, f"/1/cards/{card}")


REFUSALS = {
    "by Trello: no such list": ({"idList": "nowhere"}, None),
    "400": ({"name": "Mine"}, 400),
    "401": ({"name": "Mine"}, 401),
    "403": ({"name": "Mine"}, 403),
    "429": ({"name": "Mine"}, 429),
}


@pytest.mark.parametrize(("params", "status"), REFUSALS.values(), ids=REFUSALS.keys())
async def test_a_refused_write_invalidates_nothing(
    proxy: Proxy, standin: FakeTrello, card: str, params: dict[str, str], status: int | None
) -> None:
    await proxy.get(f"/1/cards/{card}")
    if status is not None:
        standin.faults.add(Fault("status", method="PUT", status=status, body="no"))
    refused = await proxy("PUT", f"/1/cards/{card}", params=params)
    assert 400 <= refused.status < 500
    assert await _is_hit(proxy, f"/1/cards/{card}")
    assert await proxy.metric('trello_proxy_invalidations_total{cause="write"}') == 0


DOUBTFUL = {
    "a timed-out write": (Fault("hang", applied=True), 504, "upstream-timeout"),
    "a reset": (Fault("reset", applied=True), 502, "connection-terminated"),
    "a server error": (Fault("status", status=500, body="oops", applied=True), 500, ""),
    "a gateway's timeout": (Fault("status", status=504, applied=True), 504, ""),
    "a 408": (Fault("status", status=408, applied=True), 408, ""),
    "a cut answer": (Fault("cut"), 502, "incomplete-response"),
    "a gateway's page": (Fault("html", applied=True), 502, "invalid-response"),
    "an answer that ends too soon": (Fault("too_short", applied=True), 502, "invalid-response"),
}


@pytest.mark.parametrize(("fault", "status", "problem"), DOUBTFUL.values(), ids=DOUBTFUL.keys())
async def test_a_timed_out_write_invalidates_and_so_does_any_doubt(
    proxy: Proxy, standin: FakeTrello, card: str, fault: Fault, status: int, problem: str
) -> None:
    await proxy.get(f"/1/cards/{card}")
    standin.faults.add(
        Fault(fault.kind, method="PUT", status=fault.status, body=fault.body, applied=fault.applied)
    )
    heard = await proxy("PUT", f"/1/cards/{card}", params={"name": "Mine"})
    assert (heard.status, heard.problem) == (status, problem)
    assert standin.request_log.count("PUT", f"/1/cards/{card}") == 1
    now = await proxy.get(f"/1/cards/{card}")
    assert (now.json["name"], now.cache) == ("Mine", "fwd=uri-miss; fwd-status=200; stored")


async def test_a_write_that_never_left_invalidates_nothing(
    proxy: Proxy, standin: FakeTrello, card: str
) -> None:
    await proxy.get(f"/1/cards/{card}")
    await standin.stop()
    assert (await proxy.get("/1/members/me")).problem == "upstream-refused"
    heard = await proxy("PUT", f"/1/cards/{card}", params={"name": "Mine"})
    assert (heard.status, heard.problem) == (502, "upstream-refused")
    assert await _is_hit(proxy, f"/1/cards/{card}")


@pytest.mark.parametrize("method", ["PUT", "DELETE", "POST"])
async def test_a_write_is_not_repeated(
    proxy: Proxy, standin: FakeTrello, card: str, method: str
) -> None:
    await proxy.get("/1/members/me")  # leaves a connection that is kept
    standin.faults.add(Fault("reset", f"/1/cards/{card}*", times=None))
    path = f"/1/cards/{card}/actions/comments" if method == "POST" else f"/1/cards/{card}"
    assert (await proxy(method, path, params={"text": "x"})).problem == "connection-terminated"
    assert standin.request_log.count(method, path) == 1


async def test_the_same_write_twice_at_once_is_two_writes(
    proxy: Proxy, standin: FakeTrello, card: str
) -> None:
    path = f"/1/cards/{card}/actions/comments"
    params = {"text": "twice"}
    heard = await asyncio.gather(*(proxy("POST", path, params=params) for _ in range(2)))
    assert len({each.json["id"] for each in heard}) == 2
    assert standin.request_log.count("POST", path) == 2


async def test_a_write_whose_client_left_still_invalidates(
    proxy: Proxy, standin: FakeTrello, clock: FakeClock, card: str
) -> None:
    await proxy.get(f"/1/cards/{card}")
    standin.faults.add(Fault("late", method="PUT", applied=True))
    path = f"/1/cards/{card}"
    writing = asyncio.ensure_future(proxy("PUT", path, params={"name": "Mine"}))
    await until(lambda: standin.request_log.count("PUT", path) == 1)
    writing.cancel()
    await turns()
    clock.advance(1)
    await turns()
    assert (await proxy.get(path)).json["name"] == "Mine"


@pytest.mark.parametrize(
    "tunnel",
    ["_method=PUT", "%5Fmethod=put", "_METHOD=PUT", "_method[]=PUT"],
)
async def test_a_get_that_tunnels_a_write_is_one(
    start_proxy: StartProxy, card: str, tunnel: str
) -> None:
    proxy = await start_proxy(clients={"jsonp": "allow"})
    await proxy.get(f"/1/cards/{card}")
    for _ in range(2):
        target = f"/1/cards/{card}?{tunnel}&name=Mine&callback=f"
        heard = await proxy.get(target, headers=DELIBERATE)
        assert heard.cache == "fwd=method; fwd-status=200"
    assert not await _is_hit(proxy, f"/1/cards/{card}")


async def test_a_write_in_the_body_of_a_get_is_refused(
    proxy: Proxy, standin: FakeTrello, card: str
) -> None:
    heard = await proxy.get(f"/1/cards/{card}", data={"_method": "DELETE"})
    assert (heard.status, heard.problem) == (400, "invalid-target")
    assert standin.request_log.total == 0


async def test_where_writes_are_denied_nothing_is_sent(
    start_proxy: StartProxy, standin: FakeTrello, card: str
) -> None:
    proxy = await start_proxy(clients={"writes": "deny"})
    form = aiohttp.FormData({"name": "a.txt"})
    form.add_field("file", b"x" * 300_000, filename="a.txt")
    heard = [
        await proxy("PUT", f"/1/cards/{card}", params={"name": "Mine"}),
        await proxy("DELETE", f"/1/cards/{card}"),
        await proxy.get(f"/1/cards/{card}?_method=DELETE", headers=DELIBERATE),
        await proxy.get(f"/1/cards/{card}?%5Fmethod=DELETE", headers=DELIBERATE),
        await proxy("POST", f"/1/cards/{card}/attachments", data=form),
        await proxy("POST", "/1/unheard/of"),
    ]
    assert {(each.status, each.problem) for each in heard} == {(403, "writes-denied")}
    assert standin.request_log.total == 0
    assert (await proxy.get(f"/1/cards/{card}")).status == 200


async def test_a_form_body_loses_its_credentials_and_keeps_the_rest(
    proxy: Proxy, standin: FakeTrello, card: str
) -> None:
    data = {"key": "dummy", "text": "a=b&c", "token": "dummy"}
    heard = await proxy("POST", f"/1/cards/{card}/actions/comments", data=data)
    assert heard.json["data"]["text"] == "a=b&c"
    assert standin.request_log.requests[-1].credential == "header"
    assert standin.request_log.requests[-1].body_bytes == len("text=a%3Db%26c")


async def test_what_trello_says_to_a_write_comes_back_byte_for_byte(
    proxy: Proxy, standin: FakeTrello, card: str
) -> None:
    body = '{"id" : "\\u00e9", "n":1.0e2 ,"later":"field" }'
    fault = Fault("status", status=200, body=body, content_type="application/json; charset=utf-8")
    standin.faults.add(fault)
    heard = await proxy("PUT", f"/1/cards/{card}", params={"name": "x"})
    assert (heard.status, heard.body) == (200, body.encode())


async def test_a_body_that_echoes_the_stored_credential_arrives_scrubbed(
    proxy: Proxy, standin: FakeTrello, card: str
) -> None:
    fault = Fault("status", status=400, body=f"bad {TOKEN} of {KEY}", fields=(("X-Echo", TOKEN),))
    standin.faults.add(fault)
    heard = await proxy("PUT", f"/1/cards/{card}", params={"name": "x"})
    assert heard.body.decode() == f"bad {'*' * len(TOKEN)} of {'*' * len(KEY)}"
    assert heard.fields["X-Echo"] == "*" * len(TOKEN)
