"""A client with a scope: neither a file nor a count shows what is on other boards."""

import json

import pytest

from proxy.fake_trello.faults import Fault
from proxy.fake_trello.server import FakeTrello
from tests.scenarios.conftest import Heard, Proxy, StartProxy
from tests.scenarios.scoped_world import (
    AS_CLIENT,
    CANARY,
    UNAUTHORIZED,
    World,
    make_world,
    scoped_to,
)

FILE = "/1/cards/{card}/attachments/{attachment}/download/x"


@pytest.fixture
def world(standin: FakeTrello) -> World:
    return make_world(standin.trello)


@pytest.fixture
async def scoped(start_proxy: StartProxy, world: World) -> Proxy:
    return await start_proxy(scoped_to(world.visible["board"]))


async def get(proxy: Proxy, target: str) -> Heard:
    return await proxy.get(target, headers=AS_CLIENT)


async def test_the_file_of_a_deleted_card_is_no_ones_who_could_not_see_the_card(
    scoped: Proxy, standin: FakeTrello, world: World
) -> None:
    file = FILE.format(**world.hidden)
    assert (await scoped.get(file)).body == b"x"
    standin.trello.edit("DELETE", "/1/cards/{card}".format(**world.hidden))
    for target in (file, f"{file}?download", file.replace("/download", "/previews/1/download")):
        response = await get(scoped, target)
        assert (response.status, response.problem) == (404, ""), target
        assert not world.traces_in(response, target)


async def test_a_client_learns_that_a_file_of_its_own_card_was_deleted(
    scoped: Proxy, standin: FakeTrello, world: World
) -> None:
    file = FILE.format(**world.visible)
    assert (await get(scoped, file)).body == b"x"
    await scoped("DELETE", "/1/cards/{card}/attachments/{attachment}".format(**world.visible))
    assert (await get(scoped, file)).problem == "attachment-deleted"


async def test_a_card_that_another_client_finds_on_a_board_out_of_scope_is_refused_at_once(
    scoped: Proxy, standin: FakeTrello, world: World
) -> None:
    card = "/1/cards/{card}".format(**world.visible)
    targets = FILE.format(**world.visible), f"{card}/checklists"
    for target in targets * 3:
        assert (await get(scoped, target)).status == 200
    assert len(scoped.app.fast_paths[0]) == len(targets)
    standin.trello.edit("PUT", f"{card}?idBoard={{board}}&idList={{list}}".format(**world.hidden))
    assert (await scoped.get(card, headers={"Cache-Control": "no-cache"})).status == 200
    for target in targets:
        response = await get(scoped, target)
        assert (response.status, response.body) == UNAUTHORIZED, target


@pytest.mark.parametrize(
    "target",
    [
        "/1/members/me?actions=all",
        "/1/members/me?actions=all&actions_limit=1",
        "/1/members/me?actions=all&actions_format=count",
        "/1/members/me?notifications=all&notifications_limit=1",
        "/1/members/me?cards=all&cards_limit=1",
        "/1/members/me/cards?limit=1",
        "/1/members/me/cards?page=1",
        "/1/members/me/cards?format=count",
        "/1/members/me/boards?limit=1",
        "/1/members/me/boards/all?format=count",
    ],
)
async def test_no_list_over_all_boards_is_cut_or_counted_by_trello(
    scoped: Proxy, target: str
) -> None:
    """The items of other boards would count: their number and their dates would show."""
    assert (await get(scoped, target)).problem == "outside-scope"


@pytest.mark.parametrize(
    "name", ["https://trello.com/c/{}", " HTTPS://TRELLO.COM/c/{}/x ", "/c/{}"]
)
async def test_no_card_is_made_that_mirrors_one_of_another_board(
    scoped: Proxy, standin: FakeTrello, world: World, name: str
) -> None:
    hidden = standin.trello.cards.get(world.hidden["card"])["shortLink"]
    values = {"name": name.format(hidden), "idList": world.visible["list"], "cardRole": "mirror"}
    own = "/1/cards/{card}".format(**world.visible)
    for method, target, body in (
        ("POST", "/1/cards", values),
        ("PUT", own, {"name": values["name"]}),
        ("PUT", f"{own}/name", {"value": values["name"]}),
    ):
        response = await scoped(method, target, headers=AS_CLIENT, json=body)
        assert (response.status, response.body) == UNAUTHORIZED, target
    assert (await scoped("PUT", own, headers=AS_CLIENT, json={"name": "a/c/b"})).status == 200


async def test_an_explanation_has_no_size_of_what_is_not_visible(
    scoped: Proxy, world: World
) -> None:
    await get(scoped, "/1/members/me/boards")
    target = "/-/explain?url=/1/members/me/boards"
    whole, own = await scoped.get(target), await get(scoped, target)
    assert b" bytes" in whole.body
    assert b"stored  " in own.body
    assert b" bytes" not in own.body
    assert CANARY.encode() not in own.body


@pytest.mark.parametrize("status", [200, 201, 202, 203, 206])
async def test_a_response_is_filtered_whatever_success_it_reports(
    scoped: Proxy, standin: FakeTrello, world: World, status: int
) -> None:
    own = "/1/cards/{card}".format(**world.visible)
    board = {"id": world.hidden["board"], "name": CANARY}
    body = json.dumps({"board": board, "boards": [board]}, separators=(",", ":"))
    for method, target in (("PUT", f"{own}?pos=top"), ("GET", "/1/members/me?fields=url")):
        fault = Fault("status", method=method, path=target.partition("?")[0], status=status,
                      body=body, content_type="application/json")  # fmt: skip
        standin.faults.add(fault)
        response = await scoped(method, target, headers=AS_CLIENT)
        assert not world.traces_in(response, target), (method, response.body)
