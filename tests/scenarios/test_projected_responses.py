"""Answers cut out of larger ones that are stored and fresh."""

from random import Random

import pytest

from proxy.fake_trello.server import FakeTrello
from proxy.runtime.clock import FakeClock
from tests.scenarios.conftest import (
    KEY,
    OTHER_KEY,
    OTHER_TOKEN,
    TOKEN,
    Proxy,
    StartProxy,
)
from tests.scenarios.projected import (
    FIELD_SETS,
    LIFETIME_S,
    PROJECTED,
    is_trellos_word,
)


async def test_five_sets_of_fields_one_question_to_trello(
    proxy: Proxy, standin: FakeTrello, card: str
) -> None:
    await proxy.get(f"/1/cards/{card}")
    for fields in FIELD_SETS:
        target = f"/1/cards/{card}?fields={fields}"
        assert await is_trellos_word(proxy, standin, target) == PROJECTED
        assert await is_trellos_word(proxy, standin, target) == "hit; ttl=30"
    assert standin.request_log.total == 1


async def test_parts_of_a_board_of_megabytes_are_projected(
    proxy: Proxy, standin: FakeTrello, board: str, card: str
) -> None:
    standin.trello.edit("PUT", f"/1/cards/{card}", {"desc": "x" * (3 << 20)})
    await proxy.get(f"/1/boards/{board}/cards?fields=all")
    narrow = f"/1/boards/{board}/cards?fields=name,idList"
    assert await is_trellos_word(proxy, standin, narrow) == PROJECTED
    assert await is_trellos_word(proxy, standin, f"/1/cards/{card}?fields=desc") == PROJECTED
    assert standin.request_log.total == 1


CONTAINED = {
    "a single field": ("/1/cards/{card}?fields=all", "/1/cards/{card}/name"),
    "a board's open lists": ("/1/boards/{board}?lists=open", "/1/boards/{board}/lists"),
    "open lists out of all": ("/1/boards/{board}?lists=all", "/1/boards/{board}/lists/open"),
    "a board without its lists": ("/1/boards/{board}?lists=all", "/1/boards/{board}"),
    "a board's cards": ("/1/boards/{board}?cards=all", "/1/boards/{board}/cards/open?fields=name"),
    "a card out of its board's": ("/1/boards/{board}/cards", "/1/cards/{card}?fields=name,idList"),
    "a card's field out of its board's": ("/1/boards/{board}?cards=all", "/1/cards/{card}/due"),
    "a list out of its board's": ("/1/boards/{board}/lists", "/1/lists/{list}?fields=name,pos"),
    "a field of every card": (
        "/1/boards/{board}/cards/all?fields=all",
        "/1/boards/{board}/cards/all?fields=id,dateLastActivity",
    ),
}


@pytest.mark.parametrize(("wide", "narrow"), CONTAINED.values(), ids=CONTAINED.keys())
async def test_what_a_stored_answer_contains_is_not_asked_for(
    proxy: Proxy, standin: FakeTrello, board: str, card: str, wide: str, narrow: str
) -> None:
    ids = {
        "board": board,
        "card": card,
        "list": standin.trello.request(f"/1/cards/{card}")["idList"],
    }
    await proxy.get(wide.format(**ids))
    assert await is_trellos_word(proxy, standin, narrow.format(**ids)) == PROJECTED
    assert standin.request_log.total == 1


NOT_CONTAINED = {
    "the default fields": ("/1/cards/{card}?fields=all", "/1/cards/{card}"),
    "more fields": ("/1/cards/{card}?fields=name", "/1/cards/{card}?fields=name,due"),
    "a parameter that is not known": ("/1/cards/{card}", "/1/cards/{card}?fields=name&x=1"),
    "an array by itself": ("/1/cards/{card}", "/1/cards/{card}/idLabels"),
    "a closed card among the open": ("/1/boards/{board}/cards", "/1/boards/{board}/cards/closed"),
}


@pytest.mark.parametrize(("wide", "narrow"), NOT_CONTAINED.values(), ids=NOT_CONTAINED.keys())
async def test_what_is_not_certainly_contained_is_asked_for(
    proxy: Proxy, standin: FakeTrello, board: str, card: str, wide: str, narrow: str
) -> None:
    await proxy.get(wide.format(board=board, card=card))
    heard = await proxy.get(narrow.format(board=board, card=card))
    assert heard.cache.startswith("fwd=uri-miss; fwd-status=200; stored")
    assert standin.request_log.total == 2


