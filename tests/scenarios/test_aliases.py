"""One object under several names: one question to Trello, and one fate."""

import asyncio
import json
import sqlite3
from collections.abc import Awaitable, Callable
from contextlib import closing
from pathlib import Path
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
    Proxy,
    Raw,
    StartProxy,
    turns,
    until,
)

LATE_S = 1.0
PEOPLE_S = 300
"""How long an answer about a member is fresh."""


@pytest.fixture
def organization(standin: FakeTrello) -> dict[str, Any]:
    found = standin.trello.request("/1/members/me/organizations")
    return dict(found[0])


@pytest.fixture
def me(standin: FakeTrello) -> dict[str, Any]:
    return dict(standin.trello.request("/1/members/me"))


async def _cached(proxy: Proxy, target: str) -> str:
    """How the proxy answered: `hit`, `fwd=uri-miss` …"""
    return (await proxy.get(target)).cache.partition(";")[0]


async def _teach(proxy: Proxy, *targets: str) -> None:
    for target in targets:
        assert (await proxy.get(target)).status == 200


def _moved(fake_trello: FakeTrello, card: str, to: str) -> None:
    """The card is on another board, and nobody told the proxy."""
    column = fake_trello.trello.request(f"/1/boards/{to}/lists")[0]["id"]
    fake_trello.trello.edit("PUT", f"/1/cards/{card}", {"idBoard": to, "idList": column})


@pytest.mark.parametrize("short_first", [True, False])
@pytest.mark.parametrize("rest", ["", "?fields=name,shortLink", "/attachments", "/actions"])
async def test_two_spellings_of_a_card_make_one_question(
    proxy: Proxy, standin: FakeTrello, card: str, short: str, *, short_first: bool, rest: str
) -> None:
    await _teach(proxy, f"/1/cards/{card}?fields=shortLink")
    first, second = (short, card) if short_first else (card, short)
    before = standin.request_log.total
    one = await proxy.get(f"/1/cards/{first}{rest}")
    other = await proxy.get(f"/1/card/{second}{rest}")
    assert (one.cache.partition(";")[0], other.cache.partition(";")[0]) == ("fwd=uri-miss", "hit")
    assert (one.status, one.body) == (other.status, other.body)
    assert standin.request_log.total == before + 1
    assert standin.request_log.count("GET", f"/1/cards/{first}{rest.partition('?')[0]}") >= 1


async def test_the_answer_that_teaches_a_name_is_there_under_both(
    proxy: Proxy, card: str, short: str, board: str, short_board: str, me: dict[str, Any]
) -> None:
    for name, other in ((short_board, board), (board, short_board)):
        await proxy.get(f"/1/boards/{name}?_={other}")
        assert await _cached(proxy, f"/1/boards/{other}?_={other}") == "hit"
    await proxy.get(f"/1/cards/{short}")
    assert await _cached(proxy, f"/1/cards/{card}") == "hit"
    await proxy.get("/1/members/me")
    for name in (me["id"], me["username"], me["username"].upper(), "ME"):
        assert await _cached(proxy, f"/1/member/{name}") == "hit"


async def test_a_list_of_cards_teaches_the_names_of_all(
    proxy: Proxy, standin: FakeTrello, board: str
) -> None:
    cards = (await proxy.get(f"/1/boards/{board}/cards")).json
    for each in cards:
        await proxy.get(f"/1/cards/{each['id']}")
        assert await _cached(proxy, f"/1/cards/{each['shortLink']}") == "hit"
    assert 3 < standin.request_log.total <= len(cards) + 1


async def test_an_action_teaches_the_names_in_it(
    proxy: Proxy, board: str, card: str, short: str
) -> None:
    await proxy("POST", f"/1/cards/{card}/actions/comments", data={"text": "x"})
    await _teach(proxy, f"/1/boards/{board}/actions?filter=commentCard", f"/1/cards/{card}/list")
    assert await _cached(proxy, f"/1/cards/{short}/list") == "hit"


async def test_organizations_and_members_have_two_names(
    proxy: Proxy, organization: dict[str, Any], me: dict[str, Any]
) -> None:
    pairs = (("organizations", organization, "name"), ("members", me, "username"))
    for resource, each, named in pairs:
        await _teach(proxy, f"/1/{resource}/{each['id']}", f"/1/{resource}/{each[named]}/boards")
        assert await _cached(proxy, f"/1/{resource}/{each[named]}") == "hit"
        assert await _cached(proxy, f"/1/{resource}/{each['id']}/boards") == "hit"


