"""Where several sets of fields are in demand, all are asked for, once and for everybody."""

import asyncio

from proxy.cache.projection.projector import DEMAND_WINDOW_S, REJECTED_S
from proxy.fake_trello.faults import Fault
from proxy.fake_trello.server import FakeTrello
from proxy.runtime.clock import FakeClock
from tests.scenarios.conftest import Proxy, answering, turns
from tests.scenarios.projected import FIELD_SETS, LIFETIME_S, PROJECTED, is_trellos_word

WIDENED = "fwd=uri-miss; fwd-status=200; stored; detail=projected"


async def test_from_the_second_set_of_fields_on_all_are_asked_for(
    proxy: Proxy, standin: FakeTrello, card: str
) -> None:
    seen = [
        await is_trellos_word(proxy, standin, f"/1/cards/{card}?fields={fields}")
        for fields in FIELD_SETS
    ]
    alone = "fwd=uri-miss; fwd-status=200; stored"
    assert seen == [alone, WIDENED, PROJECTED, PROJECTED, PROJECTED]
    assert [each.query for each in standin.request_log.requests] == ["fields=name", "fields=all"]


async def test_five_sets_of_fields_at_once_share_one_larger_question(
    proxy: Proxy, standin: FakeTrello, clock: FakeClock, card: str
) -> None:
    targets = [f"/1/cards/{card}?fields={fields}" for fields in FIELD_SETS]
    for target in targets[:2]:
        await proxy.get(target)
    standin.request_log.reset()
    clock.advance(LIFETIME_S + 61)
    standin.faults.add(Fault("late", f"/1/cards/{card}", "GET", applied=True, delay_s=1.0))
    asked = [asyncio.ensure_future(proxy.get(target)) for target in targets]
    await turns()
    clock.advance(1)
    heard = await asyncio.gather(*asked)
    assert [each.query for each in standin.request_log.requests] == ["fields=all"]
    assert [each.json for each in heard] == [standin.trello.request(target) for target in targets]
    shared = ("collapsed", PROJECTED)  # a request that came late is a hit of the same response
    assert sum(any(how in each.cache for how in shared) for each in heard) == 4


async def test_cards_of_a_board_whose_cards_are_read_too_are_asked_for_with_them(
    proxy: Proxy, standin: FakeTrello, board: str
) -> None:
    cards = f"/1/boards/{board}/cards"
    known = (await proxy.get(f"{cards}?fields=name,shortLink")).json
    standin.request_log.reset()
    names = [known[0]["id"], known[1]["shortLink"], known[2]["id"]]
    seen = [(await proxy.get(f"/1/cards/{name}?fields=name,due")).cache for name in names]
    assert seen == [WIDENED, PROJECTED, PROJECTED]
    assert [each.target for each in standin.request_log.requests] == [f"{cards}?fields=all"]


async def test_a_card_or_two_are_no_reason_to_ask_for_their_board(
    proxy: Proxy, standin: FakeTrello, board: str
) -> None:
    known = (await proxy.get(f"/1/boards/{board}?cards=open&card_fields=name")).json["cards"]
    standin.request_log.reset()
    for card in known[:3]:
        await proxy.get(f"/1/cards/{card['id']}?fields=due")
    assert [each.path for each in standin.request_log.requests] == [
        f"/1/cards/{card['id']}" for card in known[:3]
    ]


async def test_the_same_set_of_fields_is_asked_for_as_sent(
    proxy: Proxy, standin: FakeTrello, clock: FakeClock, card: str
) -> None:
    for _ in range(3):
        await proxy.get(f"/1/cards/{card}?fields=name")
        clock.advance(LIFETIME_S + 61)
    assert {each.query for each in standin.request_log.requests} == {"fields=name"}


