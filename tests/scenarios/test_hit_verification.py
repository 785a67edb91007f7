"""Hits are asked again now and then: what was true is counted, what was not is replaced."""

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from proxy.fake_trello.faults import Fault
from proxy.fake_trello.server import FakeTrello
from proxy.runtime.clock import FakeClock
from tests.scenarios.conftest import (
    BREATH_S,
    OTHER_KEY,
    OTHER_TOKEN,
    Proxy,
    Raw,
    StartProxy,
    turns,
    until,
)

PAUSE_S = 121
"""After so long a sample is due, whatever chance says."""
RESULTS = ("match", "mismatch", "raced", "failed")


async def _due(clock: FakeClock) -> None:
    clock.advance(PAUSE_S)
    await turns()


async def _proofs(proxy: Proxy) -> dict[str, float]:
    told = {each: await proxy.metric(f'trello_proxy_hit_verifications_total{{result="{each}"}}')
            for each in RESULTS}  # fmt: skip
    return {each: number for each, number in told.items() if number}


async def _proven(proxy: Proxy) -> dict[str, float]:
    """What was found, once there is something."""
    async with asyncio.timeout(10):
        while not (found := await _proofs(proxy)):  # noqa: ASYNC110 - a metric, asked for
            await asyncio.sleep(BREATH_S)
    return found


async def test_a_hit_is_asked_again_once_and_was_true(
    proxy: Proxy, clock: FakeClock, standin: FakeTrello, board: str
) -> None:
    await _due(clock)
    path = f"/1/boards/{board}"
    assert (await proxy.get(path)).cache.startswith("fwd=uri-miss")
    clock.advance(5)
    assert (await proxy.get(path)).cache == "hit; ttl=25"
    assert await _proven(proxy) == {"match": 1}
    assert await proxy.metric("trello_proxy_stale_served_ratio") == 0
    for _ in range(5):
        assert (await proxy.get(path)).cache == "hit; ttl=30"
    await turns()
    assert await _proofs(proxy) == {"match": 1}
    assert standin.request_log.count("GET", path) == 2


async def test_a_hit_after_the_end_of_sampling_is_served(
    proxy: Proxy, clock: FakeClock, board: str
) -> None:
    """As to a client that is served while the proxy stops, or its term as leader has ended."""
    path, verifier = f"/1/boards/{board}", proxy.app.components.services.verifier
    await proxy.get(path)
    await _due(clock)
    await proxy.get(path, headers={"Cache-Control": "no-cache"})
    assert verifier.wants_sample
    await verifier.stop()
    heard = await proxy.get(path)
    assert (heard.status, heard.cache) == (200, "hit; ttl=30")


async def test_nothing_is_asked_again_before_its_time(
    proxy: Proxy, clock: FakeClock, standin: FakeTrello
) -> None:
    for _ in range(5):
        clock.advance(11)
        await turns()
        await proxy.get("/1/members/me")
    await turns()
    assert await _proofs(proxy) == {}
    assert standin.request_log.total == 1


async def test_a_hit_that_was_not_true_is_counted_and_replaced_and_outdates_its_board(
    proxy: Proxy, clock: FakeClock, standin: FakeTrello, board: str, card: str
) -> None:
    await _due(clock)
    path, other = f"/1/cards/{card}?fields=name", f"/1/boards/{board}/cards?fields=name"
    old = (await proxy.get(path)).json
    await proxy.get(other)
    standin.trello.edit("PUT", f"/1/cards/{card}", {"name": "Another"})
    clock.advance(7)
    assert (await proxy.get(path)).json == old
    assert await _proven(proxy) == {"mismatch": 1}
    assert await proxy.metric("trello_proxy_stale_served_ratio") == 1
    assert await proxy.metric("trello_proxy_stale_served_seconds_total") == 7
    assert await proxy.metric('trello_proxy_invalidations_total{cause="verification"}') == 1
    replaced = await proxy.get(path)
    assert (replaced.cache, replaced.json["name"]) == ("hit; ttl=30", "Another")
    assert (await proxy.get(other)).cache.startswith("fwd=stale")
    (line,) = proxy.logged("stale hit detected")
    assert (line["route"], line["at_most_s"]) == ("/cards/{id}", 7.0)
    assert line["kinds"] == "board card cards-of spanning"
    assert card not in str(line)


async def test_a_planned_hit_is_a_sample_like_any_other(
    proxy: Proxy,
    clock: FakeClock,
    standin: FakeTrello,
    connect: Callable[[], Awaitable[Raw]],
) -> None:
    raw = await connect()
    path = "/1/members/me"
    lines = (f"GET {path} HTTP/1.1", f"Host: {proxy.host}", "Accept-Encoding: gzip", "", "")
    header = "\r\n".join(lines).encode()
    bodies = []
    for number in range(6):
        if number == 4:
            await _due(clock)
        await raw.send(header)
        bodies.append((await raw.answer())[2])
    assert await _proven(proxy) == {"match": 1}
    assert len(set(bodies)) == 1
    assert standin.request_log.count("GET", path) == 2


async def test_another_identitys_hit_is_never_asked_again(
    start_proxy: StartProxy, clock: FakeClock, standin: FakeTrello
) -> None:
    standin.trello.add_token(OTHER_TOKEN, standin.trello.me["id"], key=OTHER_KEY)
    proxy = await start_proxy(clients={"credentials": "forward"})
    await _due(clock)
    path = "/1/members/me"
    for _ in range(4):
        assert (await proxy.get(f"{path}?key={OTHER_KEY}&token={OTHER_TOKEN}")).status == 200
        await turns()
    assert await _proofs(proxy) == {}
    assert standin.request_log.total == 1


@pytest.mark.parametrize("kind", ["reset", "html", "status"])
async def test_when_trello_gives_no_answer_nothing_is_proven_and_nothing_lost(
    proxy: Proxy, clock: FakeClock, standin: FakeTrello, board: str, kind: str
) -> None:
    await _due(clock)
    path = f"/1/boards/{board}"
    await proxy.get(path)
    standin.faults.add(Fault(kind, times=None))  # type: ignore[arg-type]  # three of its kinds
    assert (await proxy.get(path)).cache == "hit; ttl=30"
    assert await _proven(proxy) == {"failed": 1}
    assert (await proxy.get(path)).cache == "hit; ttl=30"
    assert str(await proxy.metric("trello_proxy_stale_served_ratio")) == "nan"


async def test_a_write_meanwhile_may_be_the_difference_and_proves_nothing(
    proxy: Proxy, clock: FakeClock, standin: FakeTrello, card: str
) -> None:
    await _due(clock)
    path = f"/1/cards/{card}"
    await proxy.get(path)
    standin.faults.add(Fault("late", method="GET", delay_s=1))
    asleep = clock.sleepers
    assert (await proxy.get(path)).cache == "hit; ttl=30"
    await until(lambda: clock.sleepers > asleep)
    await proxy("PUT", f"{path}?name=Another")
    clock.advance(1)
    assert await _proven(proxy) == {"raced": 1}
    assert (await proxy.get(path)).json["name"] == "Another"
