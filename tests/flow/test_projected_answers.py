"""Answers cut out of larger ones that are stored and fresh; larger questions in place of many."""

import asyncio

import pytest

from proxy.clock import FakeClock
from proxy.demo.faults import Fault
from proxy.demo.standin import StandIn
from proxy.flow.demand import REFUSED_S, WINDOW_S
from tests.flow.conftest import (
    KEY,
    OTHER_KEY,
    OTHER_TOKEN,
    TOKEN,
    Proxy,
    StartProxy,
    answering,
    turns,
)

LIFETIME_S = 30
PROJECTED = "hit; ttl=30; detail=projected"
WIDENED = "fwd=uri-miss; fwd-status=200; stored; detail=projected"
FIELD_SETS = ("name", "name,due", "idList,pos", "desc,labels", "url,shortUrl,closed")


async def _is_trellos_word(proxy: Proxy, standin: StandIn, target: str) -> str:
    """The Cache-Status of an answer that is, byte for byte, what Trello gives."""
    heard = await proxy.get(target)
    assert heard.status == 200
    assert heard.json == standin.trello.ask(target)
    return heard.cache


async def test_five_sets_of_fields_one_question_to_trello(
    proxy: Proxy, standin: StandIn, card: str
) -> None:
    await proxy.get(f"/1/cards/{card}")
    for fields in FIELD_SETS:
        target = f"/1/cards/{card}?fields={fields}"
        assert await _is_trellos_word(proxy, standin, target) == PROJECTED
        assert await _is_trellos_word(proxy, standin, target) == "hit; ttl=30"
    assert standin.asked.total == 1


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
    proxy: Proxy, standin: StandIn, board: str, card: str, wide: str, narrow: str
) -> None:
    ids = {"board": board, "card": card, "list": standin.trello.ask(f"/1/cards/{card}")["idList"]}
    await proxy.get(wide.format(**ids))
    assert await _is_trellos_word(proxy, standin, narrow.format(**ids)) == PROJECTED
    assert standin.asked.total == 1


NOT_CONTAINED = {
    "the default fields": ("/1/cards/{card}?fields=all", "/1/cards/{card}"),
    "more fields": ("/1/cards/{card}?fields=name", "/1/cards/{card}?fields=name,due"),
    "a parameter that is not known": ("/1/cards/{card}", "/1/cards/{card}?fields=name&x=1"),
    "an array by itself": ("/1/cards/{card}", "/1/cards/{card}/idLabels"),
    "a closed card among the open": ("/1/boards/{board}/cards", "/1/boards/{board}/cards/closed"),
}


@pytest.mark.parametrize(("wide", "narrow"), NOT_CONTAINED.values(), ids=NOT_CONTAINED.keys())
async def test_what_is_not_certainly_contained_is_asked_for(
    proxy: Proxy, standin: StandIn, board: str, card: str, wide: str, narrow: str
) -> None:
    await proxy.get(wide.format(board=board, card=card))
    heard = await proxy.get(narrow.format(board=board, card=card))
    assert heard.cache.startswith("fwd=uri-miss; fwd-status=200; stored")
    assert standin.asked.total == 2


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
    proxy: Proxy, standin: StandIn, clock: FakeClock, card: str
) -> None:
    await proxy.get(f"/1/cards/{card}")
    clock.advance(LIFETIME_S)
    heard = await proxy.get(f"/1/cards/{card}?fields=name")
    assert heard.cache == "fwd=uri-miss; fwd-status=200; stored"
    assert standin.asked.total == 2


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
    proxy: Proxy, standin: StandIn, board: str, card: str
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
    asked = [each.target for each in standin.asked.requests if each.method == "GET"]
    assert asked == [f"/1/boards/{board}/cards/all", parts[0], parts[2]]


async def test_a_write_to_another_card_leaves_a_card_that_was_read_by_itself(
    proxy: Proxy, standin: StandIn, board: str, card: str
) -> None:
    other = next(
        each["id"]
        for each in standin.trello.ask(f"/1/boards/{board}/cards/open")
        if each["id"] != card
    )
    await proxy.get(f"/1/cards/{card}")
    await proxy.get(f"/1/cards/{card}?fields=name,due")
    await proxy("PUT", f"/1/cards/{other}", params={"name": "Another"})
    assert (await proxy.get(f"/1/cards/{card}?fields=name,due")).cache == "hit; ttl=30"