async def test_capitals_matter_in_a_short_link(proxy: Proxy, short: str) -> None:
    await _teach(proxy, f"/1/cards/{short}")
    assert short.swapcase() != short
    assert (await proxy.get(f"/1/cards/{short.swapcase()}")).status == 404


async def test_parts_of_a_batch_are_found_by_every_name(
    proxy: Proxy, standin: FakeTrello, board: str, card: str, short: str, short_board: str
) -> None:
    await _teach(proxy, f"/1/cards/{card}", f"/1/boards/{board}?fields=shortLink")
    asked = standin.request_log.total
    assert await _cached(proxy, f"/1/batch?urls=/cards/{short},/cards/{card}") == "hit"
    assert standin.request_log.total == asked
    await _teach(proxy, f"/1/batch?urls=/cards/{short}/members,/boards/{short_board}/lists")
    assert await _cached(proxy, f"/1/cards/{card}/members") == "hit"
    assert await _cached(proxy, f"/1/boards/{board}/lists") == "hit"
    assert standin.request_log.total == asked + 1


async def test_a_part_of_a_batch_teaches_names(proxy: Proxy, card: str, short: str) -> None:
    await _teach(proxy, f"/1/batch?urls=/cards/{short},/cards/{short}/members")
    assert await _cached(proxy, f"/1/cards/{card}") == "hit"
    assert await _cached(proxy, f"/1/cards/{card}/members") == "hit"


async def test_a_restart_keeps_the_names(
    start_proxy: StartProxy, standin: FakeTrello, card: str, short: str, me: dict[str, Any]
) -> None:
    proxy = await start_proxy()
    await _teach(proxy, f"/1/cards/{short}", f"/1/members/{me['username']}", "/1/members/me")
    await proxy.app.stop()
    asked = standin.request_log.total
    proxy = await start_proxy()
    for target in (f"cards/{short}", f"cards/{card}", "members/me", f"members/{me['username']}",
                   f"members/{me['id']}"):  # fmt: skip
        assert await _cached(proxy, f"/1/{target}") == "hit", target
    await _teach(proxy, f"/1/cards/{card}/members")
    assert await _cached(proxy, f"/1/cards/{short}/members") == "hit"
    assert standin.request_log.total == asked + 1


async def test_questions_by_both_names_share_one_flight(
    proxy: Proxy, standin: FakeTrello, clock: FakeClock, card: str, short: str
) -> None:
    await _teach(proxy, f"/1/cards/{card}?fields=shortLink")
    standin.faults.add(Fault("late", method="GET", applied=True, delay_s=LATE_S))
    before = standin.request_log.total
    names = [card, short] * 5
    asking = [asyncio.ensure_future(proxy.get(f"/1/cards/{name}")) for name in names]
    await until(lambda: standin.request_log.total > before)
    await turns()
    clock.advance(LATE_S)
    heard = await asyncio.gather(*asking)
    assert {each.status for each in heard} == {200}
    assert standin.request_log.total == before + 1


@pytest.mark.parametrize("status", [401, 403, 404])
@pytest.mark.parametrize("refused_first", [True, False])
async def test_what_one_name_is_refused_the_other_is_not(
    proxy: Proxy, standin: FakeTrello, card: str, short: str, *, status: int, refused_first: bool
) -> None:
    await _teach(proxy, f"/1/cards/{card}?fields=shortLink")
    if not refused_first:
        await _teach(proxy, f"/1/cards/{card}")
    headers = {} if refused_first else {"Cache-Control": "no-cache"}
    standin.faults.add(Fault("status", f"/1/cards/{short}", status=status, body="no", times=None))
    assert (await proxy.get(f"/1/cards/{short}", headers=headers)).status == status
    assert (await proxy.get(f"/1/cards/{card}")).status == 200
    standin.faults.clear()
    assert (await proxy.get(f"/1/cards/{card}")).status == 200


async def test_a_refusal_of_one_name_in_flight_is_not_the_others(
    proxy: Proxy, standin: FakeTrello, clock: FakeClock, card: str, short: str
) -> None:
    await _teach(proxy, f"/1/cards/{card}?fields=shortLink")
    late = Fault("late", f"/1/cards/{short}", method="GET", applied=True, delay_s=LATE_S)
    standin.faults.add(late)
    before = standin.request_log.total
    standin.trello.edit("DELETE", f"/1/cards/{card}")
    asking = [asyncio.ensure_future(proxy.get(f"/1/cards/{name}")) for name in [short] + [card] * 4]
    await until(lambda: standin.request_log.total > before)
    await turns()
    clock.advance(LATE_S)
    assert [each.status for each in await asyncio.gather(*asking)] == [404] * 5
    assert standin.request_log.count("GET", f"/1/cards/{short}") == 1
    assert standin.request_log.count("GET", f"/1/cards/{card}") == 2


