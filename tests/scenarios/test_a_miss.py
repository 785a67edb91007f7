"""A miss: one question for everybody who asks at the same time (RFC 9211 §2.6)."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from proxy.fake_trello.faults import Fault
from proxy.fake_trello.server import FakeTrello
from proxy.runtime.clock import FakeClock
from tests.scenarios.conftest import (
    Heard,
    Proxy,
    Raw,
    StartProxy,
    turns,
    until,
)

LATE_S = 1.0


class Held:
    """Trello's next answer to one path, held back until `let_go`."""

    def __init__(self, fake_trello: FakeTrello, clock: FakeClock, path: str) -> None:
        self._standin = fake_trello
        self._clock = clock
        self._path = path
        self._before = fake_trello.request_log.count("GET", path)

    def hold(self, *, applied: bool = True) -> "Held":
        """`applied`: what it says is what was so when it was asked."""
        fault = Fault("late", self._path, "GET", applied=applied, delay_s=LATE_S)
        self._standin.faults.add(fault)
        return self

    @property
    def asked(self) -> int:
        return self._standin.request_log.count("GET", self._path) - self._before

    async def arrived(self) -> None:
        await until(lambda: self.asked > 0)

    def let_go(self) -> None:
        self._clock.advance(LATE_S)


@pytest.fixture
def held(standin: FakeTrello, clock: FakeClock, board: str) -> Held:
    return Held(standin, clock, f"/1/boards/{board}").hold()


async def _all(
    proxy: Proxy, target: str, count: int, **options: Any
) -> "list[asyncio.Task[Heard]]":
    tasks = [asyncio.ensure_future(proxy.get(target, **options)) for _ in range(count)]
    await turns()
    return tasks


async def test_a_hundred_callers_one_question_to_trello(
    proxy: Proxy, held: Held, board: str
) -> None:
    callers = await _all(proxy, f"/1/boards/{board}", 100)
    await held.arrived()
    held.let_go()
    heard = await asyncio.gather(*callers)
    assert held.asked == 1
    assert {(each.status, each.body) for each in heard} == {(200, heard[0].body)}
    told = sorted(each.cache for each in heard)
    assert told == [
        "fwd=uri-miss; fwd-status=200; stored",
        *["fwd=uri-miss; fwd-status=200; stored; collapsed"] * 99,
    ]


async def test_two_spellings_are_one_question(proxy: Proxy, held: Held, board: str) -> None:
    callers = await _all(proxy, f"/1/boards/{board}", 1)
    callers += await _all(proxy, f"/1/board/{board}/?key=x&token=y", 1)
    held.let_go()
    assert {each.status for each in await asyncio.gather(*callers)} == {200}
    assert held.asked == 1


async def test_a_caller_who_leaves_harms_nobody(proxy: Proxy, held: Held, board: str) -> None:
    leader, *others = await _all(proxy, f"/1/boards/{board}", 5)
    await held.arrived()
    for leaver in (leader, others.pop()):
        leaver.cancel()
        with pytest.raises(asyncio.CancelledError):
            await leaver
    await turns()
    held.let_go()
    assert {each.status for each in await asyncio.gather(*others)} == {200}
    assert (await proxy.get(f"/1/boards/{board}")).cache.startswith("hit")
    assert held.asked == 1


async def test_what_nobody_waits_for_any_more_is_stored_all_the_same(
    proxy: Proxy, held: Held, board: str
) -> None:
    (only,) = await _all(proxy, f"/1/boards/{board}", 1)
    await held.arrived()
    only.cancel()
    await turns()
    held.let_go()
    await turns()
    assert (await proxy.get(f"/1/boards/{board}")).cache == "hit; ttl=29"
    assert held.asked == 1


FAILURES = {
    "a server error": (Fault("status", status=503), 503, ""),
    "a reset": (Fault("reset"), 502, "connection-terminated"),
    "silence": (Fault("hang"), 504, "upstream-timeout"),
    "a gateway's page": (Fault("html"), 502, "invalid-response"),
}


@pytest.mark.parametrize(("fault", "status", "problem"), FAILURES.values(), ids=FAILURES.keys())
async def test_one_failure_answers_everybody_and_the_next_caller_asks_anew(
    proxy: Proxy, standin: FakeTrello, board: str, fault: Fault, status: int, problem: str
) -> None:
    path = f"/1/boards/{board}"
    standin.faults.add(Fault(fault.kind, path, times=None, status=fault.status))
    heard = await asyncio.gather(*(proxy.get(path) for _ in range(20)))
    assert {(each.status, each.problem) for each in heard} == {(status, problem)}
    asked = standin.request_log.count("GET", path)
    assert asked <= 2
    standin.faults.clear()
    assert (await proxy.get(path)).status == 200
    assert standin.request_log.count("GET", path) == asked + 1


