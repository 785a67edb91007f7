"""A client with a scope and a member of the same boards: equal responses, or a refusal."""

import re

import pytest

from proxy.fake_trello.server import FakeTrello
from tests.scenarios.conftest import Heard, Proxy, StartProxy
from tests.scenarios.scoped_world import (
    AS_CLIENT,
    Member,
    World,
    filled,
    is_refusal,
    make_world,
    operations,
    scoped_to,
)

PROFILE = {
    "email",
    "idBoards",
    "idOrganizations",
    "loginTypes",
    "oneTimeMessagesDismissed",
    "prefs",
}
OTHER_BOARDS = {"boardSource", "boardTarget"}
"""What the proxy leaves out of actions; Trello may show their ids."""
PERSONAL = re.compile(r"/members/\{id\}.*|.*/(boardStars|myPrefs)|.*/download.*|/client.js")
"""What the account and the member see of themselves differs, and files are redirects at Trello."""


@pytest.fixture
def world(standin: FakeTrello) -> World:
    return make_world(standin.trello)


@pytest.fixture
async def scoped(start_proxy: StartProxy, world: World) -> Proxy:
    return await start_proxy(f"{scoped_to(world.visible['board'])}\nlinks: {{rewrite: false}}")


def known_to_all(heard: Heard) -> object:
    """A response without what the account alone sees of itself."""
    try:
        return _without_profile(heard.json)
    except ValueError:
        return heard.body


def _without_profile(value: object) -> object:
    if isinstance(value, list):
        return [_without_profile(each) for each in value]
    if not isinstance(value, dict):
        return value
    private = PROFILE if "username" in value else OTHER_BOARDS
    if "displayName" in value:  # a workspace: its name and addresses
        private = set(value) - {"displayName", "id", "logoHash", "logoUrl", "name", "url"}
    return {name: _without_profile(each) for name, each in value.items() if name not in private}


OF_BOARDS = (
    "cards=all&card_fields=all&lists=all&labels=all&members=all&checklists=all&actions=all"
    "&organization=true&organization_fields=all&customFields=true&memberships=all"
)
OF_CARDS = (
    "board=true&board_fields=all&list=true&actions=all&members=true&member_fields=all"
    "&checklists=all&attachments=true&customFieldItems=true&stickers=true"
)
QUERIES = (
    "",
    "?fields=all",
    "?fields=name",
    "?fields=",
    f"?{OF_BOARDS}&fields=all",
    f"?{OF_CARDS}&fields=id",
    "?boards=all&cards=all&organizations=all&boardStars=true&notifications=all",
    "?limit=2&page=1&since=2001-01-01",
)


@pytest.mark.parametrize("query", QUERIES)
async def test_each_read_is_the_members_or_a_refusal(
    scoped: Proxy, standin: FakeTrello, world: World, query: str
) -> None:
    member, differing, served = Member(scoped.session, standin.url), [], 0
    for template in operations("GET"):
        names = (world.visible, world.visible | {"member": "me"}, world.hidden)
        for path in dict.fromkeys(filled(template, ids) for ids in names):
            target = path + query
            own = await scoped.get(target, headers=AS_CLIENT)
            assert not world.traces_in(own, target), (target, own.body)
            if is_refusal(own) or PERSONAL.fullmatch(template):
                continue
            served += 1
            theirs = await member("GET", target)
            if (own.status, known_to_all(own)) != (theirs.status, known_to_all(theirs)):
                differing.append(
                    (target, own.status, own.body[:300], theirs.status, theirs.body[:300])
                )
    assert not differing
    assert served > 50
