"""A client with a scope: what belongs to other boards does not exist for it."""

import json
from urllib.parse import quote

import aiohttp
import pytest

from proxy.access.client_keys import digest_of
from proxy.fake_trello.faults import Fault
from proxy.fake_trello.server import FakeTrello
from proxy.runtime.clock import FakeClock
from tests.scenarios.conftest import Heard, Proxy, StartProxy
from tests.scenarios.scoped_world import (
    AS_CLIENT,
    CANARY,
    NO_OBJECT,
    UNAUTHORIZED,
    World,
    make_world,
    scoped_to,
)


@pytest.fixture
def world(standin: FakeTrello) -> World:
    return make_world(standin.trello)


@pytest.fixture
async def scoped(start_proxy: StartProxy, world: World) -> Proxy:
    """A proxy with a client that may see one board."""
    return await start_proxy(scoped_to(world.visible["board"]))


async def get(proxy: Proxy, target: str) -> Heard:
    return await proxy.get(target, headers=AS_CLIENT)


def is_unauthorized(heard: Heard) -> bool:
    return (heard.status, heard.body) == UNAUTHORIZED


def asked(standin: FakeTrello) -> int:
    """How many requests Trello has received."""
    return standin.request_log.total


async def test_a_board_is_visible_by_each_of_its_names(
    start_proxy: StartProxy, world: World, short_board: str, board: str
) -> None:
    for named in (board, short_board, f"https://trello.com/b/{short_board}/title"):
        proxy = await start_proxy(scoped_to(f"'{named}'"))
        for name in (board, short_board):
            assert (await get(proxy, f"/1/boards/{name}")).json["id"] == board
        assert is_unauthorized(await get(proxy, f"/1/boards/{world.hidden['board']}"))
        await proxy.app.stop()


async def test_lists_over_all_boards_have_the_visible_ones(scoped: Proxy, world: World) -> None:
    own = await get(scoped, "/1/members/me/boards?fields=name")
    assert [each["id"] for each in own.json] == [world.visible["board"]]
    everything = await scoped.get("/1/members/me/boards?fields=name")
    assert len(everything.json) == 4
    cards = await get(scoped, "/1/members/me/cards?fields=name")
    assert cards.json == [{"id": world.visible["card"], "name": "plain card"}]


async def test_an_account_wide_feed_is_paged_after_it_was_filtered(
    scoped: Proxy, standin: FakeTrello, world: World
) -> None:
    own = f"/1/cards/{world.visible['card']}/actions/comments"
    for number in range(3):
        standin.trello.edit("POST", own, {"text": f"own {number}"})
        there = f"/1/cards/{world.hidden['card']}/actions/comments"
        standin.trello.edit("POST", there, {"text": CANARY})
    for page, texts in enumerate((["own 2", "own 1"], ["own 0", "plain comment"])):
        target = f"/1/members/me/actions?filter=commentCard&limit=2&page={page}"
        response = await get(scoped, target)
        assert [each["data"]["text"] for each in response.json][: len(texts)] == texts
    counted = await get(scoped, "/1/members/me/actions?format=count")
    assert counted.problem == "outside-scope"


async def test_one_stored_response_serves_all_scopes(
    scoped: Proxy, standin: FakeTrello, world: World
) -> None:
    target = "/1/members/me/boards?fields=name"
    await scoped.get(target)
    await get(scoped, target)
    before = asked(standin)
    assert len((await get(scoped, target)).json) == 1
    assert len((await scoped.get(target)).json) == 4
    assert asked(standin) == before


async def test_a_filtered_hit_is_served_by_the_fast_path(scoped: Proxy) -> None:
    target = "/1/members/me/boards?fields=name"
    first = await get(scoped, target)
    await get(scoped, target)
    prepared = len(scoped.app.fast_paths[0])
    hit = await get(scoped, target)
    assert (hit.body, hit.cache[:3], hit.fields["ETag"]) == (
        first.body, "hit", first.fields["ETag"],
    )  # fmt: skip
    assert prepared == len(scoped.app.fast_paths[0]) > 0
    whole = await scoped.get(target)
    assert whole.fields["ETag"] != first.fields["ETag"]


