"""`/b/{board}/cards.csv`: the cards that the client may see, from what is stored."""

import csv
import io
import json
import time
from typing import Any

import pytest

from proxy.fake_trello.faults import Fault
from proxy.fake_trello.server import FakeTrello
from proxy.runtime.clock import FakeClock
from tests.scenarios.conftest import (
    KEY,
    OTHER_KEY,
    OTHER_TOKEN,
    TOKEN,
    Heard,
    Proxy,
    StartProxy,
    until,
)
from tests.scenarios.page import BROWSER
from tests.scenarios.scoped_world import AS_CLIENT, CANARY, CLIENT_KEY, make_world, scoped_to

FIRST_BYTE_S = 0.5


@pytest.fixture
async def proxy(start_proxy: StartProxy) -> Proxy:
    return await start_proxy(upstream={"read_timeout_s": 10.0})


def table(heard: Heard) -> list[dict[str, str]]:
    assert heard.status == 200, heard.body
    assert heard.fields["Content-Type"].startswith("text/csv; charset=utf-8")
    return list(csv.DictReader(io.StringIO(heard.body.decode(), newline=""), strict=True))


async def test_it_has_the_cards_of_the_board(proxy: Proxy, short_board: str, board: str) -> None:
    rows = table(await proxy.get(f"/b/{short_board}/cards.csv"))
    target = f"/1/boards/{board}/cards?fields=name,due,idList,shortUrl,dueComplete,labels"
    cards = (await proxy.get(target)).json
    assert [row["name"] for row in rows] == [card["name"] for card in cards]
    assert [row["url"] for row in rows] == [card["shortUrl"] for card in cards]
    lists = {
        each["id"]: each["name"] for each in (await proxy.get(f"/1/boards/{board}/lists")).json
    }
    assert [row["list"] for row in rows] == [lists[card["idList"]] for card in cards]
    assert [row["due"][:19] for row in rows] == [(card["due"] or "")[:19] for card in cards]
    assert [bool(row["labels"]) for row in rows] == [bool(card["labels"]) for card in cards]
    assert "Effort" in rows[0]


async def test_it_comes_from_the_store_and_a_write_is_seen(
    proxy: Proxy, standin: FakeTrello, short_board: str, card: str
) -> None:
    target = f"/b/{short_board}/cards.csv"
    first = await proxy.get(target)
    assert 'filename="Release 4.2.csv"' in first.fields["Content-Disposition"]
    total = standin.request_log.total
    again = await proxy.get(target)
    held = await proxy.get(target, headers={"If-None-Match": first.fields["ETag"]})
    assert again.body == first.body
    assert again.cache.startswith("hit; ttl=")
    assert (held.status, held.body, held.fields["ETag"]) == (304, b"", first.fields["ETag"])
    head = await proxy("HEAD", target)
    assert (head.status, head.body) == (200, b"")
    assert standin.request_log.total == total
    await proxy("PUT", f"/1/cards/{card}", data={"name": "=Changed()"})
    changed = await proxy.get(target, headers={"If-None-Match": first.fields["ETag"]})
    assert "'=Changed()" in [row["name"] for row in table(changed)]
    assert (changed.status, changed.fields["ETag"] != first.fields["ETag"]) == (200, True)


async def test_a_browser_saves_it_for_excel(proxy: Proxy, short_board: str) -> None:
    target = f"/b/{short_board}/cards.csv"
    plain, saved = await proxy.get(target), await proxy.get(target, headers=BROWSER)
    assert saved.body == b"\xef\xbb\xbf" + plain.body
    assert saved.fields["ETag"] != plain.fields["ETag"]
    assert saved.fields["Content-Disposition"].startswith("attachment; ")
    page = (await proxy.get(f"/b/{short_board}", headers=BROWSER)).body.decode()
    assert f'<a href="{target}" download>' in page
    assert plain.fields["Vary"] == saved.fields["Vary"] == "Accept, Sec-Fetch-Mode"


async def test_it_is_logged_by_its_route(proxy: Proxy, short_board: str) -> None:
    await proxy.get(f"/b/{short_board}/cards.csv")
    await until(lambda: bool(proxy.logged("request")))
    (line,) = proxy.logged("request")
    assert (line["route"], line["cache"]) == ("/b/{board}/cards.csv", "miss")