async def test_a_batch_of_parts_is_not_asked_for(
    proxy: Proxy, standin: FakeTrello, card: str
) -> None:
    await proxy.get(f"/1/cards/{card}")
    heard = await proxy.get(f"/1/batch?urls=/cards/{card}/name,/cards/{card}?fields=due")
    name, due = (
        standin.trello.request(f"/1/cards/{card}?fields={each}") for each in ("name", "due")
    )
    assert heard.json == [{"200": {"_value": name["name"]}}, {"200": due}]
    assert standin.request_log.total == 1


async def test_a_part_is_as_old_as_the_whole(proxy: Proxy, clock: FakeClock, card: str) -> None:
    await proxy.get(f"/1/cards/{card}")
    clock.advance(12)
    seen = [await proxy.get(f"/1/cards/{card}?fields=name") for _ in range(2)]
    assert [each.fields["Age"] for each in seen] == ["12", "12"]
    assert [each.cache for each in seen] == ["hit; ttl=18; detail=projected", "hit; ttl=18"]
    clock.advance(18)
    late = await proxy.get(f"/1/cards/{card}?fields=name")
    assert (late.cache, late.fields["Age"]) == ("hit; ttl=-1", "30")


async def test_a_stale_whole_gives_no_part(
    proxy: Proxy, standin: FakeTrello, clock: FakeClock, card: str
) -> None:
    await proxy.get(f"/1/cards/{card}")
    clock.advance(LIFETIME_S)
    heard = await proxy.get(f"/1/cards/{card}?fields=name")
    assert heard.cache == "fwd=uri-miss; fwd-status=200; stored"
    assert standin.request_log.total == 2


async def test_a_part_is_given_only_while_both_routes_call_it_fresh(
    start_proxy: StartProxy, clock: FakeClock, board: str
) -> None:
    proxy = await start_proxy("routes:\n  - {match: '/boards/*/lists', lifetime: 10s}\n")
    await proxy.get(f"/1/boards/{board}?lists=open")
    heard = await proxy.get(f"/1/boards/{board}/lists")
    assert heard.cache == "hit; ttl=10; detail=projected"
    clock.advance(10)
    heard = await proxy.get(f"/1/boards/{board}/lists?fields=name")
    assert heard.cache == "fwd=uri-miss; fwd-status=200; stored"


async def test_a_write_makes_the_whole_and_its_parts_unusable(
    proxy: Proxy, standin: FakeTrello, board: str, card: str
) -> None:
    parts = [
        f"/1/cards/{card}?fields=name",
        f"/1/cards/{card}/name",
        f"/1/boards/{board}/cards/all?fields=name",
    ]
    await proxy.get(f"/1/boards/{board}/cards/all")
    before = [await proxy.get(each) for each in parts]
    assert [each.cache for each in before] == [PROJECTED] * 3
    await proxy("PUT", f"/1/cards/{card}", params={"name": "Renamed here"})
    after = [await proxy.get(each) for each in parts]
    assert all(b"Renamed here" in each.body for each in after)
    asked = [each.target for each in standin.request_log.requests if each.method == "GET"]
    whole = f"/1/boards/{board}/cards/all"
    assert asked == [whole, parts[0], f"{whole}?fields=all"]


async def test_a_write_to_another_card_leaves_a_card_that_was_read_by_itself(
    proxy: Proxy, standin: FakeTrello, board: str, card: str
) -> None:
    other = next(
        each["id"]
        for each in standin.trello.request(f"/1/boards/{board}/cards/open")
        if each["id"] != card
    )
    await proxy.get(f"/1/cards/{card}")
    await proxy.get(f"/1/cards/{card}?fields=name,due")
    await proxy("PUT", f"/1/cards/{other}", params={"name": "Another"})
    assert (await proxy.get(f"/1/cards/{card}?fields=name,due")).cache == "hit; ttl=30"


async def test_only_if_cached_may_be_given_a_part(
    proxy: Proxy, standin: FakeTrello, card: str
) -> None:
    await proxy.get(f"/1/cards/{card}")
    only = {"Cache-Control": "only-if-cached"}
    assert (await proxy.get(f"/1/cards/{card}?fields=name", headers=only)).cache == PROJECTED
    assert (await proxy.get(f"/1/cards/{card}/idLabels", headers=only)).status == 504
    assert standin.request_log.total == 1


@pytest.mark.parametrize("directive", ["no-cache", "no-store"])
async def test_who_will_have_trellos_own_word_is_asked_for_as_sent(
    proxy: Proxy, standin: FakeTrello, card: str, directive: str
) -> None:
    await proxy.get(f"/1/cards/{card}")
    for fields in FIELD_SETS[:3]:
        target = f"/1/cards/{card}?fields={fields}"
        heard = await proxy.get(target, headers={"Cache-Control": directive})
        assert "hit" not in heard.cache
        assert standin.request_log.requests[-1].query == f"fields={fields}"
    assert standin.request_log.total == 4