async def test_each_page_and_file_of_another_board_is_refused(scoped: Proxy, world: World) -> None:
    there, here = world.hidden, world.visible
    file = f"/1/cards/{{card}}/attachments/{{attachment}}/download/{CANARY}.txt"
    assert is_unauthorized(await get(scoped, file.format(**there)))
    assert (await get(scoped, file.format(**here))).body == b"x"
    pages = "/b/{board}", "/c/{card}", "/b/{board}.json", "/c/{card}.json"
    for path in (*pages, "/b/{board}/files.zip", "/c/{card}/files.zip"):
        refused = await get(scoped, path.format(**there))
        assert refused.status in (401, 404), path
        assert not world.traces_in(refused, path.format(**there)), path
        assert (await get(scoped, path.format(**here))).status == 200, path
    export = await get(scoped, "/1/boards/{board}/exports/{export}/download".format(**here))
    assert export.problem == "outside-scope"


async def test_a_card_as_its_board_has_it_is_shown_to_who_may_see_that_board(
    scoped: Proxy, world: World, standin: FakeTrello
) -> None:
    for ids in (world.hidden, world.visible):
        assert (await scoped.get("/b/{board}".format(**ids))).status == 200
    assert (await get(scoped, "/b/{board}".format(**world.visible))).status == 200
    standin.faults.add(Fault("status", times=None))
    page = "/c/{card}".format(**world.hidden)
    assert (await scoped.get(page)).status == 200
    refused = await get(scoped, page)
    assert refused.status in (401, 404)
    assert not world.traces_in(refused, page)
    assert (await get(scoped, "/c/{card}".format(**world.visible))).status == 200


async def test_a_stored_file_is_refused_to_who_may_not_see_its_card(
    scoped: Proxy, world: World
) -> None:
    target = "/1/cards/{card}/attachments/{attachment}/download/x".format(**world.hidden)
    for _ in range(2):
        assert (await scoped.get(target)).body == b"x"
    assert is_unauthorized(await get(scoped, target))


async def test_a_batch_is_judged_part_by_part(scoped: Proxy, world: World) -> None:
    parts = f"/boards/{world.visible['board']},/boards/{world.hidden['board']},/search?query=x"
    parts += f",/cards/{world.hidden['card']},/cards/{world.visible['card']}"
    for _ in range(2):
        heard = await get(scoped, f"/1/batch?urls={quote(parts, safe='')}")
        codes = [each.get("statusCode", 200) for each in heard.json]
        assert codes == [200, 401, 403, 401, 200]
        assert heard.json[4]["200"]["id"] == world.visible["card"]
        assert not world.traces_in(heard, parts)
    odd = await get(scoped, f"/1/batch?urls=%252Fboards%252F{world.hidden['board']}&x=1")
    assert odd.problem == "outside-scope"


async def test_a_search_is_made_on_the_visible_boards(scoped: Proxy, world: World) -> None:
    found = await get(scoped, "/1/search?query=card&modelTypes=cards&cards_limit=1")
    (card,) = found.json["cards"]
    assert card["idBoard"] == world.visible["board"]
    for target in (
        "/1/search?query=card",
        f"/1/search?query=card&modelTypes=cards&idBoards={world.hidden['board']}",
        "/1/search?query=card&modelTypes=cards&card_fields=name",
        "/1/search/members?query=sam",
    ):
        assert (await get(scoped, target)).problem == "outside-scope", target


async def test_what_names_another_board_is_left_out_of_an_action(
    scoped: Proxy, standin: FakeTrello, world: World
) -> None:
    card = standin.trello.edit(
        "POST", "/1/cards", {"name": "moved in", "idList": world.hidden["list"]}
    )["id"]
    standin.trello.edit("PUT", f"/1/cards/{card}", {"idBoard": world.visible["board"]})
    feed = await get(scoped, f"/1/boards/{world.visible['board']}/actions?filter=moveCardToBoard")
    (moved,) = feed.json
    assert moved["data"]["card"]["id"] == card
    assert "boardSource" not in moved["data"]
    assert not world.traces_in(feed, "")