async def test_only_if_cached_may_be_given_a_part(
    proxy: Proxy, standin: StandIn, card: str
) -> None:
    await proxy.get(f"/1/cards/{card}")
    only = {"Cache-Control": "only-if-cached"}
    assert (await proxy.get(f"/1/cards/{card}?fields=name", headers=only)).cache == PROJECTED
    assert (await proxy.get(f"/1/cards/{card}/idLabels", headers=only)).status == 504
    assert standin.asked.total == 1


@pytest.mark.parametrize("directive", ["no-cache", "no-store"])
async def test_who_will_have_trellos_own_word_is_asked_for_as_sent(
    proxy: Proxy, standin: StandIn, card: str, directive: str
) -> None:
    await proxy.get(f"/1/cards/{card}")
    for fields in FIELD_SETS[:3]:
        target = f"/1/cards/{card}?fields={fields}"
        heard = await proxy.get(target, headers={"Cache-Control": directive})
        assert "hit" not in heard.cache
        assert standin.asked.requests[-1].query == f"fields={fields}"
    assert standin.asked.total == 4


async def test_a_whole_older_than_the_client_takes_gives_no_part(
    proxy: Proxy, standin: StandIn, clock: FakeClock, card: str
) -> None:
    await proxy.get(f"/1/cards/{card}")
    clock.advance(10)
    heard = await proxy.get(f"/1/cards/{card}?fields=name", headers={"Cache-Control": "max-age=9"})
    assert heard.cache == "fwd=uri-miss; fwd-status=200; stored"
    assert standin.asked.total == 2


async def test_what_another_credential_read_gives_no_part(
    start_proxy: StartProxy, standin: StandIn, board: str, card: str
) -> None:
    stranger = standin.trello.add_member("sam", "Sam Stranger")
    standin.trello.add_token(OTHER_TOKEN, stranger, key=OTHER_KEY)
    proxy = await start_proxy(clients={"credentials": "forward"})
    mine, theirs = f"key={KEY}&token={TOKEN}", f"key={OTHER_KEY}&token={OTHER_TOKEN}"
    assert (await proxy.get(f"/1/boards/{board}/cards/all?{mine}")).status == 200
    for target in (f"/1/boards/{board}/cards/all?fields=name&", f"/1/cards/{card}?fields=name&"):
        assert (await proxy.get(f"{target}{theirs}")).status == 401
        assert (await proxy.get(f"{target}{mine}")).cache == PROJECTED


async def test_a_404_contains_nothing(proxy: Proxy, standin: StandIn) -> None:
    gone = "f" * 24
    assert (await proxy.get(f"/1/cards/{gone}")).status == 404
    assert (await proxy.get(f"/1/cards/{gone}?fields=name")).cache.startswith("fwd=uri-miss")
    assert standin.asked.total == 2


async def test_a_whole_above_a_megabyte_gives_no_part(
    proxy: Proxy, standin: StandIn, card: str
) -> None:
    standin.trello.edit("PUT", f"/1/cards/{card}", {"desc": "x" * 1_100_000})
    await proxy.get(f"/1/cards/{card}?fields=all")
    heard = await proxy.get(f"/1/cards/{card}?fields=name")
    assert heard.cache == "fwd=uri-miss; fwd-status=200; stored"


async def test_a_long_whole_gives_its_parts_beside_the_loop(
    proxy: Proxy, standin: StandIn, card: str
) -> None:
    standin.trello.edit("PUT", f"/1/cards/{card}", {"desc": "".join(map(str, range(50_000)))})
    await proxy.get(f"/1/cards/{card}?fields=all")
    assert await _is_trellos_word(proxy, standin, f"/1/cards/{card}?fields=desc") == PROJECTED


# Larger questions


async def test_from_the_second_set_of_fields_on_all_are_asked_for(
    proxy: Proxy, standin: StandIn, card: str
) -> None:
    seen = [
        await _is_trellos_word(proxy, standin, f"/1/cards/{card}?fields={fields}")
        for fields in FIELD_SETS
    ]
    alone = "fwd=uri-miss; fwd-status=200; stored"
    assert seen == [alone, WIDENED, PROJECTED, PROJECTED, PROJECTED]
    assert [each.query for each in standin.asked.requests] == ["fields=name", "fields=all"]


async def test_five_sets_of_fields_at_once_share_one_larger_question(
    proxy: Proxy, standin: StandIn, clock: FakeClock, card: str
) -> None:
    targets = [f"/1/cards/{card}?fields={fields}" for fields in FIELD_SETS]
    for target in targets[:2]:
        await proxy.get(target)
    standin.asked.reset()
    clock.advance(LIFETIME_S + 61)
    standin.faults.add(Fault("late", f"/1/cards/{card}", "GET", applied=True, delay_s=1.0))
    asked = [asyncio.ensure_future(proxy.get(target)) for target in targets]
    await turns()
    clock.advance(1)
    heard = await asyncio.gather(*asked)
    assert [each.query for each in standin.asked.requests] == ["fields=all"]
    assert [each.json for each in heard] == [standin.trello.ask(target) for target in targets]
    assert sum("collapsed" in each.cache for each in heard) == 4