async def test_a_whole_older_than_the_client_takes_gives_no_part(
    proxy: Proxy, standin: FakeTrello, clock: FakeClock, card: str
) -> None:
    await proxy.get(f"/1/cards/{card}")
    clock.advance(10)
    heard = await proxy.get(f"/1/cards/{card}?fields=name", headers={"Cache-Control": "max-age=9"})
    assert heard.cache == "fwd=uri-miss; fwd-status=200; stored"
    assert standin.request_log.total == 2


async def test_what_another_credential_read_gives_no_part(
    start_proxy: StartProxy, standin: FakeTrello, board: str, card: str
) -> None:
    stranger = standin.trello.add_member("sam", "Sam Stranger")
    standin.trello.add_token(OTHER_TOKEN, stranger, key=OTHER_KEY)
    proxy = await start_proxy(clients={"credentials": "forward"})
    mine, theirs = f"key={KEY}&token={TOKEN}", f"key={OTHER_KEY}&token={OTHER_TOKEN}"
    assert (await proxy.get(f"/1/boards/{board}/cards/all?{mine}")).status == 200
    for target in (f"/1/boards/{board}/cards/all?fields=name&", f"/1/cards/{card}?fields=name&"):
        assert (await proxy.get(f"{target}{theirs}")).status == 401
        assert (await proxy.get(f"{target}{mine}")).cache == PROJECTED


async def test_a_404_contains_nothing(proxy: Proxy, standin: FakeTrello) -> None:
    gone = "f" * 24
    assert (await proxy.get(f"/1/cards/{gone}")).status == 404
    assert (await proxy.get(f"/1/cards/{gone}?fields=name")).cache.startswith("fwd=uri-miss")
    assert standin.request_log.total == 2


WALKED = (
    "/1/boards/{board}?lists=all&cards=all&card_fields=name,idList,idLabels,pos,closed",
    "/1/boards/{board}/cards/all?fields=name,idList,labels,badges,pos,closed",
    "/1/boards/{board}/cards/{state}?fields={fields}",
    "/1/boards/{board}/lists/{state}",
    "/1/boards/{board}/lists?fields=name",
    "/1/lists/{list}?fields=name,pos",
    "/1/lists/{list}/cards/all?fields={fields}",
    "/1/lists/{list}/name",
    "/1/cards/{card}?fields=name,idList,labels,badges,pos,closed&members=true",
    "/1/cards/{card}?fields={fields}",
    "/1/cards/{card}?fields={fields}",
    "/1/cards/{card}/{field}",
)
FIELDS = ("name", "idList", "labels", "badges", "pos", "closed")
WRITTEN = (
    ("PUT", "/1/cards/{card}", {"name": "named {step}"}),
    ("PUT", "/1/cards/{card}", {"idList": "{list}"}),
    ("PUT", "/1/cards/{card}/closed", {"value": "true"}),
    ("POST", "/1/cards", {"idList": "{list}", "name": "made {step}"}),
    ("POST", "/1/cards/{card}/idLabels", {"value": "{label}"}),
    ("POST", "/1/cards/{card}/actions/comments", {"text": "said {step}"}),
    ("PUT", "/1/labels/{label}", {"name": "label {step}"}),
    ("PUT", "/1/lists/{list}", {"name": "list {step}"}),
    ("POST", "/1/boards/{board}/lists", {"name": "list {step}"}),
)


@pytest.mark.seeds(1)
async def test_parts_are_the_truth_whatever_was_written_before(
    proxy: Proxy, standin: FakeTrello, board: str, seed: int
) -> None:
    random = Random(seed)  # noqa: S311 — a walk that can be walked again
    on_it = f"/1/boards/{board}"
    ids = {
        kind: [each["id"] for each in standin.trello.request(f"{on_it}/{path}")][:3]
        for kind, path in {"card": "cards", "list": "lists", "label": "labels"}.items()
    }
    projected = 0
    for step in range(300):
        names = {kind: random.choice(some) for kind, some in ids.items()}
        names |= {"board": board, "step": str(step), "field": random.choice(FIELDS)}
        names["state"] = random.choice(("all", "open", "closed"))
        names["fields"] = ",".join(random.sample(FIELDS, 2))
        if random.random() < 0.1:
            method, path, params = random.choice(WRITTEN)
            form = {name: value.format(**names) for name, value in params.items()}
            await proxy(method, path.format(**names), data=form)
        else:
            target = random.choice(WALKED).format(**names)
            projected += "projected" in await is_trellos_word(proxy, standin, target)
    assert projected > 60