class TestMoves:
    """A card that leaves the visible board, and comes back."""

    async def test_a_card_that_left_is_not_read_further(
        self, scoped: Proxy, standin: FakeTrello, world: World
    ) -> None:
        card, here, there = world.visible["card"], world.visible["board"], world.hidden["board"]
        assert (await get(scoped, f"/1/cards/{card}")).status == 200
        standin.trello.edit("PUT", f"/1/cards/{card}", {"idBoard": there})
        for below in ("?fields=name&list=true", "/attachments", "/list", "/actions", "/members"):
            response = await get(scoped, f"/1/cards/{card}{below}")
            assert is_unauthorized(response), below
        standin.trello.edit("PUT", f"/1/cards/{card}", {"idBoard": here})
        await scoped("POST", "/-/purge")

    async def test_what_was_stored_while_it_was_away_is_not_shown(
        self, scoped: Proxy, standin: FakeTrello, world: World, clock: FakeClock
    ) -> None:
        card, here, there = world.visible["card"], world.visible["board"], world.hidden["board"]
        below = ("?fields=name&list=true", "/list", "/idList", "/board", "/actions")
        targets = [f"/1/cards/{card}{each}" for each in below]
        standin.trello.edit("PUT", f"/1/cards/{card}", {"idBoard": there})
        for target in targets:
            assert (await scoped.get(target)).status == 200
        standin.trello.edit("PUT", f"/1/cards/{card}", {"idBoard": here})
        clock.advance(11)  # a refusal lasts for ten seconds
        for target in targets:
            response = await get(scoped, target)
            assert not world.traces_in(response, target), target

    async def test_a_card_that_the_proxy_moves_out_is_gone_at_once(
        self, scoped: Proxy, world: World
    ) -> None:
        card = world.visible["card"]
        for below in ("", "/attachments"):
            assert (await get(scoped, f"/1/cards/{card}{below}")).status == 200
            assert (await get(scoped, f"/1/cards/{card}{below}")).cache.startswith("hit")
        moved = {"idBoard": world.hidden["board"]}
        assert (await scoped("PUT", f"/1/cards/{card}", json=moved)).status == 200
        for below in ("", "/attachments"):
            assert is_unauthorized(await get(scoped, f"/1/cards/{card}{below}"))


class TestRefusals:
    """What a refusal shows of what the account sees, and of what others read."""

    async def test_it_is_the_same_whether_or_not_others_read_the_object(
        self, scoped: Proxy, standin: FakeTrello, world: World
    ) -> None:
        card = world.hidden["card"]
        await scoped.get(f"/1/cards/{card}")
        await scoped.get(f"/1/boards/{world.hidden['board']}/cards")
        before = asked(standin)
        known = await get(scoped, f"/1/cards/{card}")
        assert asked(standin) - before == 2  # the account's boards, and the owner, as for any other
        unread = await get(scoped, f"/1/lists/{world.hidden['list']}")
        for heard in (known, unread):
            assert is_unauthorized(heard)
        ids = {"X-Request-ID", "Server-Timing"}
        fields = [sorted((n, v) for n, v in each.fields.items() if n not in ids)
                  for each in (known, unread)]  # fmt: skip
        assert fields[0] == fields[1]
        assert known.cache == "trello-proxy"

    async def test_it_is_trellos_own_for_what_is_not_there(self, scoped: Proxy) -> None:
        missing = await get(scoped, f"/1/cards/{NO_OBJECT}")
        assert (missing.status, missing.body) == (404, b"The requested resource was not found.")
        malformed = await get(scoped, "/1/cards/no-card")
        assert (malformed.status, malformed.body) == (400, b"invalid id")
        assert is_unauthorized(await get(scoped, f"/1/boards/{NO_OBJECT}"))

    async def test_a_second_one_asks_nothing(
        self, scoped: Proxy, standin: FakeTrello, world: World
    ) -> None:
        target = f"/1/cards/{world.hidden['card']}"
        await get(scoped, target)
        before = asked(standin)
        assert is_unauthorized(await get(scoped, target))
        assert asked(standin) == before

    @pytest.mark.parametrize(
        "target",
        [
            "/1/boards/{board}?unheardOf=1",
            "/1/boards/{board}?fields=name&fields=all",
            "/1/boards/{board}/unheardOf",
            "/1/cards/{card}?callback=f",
            "/1/cards/{card}?_method=PUT&name=x",
            "/1/members/me/tokens",
            "/1/unheardOf/{card}",
        ],
    )
    async def test_what_is_in_no_table_is_refused(
        self, start_proxy: StartProxy, world: World, target: str
    ) -> None:
        proxy = await start_proxy(scoped_to(world.visible["board"]).replace(
            "clients: {", "clients: {jsonp: allow, "
        ))  # fmt: skip
        fields = AS_CLIENT | {"X-Requested-With": "XMLHttpRequest"}
        heard = await proxy.get(target.format(**world.visible), headers=fields)
        assert heard.problem == "outside-scope"