async def test_a_404_by_one_name_is_kept_for_that_name(
    proxy: Proxy, standin: FakeTrello, card: str, short: str
) -> None:
    await _teach(proxy, f"/1/cards/{card}?fields=shortLink")
    standin.trello.edit("DELETE", f"/1/cards/{card}")
    for name in (short, card):
        assert (await proxy.get(f"/1/cards/{name}")).status == 404
        assert await _cached(proxy, f"/1/cards/{name}") == "hit"


@pytest.mark.parametrize("lasts", [True, False])
async def test_a_second_404_by_a_name_ends_what_is_stored_by_the_id_if_the_name_lasts(
    proxy: Proxy, standin: FakeTrello, clock: FakeClock, card: str, short: str, *, lasts: bool
) -> None:
    await _teach(proxy, f"/1/cards/{card}?fields=shortLink", "/1/members/me")
    me = (await proxy.get("/1/members/me")).json
    by_id = f"/1/cards/{card}" if lasts else f"/1/members/{me['id']}"
    by_name = f"/1/cards/{short}" if lasts else f"/1/members/{me['username'].upper()}"
    await _teach(proxy, by_id)
    sent = by_name if lasts else by_name.lower()
    standin.faults.add(Fault("status", sent, status=404, body="not found", times=None))
    for _ in range(2):
        heard = await proxy.get(by_name, headers={"Cache-Control": "no-cache"})
        assert heard.status == 404
        clock.advance(10)
    standin.faults.add(Fault("status", by_id, status=503, body="down", times=None))
    assert (await proxy.get(by_id)).status == (503 if lasts else 200)


@pytest.mark.parametrize("by_short", [True, False])
@pytest.mark.parametrize("known", [True, False])
@pytest.mark.parametrize("rest", ["", "/attachments", "/name"])
async def test_a_write_by_one_name_is_read_by_the_other(
    proxy: Proxy, card: str, short: str, *, by_short: bool, known: bool, rest: str
) -> None:
    if known:
        await _teach(proxy, f"/1/cards/{card}?fields=shortLink")
    written, read = (short, card) if by_short else (card, short)
    for name in (read, written):
        await _teach(proxy, f"/1/cards/{name}{rest}")
    await proxy("PUT", f"/1/cards/{written}/name", data={"value": "After"})
    await proxy("POST", f"/1/cards/{written}/attachments", data={"url": "https://example.org/a"})
    assert await _cached(proxy, f"/1/cards/{read}{rest}") != "hit"
    assert (await proxy.get(f"/1/cards/{read}")).json["name"] == "After"
    files = (await proxy.get(f"/1/cards/{read}/attachments")).json
    assert "https://example.org/a" in [each["url"] for each in files]


async def test_a_write_by_a_name_that_is_known_leaves_other_cards_alone(
    proxy: Proxy, standin: FakeTrello, board: str, card: str, short: str
) -> None:
    await _teach(proxy, f"/1/boards/{board}/cards")
    cards = standin.trello.request(f"/1/boards/{board}/cards")
    other = next(each["id"] for each in cards if each["id"] != card)
    await _teach(proxy, f"/1/cards/{other}")
    await proxy("POST", f"/1/cards/{short}/attachments", data={"url": "https://example.org/a"})
    assert await _cached(proxy, f"/1/cards/{other}") == "hit"


@pytest.mark.parametrize("rest", ["/customFieldItems", "/actions", "/attachments", "/name"])
async def test_parts_of_a_card_depend_on_its_board_alone(
    proxy: Proxy, card: str, short: str, board: str, directory: Path, rest: str
) -> None:
    await _teach(proxy, f"/1/boards/{board}/cards", f"/1/cards/{short}{rest}")
    await proxy.app.stop()
    (tags,) = [tags for tags in _stored_tags(directory) if f"card:{short}" in tags]
    assert {f"card:{card}", f"cards-of:{board}"} <= tags
    assert not {"card:?", "cards-of:?"} & tags


def _stored_tags(directory: Path) -> list[set[str]]:
    """What every stored response depends on, from the disk of a proxy that has stopped."""
    with closing(sqlite3.connect(directory / "responses.sqlite")) as db:
        rows = db.execute("SELECT value FROM responses").fetchall()
    return [set(json.loads(row.partition(b"\n")[0])["tags"]) for (row,) in rows]


