"""Rate limits: counters of fixed windows, and Trello's refusals."""

from typing import Any

import pytest

from proxy.fake_trello.limits import Limits
from proxy.fake_trello.request import Requester
from proxy.fake_trello.server import FakeTrello
from proxy.runtime.clock import FakeClock

ME = Requester("m" * 24, "k", "t", may_write=True)
CARD = ("cards", "x")


@pytest.fixture
def limits(clock: FakeClock) -> Limits:
    return Limits(clock, on=True)


def take(
    limits: Limits, count: int, segments: tuple[str, ...] = CARD, asker: Requester = ME
) -> str:
    """The refusal of the last of several requests; empty when it is accepted."""
    refusals = [limits.take(asker, segments) for _ in range(count)]
    return refusals[-1].text if refusals[-1] else ""


CASES = {
    "a hundred calls of a token are fine": (100, CARD, ""),
    "the next is refused": (101, CARD, "API_TOKEN_LIMIT_EXCEEDED"),
    "direct member routes have their own limit": (101, ("members", "x"), "TOKEN_LIMIT"),
    "nested member routes have none": (100, ("members", "me", "boards"), ""),
    "search is stricter": (31, ("search",), "Exceeded rate limit to /1/search"),
}


@pytest.mark.parametrize(("count", "segments", "said"), CASES.values(), ids=CASES.keys())
def test_take(limits: Limits, count: int, segments: tuple[str, ...], said: str) -> None:
    response = take(limits, count, segments)
    assert (said in response) if said else response == ""


def test_a_window_ends(limits: Limits, clock: FakeClock) -> None:
    take(limits, 101)
    clock.advance(10)
    assert take(limits, 1) == ""


def test_the_members_window_is_a_quarter_of_an_hour(limits: Limits, clock: FakeClock) -> None:
    for _ in range(2):
        assert take(limits, 50, ("member", "x")) == ""
        clock.advance(10)
    assert "Exceeded rate limit to /1/member" in take(limits, 1, ("members", "x"))
    clock.advance(900)
    assert take(limits, 1, ("members", "x")) == ""


def test_three_tokens_of_one_key_share_its_limit(limits: Limits) -> None:
    for token in "abc":
        assert take(limits, 100, CARD, Requester(token, "k", token)) == ""
    assert "API_KEY_LIMIT_EXCEEDED" in take(limits, 1, CARD, Requester("d", "k", "d"))


def test_too_many_refusals_lock_the_key(limits: Limits, clock: FakeClock) -> None:
    take(limits, 100 + 201)
    stranger = Requester("other", "k", "other")
    assert "API_KEY_LIMIT_EXCEEDED" in take(limits, 1, CARD, stranger)
    clock.advance(10)
    assert take(limits, 1, CARD, stranger) == ""


@pytest.fixture
def limited(fake_trello: FakeTrello) -> FakeTrello:
    fake_trello.limits.on = True
    return fake_trello


async def test_every_request_lowers_every_bucket(client: Any, limited: FakeTrello) -> None:
    path = f"/1/cards/{client.trello.example_card}?fields=id"
    left = []
    for _ in range(2):
        fields = (await client.get(path)).fields
        names = ("Key", "Token")
        left.append([int(fields[f"X-Rate-Limit-Api-{name}-Remaining"]) for name in names])
    assert left == [[299, 99], [298, 98]]


async def test_a_refusal_is_json_and_counted(client: Any, limited: FakeTrello) -> None:
    path = f"/1/cards/{client.trello.example_card}?fields=id"
    response = [await client.get(path) for _ in range(101)][-1]
    assert response.status == 429
    assert response.json == {"error": "API_TOKEN_LIMIT_EXCEEDED", "message": "Rate limit exceeded"}
    assert "Retry-After" not in response.fields
    assert limited.request_log.refused == 1


async def test_without_limits_no_bucket_is_ever_short(client: Any) -> None:
    path = f"/1/cards/{client.trello.example_card}?fields=id"
    response = [await client.get(path) for _ in range(120)][-1]
    assert (response.status, response.fields["X-Rate-Limit-Api-Token-Remaining"]) == (200, "999999")