class TestUploads:
    """Multipart bodies, which are sent before all of them is read."""

    async def test_a_file_is_uploaded_to_a_visible_card(self, scoped: Proxy, world: World) -> None:
        form = aiohttp.FormData({"name": "notes.txt"})
        form.add_field("file", b"hello", filename="notes.txt", content_type="text/plain")
        target = "/1/cards/{card}/attachments"
        made = await scoped("POST", target.format(**world.visible), headers=AS_CLIENT, data=form())
        assert (made.status, made.json["name"]) == (200, "notes.txt")

    async def test_a_part_that_names_something_is_refused_wherever_it_stands(
        self, scoped: Proxy, standin: FakeTrello, world: World
    ) -> None:
        before = len(standin.trello.attachments.of(world.visible["card"]))
        for size in (10, 300_000):
            form = aiohttp.FormData()
            form.add_field("file", b"x" * size, filename="a", content_type="text/plain")
            form.add_field("url", f"https://trello.com/c/{world.hidden['card']}")
            target = "/1/cards/{card}/attachments".format(**world.visible)
            heard = await scoped("POST", target, headers=AS_CLIENT, data=form())
            assert heard.problem == "outside-scope", heard.body
        assert len(standin.trello.attachments.of(world.visible["card"])) == before

    async def test_no_other_body_is_streamed(self, scoped: Proxy, world: World) -> None:
        form = aiohttp.FormData({"idList": world.hidden["list"], "name": "x"})
        form.add_field("file", b"x", filename="a")
        heard = await scoped("POST", "/1/cards", headers=AS_CLIENT, data=form())
        assert heard.problem == "outside-scope"
        raw = {"Content-Type": "application/octet-stream"}
        target = "/1/cards/{card}".format(**world.visible)
        heard = await scoped("PUT", target, headers=AS_CLIENT | raw, data=b"\x00\x01idList")
        assert heard.problem == "outside-scope"

    async def test_an_address_of_another_board_is_refused(
        self, scoped: Proxy, world: World
    ) -> None:
        target = "/1/cards/{card}/attachments".format(**world.visible)
        for url, is_made in (
            (f"https://trello.com/c/{world.hidden['card']}", False),
            (f"https://trello.com/b/{world.hidden['board']}/x", False),
            (f"https://trello.com/1/cards/{world.hidden['card']}", False),
            (f"https://trello.com/c/{world.visible['card']}", True),
            ("https://example.com/c/x", True),
        ):
            heard = await scoped("POST", target, headers=AS_CLIENT, data={"url": url})
            assert (heard.status == 200) is is_made, url


class TestWorkspaces:
    """A scope of whole workspaces."""

    async def test_its_boards_are_visible_also_those_that_are_made_later(
        self, start_proxy: StartProxy, standin: FakeTrello, world: World
    ) -> None:
        name = standin.trello.organizations[world.hidden["organization"]]["name"]
        proxy = await start_proxy(scoped_to(workspaces=name))
        assert (await get(proxy, f"/1/boards/{world.hidden['board']}")).status == 200
        assert is_unauthorized(await get(proxy, f"/1/boards/{world.visible['board']}"))
        workspace = await get(proxy, f"/1/organizations/{name}?fields=all")
        assert workspace.json["idBoards"] == [world.hidden["board"]]
        values = {"name": "made", "idOrganization": world.hidden["organization"]}
        made = await proxy("POST", "/1/boards", headers=AS_CLIENT, data=values)
        assert (await get(proxy, f"/1/boards/{made.json['id']}")).status == 200

    async def test_another_one_is_refused(self, scoped: Proxy, world: World) -> None:
        for ids in (world.visible, world.hidden):
            for below in ("", "/boards", "/members", "/idBoards"):
                target = f"/1/organizations/{ids['organization']}{below}"
                assert is_unauthorized(await get(scoped, target)), target
        made = await scoped("POST", "/1/boards", headers=AS_CLIENT, data={"name": "made"})
        assert made.problem == "outside-scope"