async def test_a_write_on_the_new_board_reaches_a_card_that_moved_unseen(
    proxy: Proxy, standin: FakeTrello, card: str, board: str, other_board: str
) -> None:
    await _teach(proxy, f"/1/boards/{board}/cards?fields=idBoard")
    _moved(standin, card, other_board)
    label = standin.trello.edit("POST", f"/1/boards/{other_board}/labels", {"name": "x"})["id"]
    standin.trello.edit("POST", f"/1/cards/{card}/idLabels", {"value": label})
    target = f"/1/cards/{card}?fields=labels"
    assert "x" in [each["name"] for each in (await proxy.get(target)).json["labels"]]
    assert await _cached(proxy, target) == "hit"
    heard = await proxy("PUT", f"/1/labels/{label}", data={"name": "y"})
    assert heard.json["idBoard"] == other_board
    assert "y" in [each["name"] for each in (await proxy.get(target)).json["labels"]]


async def test_a_username_given_away_is_believed_no_longer_than_an_answer(
    proxy: Proxy, standin: FakeTrello, clock: FakeClock, me: dict[str, Any]
) -> None:
    other = standin.trello.add_member("sam", "Sam")
    await _teach(proxy, f"/1/members/{me['id']}", "/1/members/sam")
    assert await _cached(proxy, f"/1/members/{me['username']}") == "hit"
    standin.trello.aliases["sam"] = me["id"]
    clock.advance(PEOPLE_S - 1)
    assert (await proxy.get("/1/members/sam")).json["id"] == other
    clock.advance(2 * PEOPLE_S + 1)
    assert (await proxy.get("/1/members/sam")).json["id"] == me["id"]


async def test_a_username_changed_here_is_forgotten_at_once(
    start_proxy: StartProxy, standin: FakeTrello, me: dict[str, Any]
) -> None:
    proxy = await start_proxy("clients: {writes: all}")
    other = standin.trello.add_member("sam", "Sam")
    await _teach(proxy, f"/1/members/{other}", "/1/members/sam/organizations")
    standin.trello.aliases["sam"] = me["id"]
    await proxy("PUT", f"/1/members/{me['id']}", data={"fullName": "Sam too"})
    assert await _cached(proxy, "/1/members/sam/organizations") != "hit"


async def test_a_name_that_is_no_longer_believed_still_has_its_last_answer(
    proxy: Proxy, standin: FakeTrello, clock: FakeClock, me: dict[str, Any]
) -> None:
    await _teach(proxy, f"/1/members/{me['username']}")
    clock.advance(3600)
    standin.faults.add(Fault("reset", times=None))
    heard = await proxy.get(f"/1/members/{me['username']}")
    assert heard.cache == "fwd=stale; fwd-status=502; detail=stale-if-error"


async def test_me_is_another_for_each_credential(
    start_proxy: StartProxy, standin: FakeTrello, me: dict[str, Any]
) -> None:
    other = standin.trello.add_member("sam", "Sam Stranger")
    standin.trello.add_token(OTHER_TOKEN, other, key=OTHER_KEY)
    proxy = await start_proxy(clients={"credentials": "forward"})
    mine, theirs = (f'OAuth oauth_consumer_key="{key}", oauth_token="{token}"'
                    for key, token in ((KEY, TOKEN), (OTHER_KEY, OTHER_TOKEN)))  # fmt: skip
    for _ in range(2):
        for who, own_id in ((mine, me["id"]), (theirs, other)):
            headers = {"Authorization": who}
            assert (await proxy.get("/1/members/me", headers=headers)).json["id"] == own_id
            heard = await proxy.get(f"/1/members/{own_id}", headers=headers)
            assert heard.cache.startswith("hit")


async def test_a_repeated_header_is_answered_as_what_is_stored_changes(
    proxy: Proxy, connect: Callable[[], Awaitable[Raw]], card: str, short: str
) -> None:
    raw = await connect()
    asked = f"GET /1/cards/{short}?fields=name HTTP/1.1\r\nHost: {proxy.host}\r\n\r\n".encode()
    told = []
    for _ in range(4):
        await raw.send(asked)
        told.append((await raw.answer())[2])
    await proxy("PUT", f"/1/cards/{card}", data={"name": "After"})
    await raw.send(asked)
    assert len(set(told)) == 1
    assert json.loads((await raw.answer())[2])["name"] == "After"
