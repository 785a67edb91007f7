"""Trello refuses the stored token: the flood ends, what is stored is served, it recovers."""

import asyncio

from proxy.fake_trello.faults import Fault
from proxy.fake_trello.server import FakeTrello
from proxy.runtime.clock import FakeClock
from tests.scenarios.conftest import (
    BREATH_S,
    KEY,
    OTHER_KEY,
    OTHER_TOKEN,
    TOKEN,
    Proxy,
    StartProxy,
    until,
)

ME = "/1/members/me"
STALE_S = 100
STEP_S = 3
PAUSES_S = (30, 60, 120, 240, 300, 300)


def refuse(fake_trello: FakeTrello, path: str = "*") -> None:
    fake_trello.faults.add(Fault("status", path, status=401, body="invalid token", times=None))


async def refused(proxy: Proxy, fake_trello: FakeTrello) -> None:
    """Return when the proxy knows, and has asked whether it is so."""
    refuse(fake_trello)
    probes = fake_trello.request_log.count("GET", ME)
    assert (await proxy.get("/1/members/me/boards?_=1")).body == b"invalid token"
    await until(lambda: fake_trello.request_log.count("GET", ME) > probes)
    await until(lambda: bool(proxy.logged("token refused")))


async def until_probed(fake_trello: FakeTrello, clock: FakeClock) -> float:
    """Seconds until the proxy asks once more."""
    probes, began = fake_trello.request_log.count("GET", ME), clock.now()
    async with asyncio.timeout(20):
        while fake_trello.request_log.count("GET", ME) == probes:
            clock.advance(STEP_S)
            for _ in range(5):
                await asyncio.sleep(BREATH_S)
    return clock.now() - began


async def test_one_refusal_ends_the_flood_and_the_error_says_what_to_do(
    proxy: Proxy, standin: FakeTrello, board: str
) -> None:
    await refused(proxy, standin)
    asked = standin.request_log.total
    heard = await asyncio.gather(*(proxy.get(f"/1/boards/{board}?_={n}") for n in range(50)))
    assert {(each.status, each.problem) for each in heard} == {(502, "token-refused")}
    assert heard[0].fields["Proxy-Status"] == "trello-proxy; error=proxy_configuration_error"
    assert "operator" in heard[0].json["detail"]
    write = await proxy("PUT", f"/1/boards/{board}?name=After")
    assert (write.status, write.problem) == (502, "token-refused")
    assert standin.request_log.total == asked


async def test_what_is_stored_is_served_and_survives_the_refusal(
    proxy: Proxy, standin: FakeTrello, clock: FakeClock, board: str
) -> None:
    before = await proxy.get(f"/1/boards/{board}")
    clock.advance(STALE_S)
    refuse(standin)
    for status in (401, 502, 502):
        heard = await proxy.get(f"/1/boards/{board}")
        assert (heard.status, heard.body) == (200, before.body)
        assert heard.cache == f"fwd=stale; fwd-status={status}; detail=stale-if-error"


async def test_readyz_metric_and_log_say_so(proxy: Proxy, standin: FakeTrello, board: str) -> None:
    await proxy.get(f"/1/boards/{board}")
    assert await proxy.metric("trello_proxy_token_refused") == 0
    await refused(proxy, standin)
    ready = await proxy.get("/readyz")
    assert (ready.status, ready.json["status"]) == (200, "degraded")
    assert ready.json["token"].startswith("refused")
    assert await proxy.metric("trello_proxy_token_refused") == 1
    assert [line["level"] for line in proxy.logged("token refused")] == ["error"]


async def test_with_nothing_stored_it_is_not_ready(
    start_proxy: StartProxy, standin: FakeTrello
) -> None:
    proxy = await start_proxy(cache={"backend": "memory"})
    assert (await proxy.get("/readyz")).status == 200
    await refused(proxy, standin)
    ready = await proxy.get("/readyz")
    assert (ready.status, ready.json["status"]) == (503, "down")
    assert (await proxy.get("/healthz")).status == 200


async def test_it_asks_more_and_more_seldom_and_recovers_by_itself(
    proxy: Proxy, standin: FakeTrello, clock: FakeClock, board: str
) -> None:
    await refused(proxy, standin)
    pauses = [await until_probed(standin, clock) for _ in range(6)]
    assert all(
        least <= pause_s <= least * 1.1 + STEP_S
        for least, pause_s in zip(PAUSES_S, pauses, strict=True)
    )
    assert (await proxy.get(f"/1/boards/{board}")).problem == "token-refused"
    standin.faults.clear()
    await until_probed(standin, clock)
    await until(lambda: bool(proxy.logged("token accepted")))
    assert (await proxy.get(f"/1/boards/{board}")).status == 200
    assert (await proxy.get("/readyz")).json["status"] == "ready"


async def test_a_refusal_that_a_question_contradicts_means_something_else(
    proxy: Proxy, standin: FakeTrello, board: str
) -> None:
    refuse(standin, f"/1/boards/{board}")
    assert (await proxy.get(f"/1/boards/{board}")).status == 401
    await until(lambda: bool(proxy.logged("token accepted")))
    for number in range(20):
        heard = await proxy.get(f"/1/boards/{board}?_={number}")
        assert (heard.status, heard.body) == (401, b"invalid token")
    assert standin.request_log.count("GET", ME) == 1
    assert (await proxy.get("/1/members/me/boards")).status == 200


async def test_that_one_object_may_not_be_seen_is_no_such_thing(
    proxy: Proxy, standin: FakeTrello, board: str, card: str
) -> None:
    sentence = "unauthorized permission requested"
    standin.faults.add(Fault("status", f"/1/boards/{board}", status=401, body=sentence))
    assert (await proxy.get(f"/1/boards/{board}")).status == 401
    assert (await proxy.get(f"/1/cards/{card}")).status == 200
    assert proxy.logged("token refused") == []
    assert standin.request_log.count("GET", ME) == 0


async def test_a_clients_own_token_says_nothing_of_the_stored_one(
    start_proxy: StartProxy, standin: FakeTrello, board: str
) -> None:
    proxy = await start_proxy("clients: {credentials: forward}")
    theirs = await proxy.get(f"/1/boards/{board}?key={OTHER_KEY}&token={OTHER_TOKEN}")
    assert theirs.status == 401
    assert (await proxy.get(f"/1/boards/{board}")).status == 200
    assert proxy.logged("token refused") == []
    await refused(proxy, standin)
    standin.faults.clear()
    good = await proxy.get(f"/1/boards/{board}?key={KEY}&token={TOKEN}&_=2")
    assert good.status == 200