async def test_a_refusal_answers_everybody(
    proxy: Proxy, standin: FakeTrello, clock: FakeClock
) -> None:
    path = "/1/boards/" + "f" * 24
    held = Held(standin, clock, path).hold()
    callers = await _all(proxy, path, 10)
    held.let_go()
    assert {each.status for each in await asyncio.gather(*callers)} == {404}
    assert held.asked == 1


async def test_an_answer_older_than_a_write_is_never_stored(
    proxy: Proxy, held: Held, board: str
) -> None:
    target = f"/1/boards/{board}"
    (early,) = await _all(proxy, target, 1)
    await held.arrived()
    await proxy("PUT", target, params={"name": "After"})
    held.let_go()
    heard = await early
    assert heard.json["name"] == "Release 4.2"
    assert heard.cache == "fwd=uri-miss; fwd-status=200; detail=invalidated-during-fetch"
    now = await proxy.get(target)
    assert (now.json["name"], now.cache) == ("After", "fwd=uri-miss; fwd-status=200; stored")
    assert held.asked == 2


async def test_an_answer_older_than_a_write_is_never_shared(
    proxy: Proxy, held: Held, board: str
) -> None:
    target = f"/1/boards/{board}"
    early = await _all(proxy, target, 3)
    await held.arrived()
    await proxy("PUT", target, params={"name": "After"})
    (late,) = await _all(proxy, target, 1)
    assert (await late).json["name"] == "After"
    held.let_go()
    names = [each.json["name"] for each in await asyncio.gather(*early)]
    assert sorted(names) == ["After", "After", "Release 4.2"]
    assert (await proxy.get(target)).json["name"] == "After"


async def test_a_stale_answer_is_not_renewed_by_what_is_older_than_a_write(
    proxy: Proxy, standin: FakeTrello, clock: FakeClock, board: str
) -> None:
    target = f"/1/boards/{board}"
    await proxy.get(target)
    clock.advance(40)
    held = Held(standin, clock, target).hold()
    assert (await proxy.get(target)).cache == "hit; ttl=-11"
    await held.arrived()
    await proxy("PUT", target, params={"name": "After"})
    held.let_go()
    await turns()
    assert (await proxy.get(target)).json["name"] == "After"


async def test_an_uncacheable_answer_is_not_collapsed_onto_others(
    proxy: Proxy, held: Held, board: str
) -> None:
    """The question was one that is shared; only the answer showed that it must not be."""
    callers = await _all(proxy, f"/1/boards/{board}", 3)
    await held.arrived()
    await proxy("PUT", f"/1/boards/{board}", params={"name": "After"})
    held.let_go()
    heard = await asyncio.gather(*callers)
    assert held.asked == 3
    assert not [each for each in heard if "collapsed" in each.cache and "stored" not in each.cache]


async def test_a_question_that_is_never_stored_is_never_collapsed(
    start_proxy: StartProxy, standin: FakeTrello, board: str
) -> None:
    proxy = await start_proxy(clients={"jsonp": "allow"})
    target = f"/1/boards/{board}?callback=show"
    heard = await asyncio.gather(*(proxy.get(target) for _ in range(5)))
    assert {each.cache for each in heard} == {"fwd=bypass"}
    assert standin.request_log.count("GET", f"/1/boards/{board}") == 5


async def test_other_reads_do_not_wait_for_a_slow_one(
    proxy: Proxy, held: Held, board: str, other_board: str
) -> None:
    (slow,) = await _all(proxy, f"/1/boards/{board}", 1)
    await held.arrived()
    assert (await proxy.get(f"/1/boards/{other_board}")).status == 200
    assert not slow.done()
    held.let_go()
    assert (await slow).status == 200


async def test_a_connection_that_trello_had_closed_is_replaced_in_silence(
    proxy: Proxy, standin: FakeTrello, board: str
) -> None:
    standin.faults.add(Fault("reset", f"/1/boards/{board}", times=1))
    assert (await proxy.get(f"/1/boards/{board}")).status == 200
    assert standin.request_log.count("GET", f"/1/boards/{board}") == 2


async def test_stopping_ends_what_is_in_the_air(
    proxy: Proxy, held: Held, board: str, connect: Callable[[], Awaitable[Raw]]
) -> None:
    raw = await connect()
    await raw.send(f"GET /1/boards/{board} HTTP/1.1\r\nHost: {proxy.host}\r\n\r\n".encode())
    await held.arrived()
    stopping = asyncio.ensure_future(proxy.app.stop())
    await turns()
    held.let_go()
    assert (await raw.answer())[0] == 200
    await stopping


async def test_in_forward_mode_each_credential_asks_for_itself(
    start_proxy: StartProxy, standin: FakeTrello, clock: FakeClock, board: str
) -> None:
    path = f"/1/boards/{board}"
    proxy = await start_proxy(clients={"credentials": "forward"})
    held = Held(standin, clock, path).hold()
    held.hold()
    callers = await _all(proxy, path, 2)
    callers += await _all(proxy, f"{path}?key=another&token=one", 2)
    held.let_go()
    assert [each.status for each in await asyncio.gather(*callers)] == [200, 200, 401, 401]
    assert held.asked == 2
