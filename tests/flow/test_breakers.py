"""What fails most of the time is left alone, asked gently, and asked again when it is well."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from proxy.clock import FakeClock
from proxy.demo.faults import Fault
from proxy.demo.standin import StandIn
from proxy.upstream.breaker import GOOD_PROBES, LONGEST_PAUSE_S, MIN_FAILURES
from tests.edge.raw_upstream import RawUpstream, answer
from tests.flow.conftest import DELIBERATE, Proxy, StartProxy

DOWN = Fault("status", status=503, times=None)


async def fail_often(proxy: Proxy, path: str, times: int = MIN_FAILURES) -> None:
    for number in range(times):
        assert (await proxy.get(f"{path}?_={number}")).status in {502, 503, 504}


async def test_a_route_that_fails_is_not_asked_and_what_is_stored_is_given_at_once(
    proxy: Proxy, standin: StandIn, clock: FakeClock, board: str
) -> None:
    path = f"/1/boards/{board}"
    before = await proxy.get(path)
    clock.advance(100)
    standin.faults.add(DOWN)
    await fail_often(proxy, path)
    asked = standin.asked.total
    stale = await proxy.get(path)
    assert (stale.body, stale.cache) == (
        before.body,
        "fwd=stale; fwd-status=503; detail=stale-if-error",
    )
    absent = await proxy.get(f"{path}?fields=desc")
    assert (absent.status, absent.problem) == (503, "upstream-resting")
    assert absent.fields["Proxy-Status"] == "trello-proxy; error=destination_unavailable"
    assert 1 <= int(absent.fields["Retry-After"]) <= 2
    assert standin.asked.total == asked
    assert [line["name"] for line in proxy.logged("breaker opened")] == ["GET /boards/{id}"]
    assert await proxy.metric('trello_proxy_breakers{state="open"}') == 1


async def test_one_route_that_fails_leaves_the_others_alone(
    proxy: Proxy, standin: StandIn, board: str, card: str
) -> None:
    standin.faults.add(Fault("status", f"/1/boards/{board}", status=503, times=None))
    await fail_often(proxy, f"/1/boards/{board}")
    assert (await proxy.get(f"/1/boards/{board}")).problem == "upstream-resting"
    assert (await proxy.get(f"/1/cards/{card}")).status == 200
    renamed = await proxy("PUT", f"/1/boards/{board}?name=After")
    assert (renamed.status, renamed.problem) == (503, "")
    assert await proxy.metric("trello_proxy_breaker_open") == 0


async def test_a_client_whose_requests_are_bad_opens_nothing(
    proxy: Proxy, standin: StandIn, board: str
) -> None:
    for status in (400, 404, 409, 500):
        standin.faults.add(Fault("status", status=status, body="no", times=MIN_FAILURES))
        for number in range(MIN_FAILURES):
            assert (await proxy.get(f"/1/boards/{board}?_={status}.{number}")).status == status
    assert (await proxy.get(f"/1/boards/{board}")).status == 200


async def test_bodies_that_make_no_sense_count_as_failures(
    proxy: Proxy, standin: StandIn, board: str
) -> None:
    standin.faults.add(Fault("html", times=MIN_FAILURES // 2))
    standin.faults.add(Fault("cut", times=None))
    await fail_often(proxy, f"/1/boards/{board}")
    assert (await proxy.get(f"/1/boards/{board}")).problem == "upstream-resting"


async def test_probes_go_one_at_a_time_and_close_it(
    proxy: Proxy, standin: StandIn, clock: FakeClock, board: str
) -> None:
    path = f"/1/boards/{board}"
    standin.faults.add(DOWN)
    await fail_often(proxy, path)
    standin.faults.clear()
    clock.advance(2)
    asked = standin.asked.total
    standin.faults.add(Fault("hang", path))
    heard = await asyncio.gather(*(proxy.get(f"{path}?fields=id&_={n}") for n in range(20)))
    assert standin.asked.total == asked + 1
    assert sorted({each.problem for each in heard}) == ["upstream-resting", "upstream-timeout"]
    clock.advance(4)  # the pause has doubled
    for number in range(GOOD_PROBES):
        assert (await proxy.get(f"{path}?_=good{number}")).status == 200
    assert len(proxy.logged("breaker closed")) == 1
    heard = await asyncio.gather(*(proxy.get(f"{path}?fields=id&_={n}") for n in range(20)))
    assert {each.status for each in heard} == {200}


async def test_a_trello_that_cannot_be_reached_is_asked_nothing_at_all_writes_included(
    proxy: Proxy, standin: StandIn, clock: FakeClock, board: str, card: str
) -> None:
    assert (await proxy.get("/1/members/me")).status == 200
    await standin.stop()
    for number in range(MIN_FAILURES // 2):  # each is tried twice
        assert (await proxy.get(f"/1/boards/{board}?_={number}")).problem == "upstream-unreachable"
    write = await proxy("PUT", f"/1/cards/{card}?name=After")
    assert (write.status, write.problem) == (503, "upstream-resting")
    assert "Nothing was sent" in write.json["detail"]
    assert await proxy.metric("trello_proxy_breaker_open") == 1
    assert (await proxy.get("/1/members/me")).status == 200
    ready = await proxy.get("/readyz")
    assert (ready.status, ready.json["status"]) == (200, "degraded")
    assert "connections" in ready.json["trello"]
    clock.advance(LONGEST_PAUSE_S)
    assert (await proxy.get(f"/1/boards/{board}")).status == 502


@pytest.fixture
async def raw() -> AsyncIterator[RawUpstream]:
    made = RawUpstream()
    await made.start()
    yield made
    await made.stop()


async def test_a_read_is_sent_once_more_when_its_connection_ended_and_a_write_is_not(
    start_proxy: StartProxy, raw: RawUpstream, board: str
) -> None:
    proxy = await start_proxy(upstream={"url": raw.url})

    async def only_the_second(
        _: asyncio.StreamReader, writer: asyncio.StreamWriter, __: bytes
    ) -> None:
        if len(raw.asked) % 2 == 0:
            writer.write(answer())

    raw.said = only_the_second
    assert (await proxy.get(f"/1/boards/{board}")).status == 200
    assert await proxy.metric("trello_proxy_retries_total") == 1
    assert (await proxy("PUT", f"/1/boards/{board}?name=x")).problem == "upstream-terminated"
    tunnelled = await proxy.get(f"/1/cards/{board}?_method=DELETE", headers=DELIBERATE)
    assert tunnelled.status == 200  # the second of two requests, and sent once
    assert len(raw.asked) == 4


async def test_retries_have_a_budget_for_all_requests_together(
    start_proxy: StartProxy, raw: RawUpstream
) -> None:
    proxy = await start_proxy(upstream={"url": raw.url})
    raw.said = b""
    reads = [f"/1/{kind}/5e93ba403f1ab3603ba81a{n:02}" for kind in ("boards", "cards", "lists")
             for n in range(9)]  # fmt: skip
    for read in reads:
        assert (await proxy.get(read)).problem == "upstream-terminated"
    assert len(raw.asked) == len(reads) + 10 + len(reads) // 10
    assert await proxy.metric("trello_proxy_retries_total") == 12
