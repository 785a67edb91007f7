"""Writes of a client with a scope: none reaches another board, whatever names it."""

import json
from itertools import cycle
from urllib.parse import urlencode

import pytest

from proxy.fake_trello.server import FakeTrello
from tests.scenarios.conftest import Proxy, StartProxy
from tests.scenarios.scoped_world import (
    AS_CLIENT,
    World,
    filled,
    make_world,
    operations,
    scoped_to,
)

WRITTEN = {"name": "renamed", "value": "renamed", "text": "said", "color": "blue", "pos": "top"}
REFERENCES = {
    "idBoard": "board", "idBoardSource": "board", "idModel": "board", "idList": "list",
    "idListSource": "list", "idCard": "card", "idCardSource": "card", "idLabels": "label",
    "idChecklist": "checklist", "idChecklistSource": "checklist", "idOrganization": "organization",
    "value": "board",
}  # fmt: skip


@pytest.fixture
def world(standin: FakeTrello) -> World:
    return make_world(standin.trello)


@pytest.fixture
async def scoped(start_proxy: StartProxy, world: World) -> Proxy:
    return await start_proxy(scoped_to(world.visible["board"]))


def snapshot(world: World) -> str:
    """All hidden boards and what is on them, as it is now."""
    trello = world.trello
    boards = [each for each in trello.boards.values() if each["id"] != world.visible["board"]]
    tables = trello.lists, trello.labels, trello.cards, trello.custom_fields, trello.actions
    on_boards = [[table.of(board["id"]) for table in tables] for board in boards]
    cards = [card["id"] for board in boards for card in trello.cards.of(board["id"])]
    below = trello.checklists, trello.attachments, trello.stickers, trello.custom_items
    on_cards = [[table.of(card) for table in below] for card in cards]
    rest = sorted(trello.organizations), trello.stars.all(), trello.webhooks.all()
    return json.dumps([boards, on_boards, on_cards, rest], sort_keys=True, default=str)


async def write(proxy: Proxy, method: str, target: str, where: str, values: dict[str, str]) -> str:
    """What a write shows, its parameters in the query, a form or JSON."""
    if where == "query":
        heard = await proxy(method, f"{target}?{urlencode(values)}", headers=AS_CLIENT)
    else:
        heard = await proxy(method, target, headers=AS_CLIENT, **{where: values})
    return heard.body.decode("latin-1")


@pytest.mark.seeds(1)
@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE"])
async def test_no_write_reaches_a_hidden_board(
    scoped: Proxy, world: World, method: str, seed: int
) -> None:
    """Places of the parameters take turns; three seeds try all with every name."""
    places = cycle(("query", "data", "json"))
    for _ in range(seed):
        next(places)
    before, secrets = snapshot(world), [world.hidden["list"], "CaNaRy list"]
    for template in sorted(operations(method), key=lambda each: -each.count("{")):
        below = filled(template, world.hidden).split("/")
        below[:4] = filled(template, world.visible).split("/")[:4]
        shown = ""
        for target in (filled(template, world.hidden), "/".join(below)):
            shown += await write(scoped, method, target, next(places), WRITTEN)
        if method != "DELETE":
            for name, kind in REFERENCES.items():
                values = WRITTEN | {name: world.hidden[kind]}
                target = filled(template, world.visible)
                shown += await write(scoped, method, target, next(places), values)
        assert snapshot(world) == before, template
        assert not [each for each in secrets if each in shown], template


async def test_a_write_to_the_visible_board_is_made(scoped: Proxy, world: World) -> None:
    ids = world.visible
    heard = await scoped(
        "PUT", f"/1/cards/{ids['card']}", headers=AS_CLIENT, json={"name": "by the client"}
    )
    assert (heard.status, heard.json["name"]) == (200, "by the client")
    form = {"name": "new", "idList": ids["list"], "idLabels": ids["label"]}
    assert (await scoped("POST", "/1/cards", headers=AS_CLIENT, data=form)).status == 200
    fields = {"customFieldItems": [{"idCustomField": ids["customField"], "value": {"text": "x"}}]}
    target = f"/1/cards/{ids['card']}/customFields"
    assert (await scoped("PUT", target, headers=AS_CLIENT, json=fields)).status == 200