async def test_the_same_set_of_fields_is_asked_for_as_sent(
    proxy: Proxy, standin: StandIn, clock: FakeClock, card: str
) -> None:
    for _ in range(3):
        await proxy.get(f"/1/cards/{card}?fields=name")
        clock.advance(LIFETIME_S + 61)
    assert {each.query for each in standin.asked.requests} == {"fields=name"}


async def test_sets_of_fields_that_nobody_asks_for_any_more_do_not_count(
    proxy: Proxy, standin: StandIn, clock: FakeClock, card: str
) -> None:
    await proxy.get(f"/1/cards/{card}?fields=name")
    clock.advance(WINDOW_S)
    await proxy.get(f"/1/cards/{card}?fields=due")
    assert [each.query for each in standin.asked.requests] == ["fields=name", "fields=due"]


async def test_what_else_is_asked_goes_along(proxy: Proxy, standin: StandIn, board: str) -> None:
    for fields in ("name", "pos"):
        target = f"/1/boards/{board}/cards?filter=open&fields={fields}&members=true"
        await _is_trellos_word(proxy, standin, target)
    assert standin.asked.requests[-1].query == "filter=open&members=true&fields=all"


async def test_a_background_question_is_the_larger_one_too(
    proxy: Proxy, standin: StandIn, clock: FakeClock, card: str
) -> None:
    for fields in FIELD_SETS[:2]:
        await proxy.get(f"/1/cards/{card}?fields={fields}")
    clock.advance(LIFETIME_S + 5)
    assert (await proxy.get(f"/1/cards/{card}?fields=name")).cache == "hit; ttl=-6"
    await turns()
    assert standin.asked.requests[-1].query == "fields=all"
    assert (await proxy.get(f"/1/cards/{card}?fields={FIELD_SETS[1]}")).cache == PROJECTED


async def test_where_the_whole_does_not_serve_parts_are_asked_for_again(
    proxy: Proxy, standin: StandIn, clock: FakeClock, card: str
) -> None:
    standin.trello.edit("PUT", f"/1/cards/{card}", {"desc": "x" * 1_100_000})
    for fields in (*FIELD_SETS[:3], "closed"):
        heard = await proxy.get(f"/1/cards/{card}?fields={fields}")
        assert heard.status == 200
        clock.advance(1)
    queries = [each.query for each in standin.asked.requests]
    asked = ["fields=name", "fields=all", "fields=name,due", "fields=idList,pos", "fields=closed"]
    assert queries == asked
    clock.advance(REFUSED_S)
    for fields in ("pos", "start"):
        await proxy.get(f"/1/cards/{card}?fields={fields}")
    assert [each.query for each in standin.asked.requests][5:7] == ["fields=pos", "fields=all"]


async def test_trouble_is_not_asked_for_twice(proxy: Proxy, standin: StandIn, card: str) -> None:
    await proxy.get(f"/1/cards/{card}?fields=name")
    standin.faults.add(Fault("status", f"/1/cards/{card}", "GET", status=503, times=None))
    heard = await proxy.get(f"/1/cards/{card}?fields=due")
    assert heard.status == 503
    assert [each.query for each in standin.asked.requests] == ["fields=name", "fields=all"]


async def test_trouble_with_the_whole_leaves_a_part_that_was_kept(
    proxy: Proxy, standin: StandIn, clock: FakeClock, card: str
) -> None:
    for fields in FIELD_SETS[:2]:
        await proxy.get(f"/1/cards/{card}?fields={fields}")
    clock.advance(LIFETIME_S + 100)
    standin.faults.add(Fault("status", f"/1/cards/{card}", "GET", status=503, times=None))
    heard = await proxy.get(f"/1/cards/{card}?fields=name")
    assert heard.cache == "fwd=stale; fwd-status=503; detail=stale-if-error"


async def test_an_answer_that_is_no_object_gives_no_part(
    proxy: Proxy, standin: StandIn, card: str
) -> None:
    standin.faults.add(answering(10))
    heard = [await proxy.get(f"/1/cards/{card}?fields={fields}") for fields in ("name", "due")]
    assert [each.body for each in heard] == [heard[0].body] * 2
    assert [each.query for each in standin.asked.requests] == [
        "fields=name",
        "fields=all",
        "fields=due",
    ]
