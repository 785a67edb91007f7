"""A client with a scope: what belongs to other boards does not exist for it."""

from typing import Any

import pytest

from proxy.access.client_keys import digest_of
from proxy.fake_trello.server import FakeTrello
from tests.scenarios.conftest import Heard, Proxy, StartProxy

CLIENT_KEY = "tpk_" + "5c0be" * 12
AS_CLIENT = {"Authorization": f"Bearer {CLIENT_KEY}"}
REFUSED = (401, b"unauthorized permission requested")


def scoped_to(boards: str, writes: str = "all", workspaces: str = "") -> str:
    """A configuration with one client that may see these boards."""
    scope = f"boards: [{boards}], workspaces: [{workspaces}]"
    return (
        f"clients: {{keys: [{{name: ci, digest: '{digest_of(CLIENT_KEY)}', {scope}, "
        f"writes: {writes}}}]}}"
    )


@pytest.fixture
async def scoped(start_proxy: StartProxy, short_board: str) -> Proxy:
    """A proxy with a client that may see the example board."""
    return await start_proxy(scoped_to(short_board))


@pytest.fixture
def hidden(standin: FakeTrello, other_board: str) -> dict[str, Any]:
    """A board outside the scope, with lists and cards."""
    target = f"/1/boards/{other_board}?fields=all&lists=all&cards=all&labels=all&checklists=all"
    found: dict[str, Any] = standin.trello.request(target)
    return found


async def get(proxy: Proxy, target: str, **options: Any) -> Heard:
    return await proxy.get(target, headers=AS_CLIENT, **options)


async def test_a_client_reads_its_board_by_both_names(
    scoped: Proxy, board: str, short_board: str
) -> None:
    for name in (board, short_board):
        response = await get(scoped, f"/1/boards/{name}")
        assert (response.status, response.json["id"]) == (200, board)


async def test_another_board_is_refused_as_trello_refuses_it(
    scoped: Proxy, hidden: dict[str, Any]
) -> None:
    for name in (hidden["id"], hidden["shortLink"]):
        response = await get(scoped, f"/1/boards/{name}")
        assert (response.status, response.body) == REFUSED


async def test_an_object_on_another_board_is_refused(
    scoped: Proxy, hidden: dict[str, Any], card: str
) -> None:
    there = [
        f"/1/cards/{hidden['cards'][0]['id']}",
        f"/1/cards/{hidden['cards'][0]['shortLink']}/attachments",
        f"/1/lists/{hidden['lists'][0]['id']}/cards",
        f"/1/labels/{hidden['labels'][0]['id']}",
        f"/1/checklists/{hidden['checklists'][0]['id']}",
    ]
    for target in there:
        response = await get(scoped, target)
        assert (target, response.status, response.body) == (target, *REFUSED)
    assert (await get(scoped, f"/1/cards/{card}")).status == 200


async def test_a_list_over_all_boards_has_the_visible_ones(scoped: Proxy, board: str) -> None:
    response = await get(scoped, "/1/members/me/boards?fields=name")
    assert [each["id"] for each in response.json] == [board]
    everybody = await scoped.get("/1/members/me/boards?fields=name")
    assert len(everybody.json) == 3