async def test_many_scopes_of_many_boards_cost_one_request(
    start_proxy: StartProxy, standin: FakeTrello, world: World
) -> None:
    boards = ", ".join(f"{number:024x}" for number in range(50))
    keys = ", ".join(
        f"{{name: c{number}, digest: '{digest_of(f'key-of-client-{number}')}', "
        f"boards: [{world.visible['board']}, {boards}]}}"
        for number in range(100)
    )
    proxy = await start_proxy(f"clients: {{keys: [{keys}]}}")
    before = asked(standin)
    for number in range(0, 100, 10):
        sent = {"Authorization": f"Bearer key-of-client-{number}"}
        heard = await proxy.get(f"/1/boards/{world.visible['board']}", headers=sent)
        assert heard.status == 200
        assert is_unauthorized(await proxy.get(f"/1/boards/{world.hidden['board']}", headers=sent))
    assert asked(standin) - before == 2  # the account's boards, and this one


class TestOwnScope:
    """`clients.boards`: what the proxy exposes to any client."""

    async def test_anonymous_clients_see_no_other_board(
        self, start_proxy: StartProxy, world: World
    ) -> None:
        proxy = await start_proxy(f"clients: {{boards: [{world.visible['board']}]}}")
        assert (await proxy.get(f"/1/boards/{world.visible['board']}")).status == 200
        assert is_unauthorized(await proxy.get(f"/1/cards/{world.hidden['card']}"))
        assert len((await proxy.get("/1/members/me/boards")).json) == 1
        for page in (f"/b/{world.hidden['board']}", f"/c/{world.hidden['card']}"):
            assert (await proxy.get(page)).status == 404
            assert (await proxy.get(f"{page}/files.zip")).status == 404

    async def test_a_client_gets_what_is_in_both(
        self, start_proxy: StartProxy, world: World, other_board: str
    ) -> None:
        both = f"{world.visible['board']}, {other_board}"
        proxy = await start_proxy(scoped_to(both, exposed=world.visible["board"]))
        assert (await get(proxy, f"/1/boards/{world.visible['board']}")).status == 200
        assert is_unauthorized(await get(proxy, f"/1/boards/{other_board}"))

    async def test_explain_says_no_more(self, start_proxy: StartProxy, world: World) -> None:
        proxy = await start_proxy(f"clients: {{boards: [{world.visible['board']}]}}")
        await proxy.get(f"/1/cards/{world.hidden['card']}")
        target = f"/1/cards/{world.hidden['card']}"
        heard = await proxy.get(f"/-/explain?url={quote(target, safe='')}")
        assert heard.problem == "outside-scope"
        assert not world.traces_in(heard, target)
        await proxy.get(f"/1/boards/{world.visible['board']}")
        target = f"/1/boards/{world.visible['board']}"
        assert (await proxy.get(f"/-/explain?url={quote(target, safe='')}")).status == 200


async def test_nothing_is_shown_while_trello_fails(
    scoped: Proxy, standin: FakeTrello, world: World, clock: FakeClock
) -> None:
    target = f"/1/cards/{world.visible['card']}"
    assert (await get(scoped, target)).status == 200
    clock.advance(3600)
    standin.faults.add(Fault("status", status=503, times=None))
    stale = await get(scoped, target)
    assert (stale.status, json.loads(stale.body)["id"]) == (200, world.visible["card"])
    refused = await get(scoped, f"/1/cards/{world.hidden['card']}")
    assert refused.status >= 500
