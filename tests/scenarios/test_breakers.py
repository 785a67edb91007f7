"""What fails most of the time is left alone, asked gently, and asked again when it is well."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from proxy.fake_trello.faults import Fault
from proxy.fake_trello.server import FakeTrello
from proxy.runtime.clock import FakeClock
from proxy.upstream.circuit_breaker import (
    MAX_PAUSE_S,
    MIN_FAILURES,
    SUCCESSFUL_PROBES,
)
from tests.scenarios.conftest import (
    DELIBERATE,
    Heard,
    Proxy,
    StartProxy,
)
from tests.server.raw_upstream import RawUpstream, answer

DOWN = Fault("status", status=503, times=None)


async def fail_often(proxy: Proxy, path: str, times: int = MIN_FAILURES) -> None:
    """Requests of two tools by turns."""
    for number in range(times):
        named = {"User-Agent": f"tool-{number % 2}/1"}
        heard = await proxy.get(f"{path}?_={number}", headers=named)
        assert heard.status in {502, 503, 504}


async def test_a_route_that_fails_is_not_asked_and_what_is_stored_is_given_at_once(
    proxy: Proxy, standin: FakeTrello, clock: FakeClock, board: str
) -> None:
    path = f"/1/boards/{board}"
    before = await proxy.get(path)
    clock.advance(100)
    standin.faults.add(DOWN)
    await fail_often(proxy, path)
    asked = standin.request_log.total
    stale = await proxy.get(path)
    assert (stale.body, stale.cache) == (
        before.body,
        "fwd=stale; fwd-status=503; detail=stale-if-error",
    )
    absent = await proxy.get(f"{path}?fields=desc")
    assert (absent.status, absent.problem) == (503, "circuit-open")
    assert absent.fields["Proxy-Status"] == "trello-proxy; error=destination_unavailable"
    assert 1 <= int(absent.fields["Retry-After"]) <= 2
    assert standin.request_log.total == asked
    assert [line["name"] for line in proxy.logged("circuit opened")] == ["GET /boards/{id}"]
    assert await proxy.metric('trello_proxy_circuit_breakers{state="open"}') == 1


UPLOAD = b'--x\r\nContent-Disposition: form-data; name="file"; filename="a"\r\n\r\n.\r\n--x--\r\n'


async def upload(proxy: Proxy, card: str, tool: str) -> Heard:
    kind = {"Content-Type": "multipart/form-data; boundary=x", "User-Agent": tool}
    return await proxy("POST", f"/1/cards/{card}/attachments", data=UPLOAD, headers=kind)


async def test_what_one_tool_causes_stops_that_tool_and_nobody_else(
    proxy: Proxy, standin: FakeTrello, clock: FakeClock, card: str
) -> None:
    standin.faults.add(Fault("reset", method="POST", times=MIN_FAILURES))
    for _ in range(MIN_FAILURES):
        assert (await upload(proxy, card, "careless/1")).problem == "connection-terminated"
    asked = standin.request_log.total
    stopped = await upload(proxy, card, "careless/1")
    assert (stopped.status, stopped.problem) == (503, "circuit-open")
    assert standin.request_log.total == asked
    assert (await upload(proxy, card, "careful/1")).status == 200
    (told,) = proxy.logged("circuit opened")
    assert (told["name"], told["tool"]) == ("POST /cards/{id}/attachments", "careless")
    assert (await proxy.get("/readyz")).json["status"] == "ready"
    assert await proxy.metric('trello_proxy_circuit_breakers{state="open"}') == 0
    clock.advance(2)
    for _ in range(SUCCESSFUL_PROBES):
        assert (await upload(proxy, card, "careless/1")).status == 200


async def test_a_route_that_fails_for_one_and_now_and_then_for_others_is_asked(
    proxy: Proxy, standin: FakeTrello, card: str
) -> None:
    standin.faults.add(Fault("reset", method="POST", times=MIN_FAILURES - 1))
    for _ in range(MIN_FAILURES - 1):
        await upload(proxy, card, "careless/1")
    for number in range(4):
        if number % 2:
            standin.faults.add(Fault("status", method="POST", status=503))
        await upload(proxy, card, "careful/1")
        assert (await upload(proxy, card, "other/1")).status == 200


async def test_a_tool_that_goes_on_failing_keeps_a_route_closed_to_nobody(
    proxy: Proxy, standin: FakeTrello, clock: FakeClock, card: str
) -> None:
    standin.faults.add(Fault("reset", method="POST", times=2 * MIN_FAILURES))
    for _ in range(MIN_FAILURES):
        await upload(proxy, card, "careless/1")
    await upload(proxy, card, "careful/1")
    assert (await upload(proxy, card, "careful/1")).problem == "circuit-open"
    clock.advance(2)
    assert (await upload(proxy, card, "careless/1")).problem == "connection-terminated"
    standin.faults.clear()
    assert (await upload(proxy, card, "careful/1")).status == 200


async def test_one_route_that_fails_leaves_the_others_alone(
    proxy: Proxy, standin: FakeTrello, board: str, card: str
) -> None:
    standin.faults.add(Fault("status", f"/1/boards/{board}", status=503, times=None))
    await fail_often(proxy, f"/1/boards/{board}")
    assert (await proxy.get(f"/1/boards/{board}")).problem == "circuit-open"
    assert (await proxy.get(f"/1/cards/{card}")).status == 200
    renamed = await proxy("PUT", f"/1/boards/{board}?name=After")
    assert (renamed.status, renamed.problem) == (503, "")
    assert await proxy.metric("trello_proxy_upstream_circuit_open") == 0


async def test_a_client_whose_requests_are_bad_opens_nothing(
    proxy: Proxy, standin: FakeTrello, board: str
) -> None:
    for status in (400, 404, 409, 500):
        standin.faults.add(Fault("status", status=status, body="no", times=MIN_FAILURES))
        for number in range(MIN_FAILURES):
            assert (await proxy.get(f"/1/boards/{board}?_={status}.{number}")).status == status
    assert (await proxy.get(f"/1/boards/{board}")).status == 200


async def test_bodies_that_make_no_sense_count_as_failures(
    proxy: Proxy, standin: FakeTrello, board: str
) -> None:
    standin.faults.add(Fault("html", times=MIN_FAILURES // 2))
    standin.faults.add(Fault("cut", times=None))
    await fail_often(proxy, f"/1/boards/{board}")
    assert (await proxy.get(f"/1/boards/{board}")).problem == "circuit-open"


async def test_probes_go_one_at_a_time_and_close_it(
    proxy: Proxy, standin: FakeTrello, clock: FakeClock, board: str
) -> None:
    path = f"/1/boards/{board}"
    standin.faults.add(DOWN)
    await fail_often(proxy, path)
    standin.faults.clear()
    clock.advance(2)
    asked = standin.request_log.total
    standin.faults.add(Fault("hang", path))
    heard = await asyncio.gather(*(proxy.get(f"{path}?fields=id&_={n}") for n in range(20)))
    assert standin.request_log.total == asked + 1
    assert sorted({each.problem for each in heard}) == ["circuit-open", "upstream-timeout"]
    clock.advance(4)  # the pause has doubled
    for number in range(SUCCESSFUL_PROBES):
        assert (await proxy.get(f"{path}?_=good{number}")).status == 200
    assert len(proxy.logged("circuit closed")) == 1
    heard = await asyncio.gather(*(proxy.get(f"{path}?fields=id&_={n}") for n in range(20)))
    assert {each.status for each in heard} == {200}


async def test_a_trello_that_cannot_be_reached_is_asked_nothing_at_all_writes_included(
    proxy: Proxy, standin: FakeTrello, clock: FakeClock, board: str, card: str
) -> None:
    assert (await proxy.get("/1/members/me")).status == 200
    await standin.stop()
    for number in range(MIN_FAILURES // 2):  # each is tried twice
        assert (await proxy.get(f"/1/boards/{board}?_={number}")).problem == "upstream-refused"
    write = await proxy("PUT", f"/1/cards/{card}?name=After")
    assert (write.status, write.problem) == (503, "circuit-open")
    assert "Nothing was sent" in write.json["detail"]
    assert await proxy.metric("trello_proxy_upstream_circuit_open") == 1
    assert (await proxy.get("/1/members/me")).status == 200
    ready = await proxy.get("/readyz")
    assert (ready.status, ready.json["status"]) == (200, "degraded")
    assert "connections" in ready.json["trello"]
    clock.advance(MAX_PAUSE_S)
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
    assert (await proxy("PUT", f"/1/boards/{board}?name=x")).problem == "connection-terminated"
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
        assert (await proxy.get(read)).problem == "connection-terminated"
    assert len(raw.asked) == len(reads) + 10 + len(reads) // 10
    assert await proxy.metric("trello_proxy_retries_total") == 12