async def test_sets_of_fields_that_nobody_asks_for_any_more_do_not_count(
    proxy: Proxy, standin: FakeTrello, clock: FakeClock, card: str
) -> None:
    await proxy.get(f"/1/cards/{card}?fields=name")
    clock.advance(DEMAND_WINDOW_S)
    await proxy.get(f"/1/cards/{card}?fields=due")
    assert [each.query for each in standin.request_log.requests] == ["fields=name", "fields=due"]


async def test_what_else_is_asked_goes_along(proxy: Proxy, standin: FakeTrello, board: str) -> None:
    for fields in ("name", "pos"):
        target = f"/1/boards/{board}/cards?filter=open&fields={fields}&members=true"
        await is_trellos_word(proxy, standin, target)
    assert standin.request_log.requests[-1].query == "fields=all&filter=open&members=true"


async def test_a_background_question_is_the_larger_one_too(
    proxy: Proxy, standin: FakeTrello, clock: FakeClock, card: str
) -> None:
    for fields in FIELD_SETS[:2]:
        await proxy.get(f"/1/cards/{card}?fields={fields}")
    clock.advance(LIFETIME_S + 5)
    assert (await proxy.get(f"/1/cards/{card}?fields=name")).cache == "hit; ttl=-6"
    await turns()
    assert standin.request_log.requests[-1].query == "fields=all"
    assert (await proxy.get(f"/1/cards/{card}?fields={FIELD_SETS[1]}")).cache == PROJECTED


async def test_where_the_whole_does_not_serve_parts_are_asked_for_again(
    proxy: Proxy, standin: FakeTrello, clock: FakeClock, card: str
) -> None:
    spaced = f'{{ "id": "{card}" }}'
    path, json = f"/1/cards/{card}", "application/json"
    fault = Fault("status", path, "GET", status=200, body=spaced, content_type=json, times=None)
    standin.faults.add(fault)
    for fields in (*FIELD_SETS[:3], "closed"):
        heard = await proxy.get(f"/1/cards/{card}?fields={fields}")
        assert heard.status == 200
        clock.advance(1)
    queries = [each.query for each in standin.request_log.requests]
    asked = ["fields=name", "fields=all", "fields=name,due", "fields=idList,pos", "fields=closed"]
    assert queries == asked
    clock.advance(REJECTED_S)
    for fields in ("pos", "start"):
        await proxy.get(f"/1/cards/{card}?fields={fields}")
    assert [each.query for each in standin.request_log.requests][5:7] == [
        "fields=pos",
        "fields=all",
    ]


async def test_trouble_is_not_asked_for_twice(proxy: Proxy, standin: FakeTrello, card: str) -> None:
    await proxy.get(f"/1/cards/{card}?fields=name")
    standin.faults.add(Fault("status", f"/1/cards/{card}", "GET", status=503, times=None))
    heard = await proxy.get(f"/1/cards/{card}?fields=due")
    assert heard.status == 503
    assert [each.query for each in standin.request_log.requests] == ["fields=name", "fields=all"]


async def test_trouble_with_the_whole_leaves_a_part_that_was_kept(
    proxy: Proxy, standin: FakeTrello, clock: FakeClock, card: str
) -> None:
    for fields in FIELD_SETS[:2]:
        await proxy.get(f"/1/cards/{card}?fields={fields}")
    clock.advance(LIFETIME_S + 100)
    standin.faults.add(Fault("status", f"/1/cards/{card}", "GET", status=503, times=None))
    heard = await proxy.get(f"/1/cards/{card}?fields=name")
    assert heard.cache == "fwd=stale; fwd-status=503; detail=stale-if-error"


async def test_an_answer_that_is_no_object_gives_no_part(
    proxy: Proxy, standin: FakeTrello, card: str
) -> None:
    standin.faults.add(answering(10))
    heard = [await proxy.get(f"/1/cards/{card}?fields={fields}") for fields in ("name", "due")]
    assert [each.body for each in heard] == [heard[0].body] * 2
    assert [each.query for each in standin.request_log.requests] == [
        "fields=name",
        "fields=all",
        "fields=due",
    ]
