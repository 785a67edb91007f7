"""What a client may ask of the cache (RFC 9111 §5.2.1)."""

import asyncio

import pytest

from proxy.fake_trello.faults import Fault
from proxy.fake_trello.server import FakeTrello
from proxy.runtime.clock import FakeClock
from tests.scenarios.conftest import Proxy, turns

FORWARD = {
    "no-cache": {"Cache-Control": "no-cache"},
    "no-cache, in other letters and company": {"Cache-Control": 'foo="1", No-Cache , bar'},
    "Pragma: no-cache": {"Pragma": "no-cache"},
    "max-age=0": {"Cache-Control": "max-age=0"},
    "a max-age below the age": {"Cache-Control": "max-age=4"},
    "a max-age that is no number": {"Cache-Control": "max-age=soon"},
}
HITS = {
    "a max-age that is the age": {"Cache-Control": "max-age=5"},
    "a max-age beyond the lifetime": {"Cache-Control": "max-age=999"},
    "directives that do not exist": {"Cache-Control": "no-caches, x=no-cache"},
    "Pragma where Cache-Control says nothing": {"Cache-Control": "foo", "Pragma": "no-cache"},
    "only-if-cached": {"Cache-Control": "only-if-cached"},
}


@pytest.mark.parametrize("headers", FORWARD.values(), ids=FORWARD.keys())
async def test_no_cache_from_the_client_goes_forward(
    proxy: Proxy, standin: FakeTrello, clock: FakeClock, board: str, headers: dict[str, str]
) -> None:
    path = f"/1/boards/{board}"
    await proxy.get(path)
    standin.trello.edit("PUT", path, {"name": "Renamed in Trello"})
    for asked in (2, 3):
        clock.advance(5)
        heard = await proxy.get(path, headers=headers)
        assert heard.cache == "fwd=request; fwd-status=200; stored"
        assert (heard.json["name"], heard.fields["Age"]) == ("Renamed in Trello", "0")
        assert standin.request_log.count("GET", path) == asked


@pytest.mark.parametrize("headers", HITS.values(), ids=HITS.keys())
async def test_what_the_stored_answer_satisfies_is_a_hit(
    proxy: Proxy, standin: FakeTrello, clock: FakeClock, board: str, headers: dict[str, str]
) -> None:
    await proxy.get(f"/1/boards/{board}")
    clock.advance(5)
    for _ in range(3):
        assert (await proxy.get(f"/1/boards/{board}", headers=headers)).cache == "hit; ttl=25"
    assert standin.request_log.total == 1


async def test_what_no_cache_brought_is_everybodys(
    proxy: Proxy, standin: FakeTrello, clock: FakeClock, board: str
) -> None:
    path = f"/1/boards/{board}"
    for _ in range(3):
        assert (await proxy.get(path)).json["name"] == "Release 4.2"
    standin.trello.edit("PUT", path, {"name": "Renamed in Trello"})
    clock.advance(20)
    await proxy.get(path, headers={"Cache-Control": "no-cache"})
    for _ in range(3):
        heard = await proxy.get(path)
        assert (heard.json["name"], heard.cache) == ("Renamed in Trello", "hit; ttl=30")


async def test_no_cache_is_not_answered_by_what_somebody_asked_before(
    proxy: Proxy, standin: FakeTrello, clock: FakeClock, board: str
) -> None:
    path = f"/1/boards/{board}"
    standin.faults.add(Fault("late", path, applied=True))
    early = asyncio.ensure_future(proxy.get(path))
    await turns()
    standin.trello.edit("PUT", path, {"name": "Renamed in Trello"})
    heard = await proxy.get(path, headers={"Cache-Control": "no-cache"})
    assert heard.json["name"] == "Renamed in Trello"
    clock.advance(1)
    await early


ABSENT_S = {"never stored": None, "too old": 30 + 60}


@pytest.mark.parametrize("age_s", ABSENT_S.values(), ids=ABSENT_S.keys())
async def test_only_if_cached_without_a_usable_answer_is_504(
    proxy: Proxy, standin: FakeTrello, clock: FakeClock, board: str, age_s: float | None
) -> None:
    path = f"/1/boards/{board}"
    if age_s is not None:
        await proxy.get(path)
        clock.advance(age_s)
    asked = standin.request_log.total
    for _ in range(2):
        heard = await proxy.get(path, headers={"Cache-Control": "only-if-cached"})
        assert (heard.status, heard.problem) == (504, "not-in-cache")
    assert standin.request_log.total == asked


async def test_only_if_cached_and_no_cache_together_are_504(proxy: Proxy, board: str) -> None:
    await proxy.get(f"/1/boards/{board}")
    headers = {"Cache-Control": "only-if-cached, no-cache"}
    assert (await proxy.get(f"/1/boards/{board}", headers=headers)).status == 504


async def test_no_store_keeps_nothing(
    proxy: Proxy, standin: FakeTrello, clock: FakeClock, board: str
) -> None:
    path = f"/1/boards/{board}"
    for asked in (1, 2):
        heard = await proxy.get(path, headers={"Cache-Control": "no-store"})
        assert heard.cache == "fwd=uri-miss; fwd-status=200; detail=request-no-store"
        assert standin.request_log.count("GET", path) == asked
    assert (await proxy.get(path)).cache == "fwd=uri-miss; fwd-status=200; stored"


async def test_no_cache_and_trouble_is_the_stored_answer_and_says_so(
    proxy: Proxy, standin: FakeTrello, clock: FakeClock, board: str
) -> None:
    before = await proxy.get(f"/1/boards/{board}")
    clock.advance(5)
    standin.faults.add(Fault("status", status=503))
    heard = await proxy.get(f"/1/boards/{board}", headers={"Cache-Control": "no-cache"})
    assert (heard.status, heard.body, heard.fields["Age"]) == (200, before.body, "5")
    assert heard.cache == "fwd=request; fwd-status=503; detail=stale-if-error"