async def test_stale_cards_are_marked(
    proxy: Proxy, standin: FakeTrello, clock: FakeClock, short_board: str
) -> None:
    target = f"/b/{short_board}/cards.csv"
    first = await proxy.get(target)
    clock.advance(3600)
    standin.faults.add(Fault("status", status=503, times=None))
    stale = await proxy.get(target)
    assert stale.body == first.body
    assert "detail=stale-if-error" in stale.cache


async def test_where_trello_fails_there_is_no_table(
    proxy: Proxy, standin: FakeTrello, short_board: str
) -> None:
    standin.faults.add(Fault("status", status=503, times=None))
    assert (await proxy.get(f"/b/{short_board}/cards.csv")).status in {502, 503}


async def test_only_what_a_client_may_see_is_in_it(
    start_proxy: StartProxy, standin: FakeTrello
) -> None:
    world = make_world(standin.trello)
    proxy = await start_proxy(scoped_to(world.visible["board"]))
    own = await proxy.get(f"/b/{world.visible['board']}/cards.csv", headers=AS_CLIENT)
    assert CANARY not in own.body.decode()
    assert "plain card" in [row["name"] for row in table(own)]
    other = f"/b/{world.hidden['board']}/cards.csv"
    refused = await proxy.get(other, headers=AS_CLIENT)
    assert refused.status == 404
    assert CANARY.encode() not in refused.body
    assert CANARY in (await proxy.get(other)).body.decode()
    in_query = await proxy.get(f"{other}?token={CLIENT_KEY}")
    assert in_query.status == 404


async def test_a_client_key_and_a_credential_are_required_as_for_json(
    start_proxy: StartProxy, short_board: str
) -> None:
    target = f"/b/{short_board}/cards.csv"
    keys = await start_proxy(scoped_to().replace("clients: {", "clients: {access: keys, "))
    assert (await keys.get(target)).status == 401
    assert (await keys.get(target, headers=AS_CLIENT)).status == 200
    required = await start_proxy(clients={"credentials": "require"})
    assert (await required.get(target)).status == 401
    assert (await required.get(f"{target}?key={KEY}&token={TOKEN}")).status == 200
    refused = await required.get(f"{target}?key={OTHER_KEY}&token={OTHER_TOKEN}")
    assert refused.status == 401
    assert b"Trello refuses this key" in refused.body


async def test_another_site_cannot_read_it(proxy: Proxy, short_board: str) -> None:
    response = await proxy.get(
        f"/b/{short_board}/cards.csv", headers={"Origin": "https://evil.example"}
    )
    assert (response.status, response.problem) == (403, "cross-origin-denied")


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE"])
async def test_it_is_read_only(proxy: Proxy, short_board: str, method: str) -> None:
    assert (await proxy(method, f"/b/{short_board}/cards.csv")).status == 405


def _many(count: int) -> Fault:
    card: dict[str, Any] = {
        "id": "0" * 24, "name": "card " * 20, "idList": "0" * 24, "due": None, "shortUrl": "",
        "labels": [{"id": "1" * 24, "name": "bug", "color": "red"}] * 3, "idMembers": ["2" * 24],
        "customFieldItems": [{"idCustomField": "3" * 24, "value": {"text": "x" * 40}}] * 4,
    }  # fmt: skip
    cards = [{**card, "id": f"{number:024x}"} for number in range(count)]
    return Fault(
        "status",
        method="GET",
        path="/1/boards/*/cards",
        status=200,
        body=json.dumps(cards),
        content_type="application/json",
    )


async def test_ten_thousand_stored_cards_begin_at_once(
    proxy: Proxy, standin: FakeTrello, short_board: str
) -> None:
    standin.faults.add(_many(10_000))
    target = f"/b/{short_board}/cards.csv"
    first = await proxy.get(target)
    assert len(table(first)) == 10_000
    started = time.monotonic()  # noqa: TID251 — what a client measures
    async with proxy.session.get(proxy.url + target) as response:
        assert await response.content.read(1) == b"n"
        assert time.monotonic() - started < FIRST_BYTE_S  # noqa: TID251
        assert "hit" in response.headers["Cache-Status"]
        rest = await response.read()
    assert b"n" + rest == first.body
