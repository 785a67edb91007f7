"""Where a request's time went, and to which trace it belongs: in the log, and to the client."""

import asyncio
from typing import Any

from proxy.fake_trello.server import FakeTrello
from proxy.runtime.clock import FakeClock
from tests.server.conftest import (
    MakeProxy,
    Proxy,
    Start,
)
from tests.server.raw_upstream import RawUpstream, answer

ME = "/1/members/me"
CARD = "/1/cards/5e9310df53f23017628a8011"
ID, PARENT = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
TRACE = {"traceparent": f"00-{ID}-{PARENT}-01"}


async def lines(proxy: Proxy) -> list[dict[str, Any]]:
    await proxy.stop()
    return proxy.requests


async def test_server_timing_shows_how_long_trello_took_for_a_miss_only(
    before: Start, clock: FakeClock
) -> None:
    async def slowly(_: asyncio.StreamReader, writer: asyncio.StreamWriter, __: bytes) -> None:
        clock.advance(0.25)
        writer.write(answer(b'{"id":"x"}'))

    proxy = await before(slowly)
    miss, hit, planned = [await proxy.get(ME) for _ in range(3)]
    assert miss.fields["server-timing"] == "wait;dur=0.0, upstream;dur=250.0"
    assert "server-timing" not in hit.fields
    assert "server-timing" not in planned.fields
    logged = await lines(proxy)
    assert [line.get("upstream_ms") for line in logged] == [250.0, None, None]
    assert [line.get("wait_ms") for line in logged] == [0.0, None, None]
    assert logged[0]["duration_ms"] == 250.0


async def test_a_failure_has_server_timing_too(before: Start, clock: FakeClock) -> None:
    async def nothing(_: asyncio.StreamReader, writer: asyncio.StreamWriter, __: bytes) -> None:
        clock.advance(0.5)
        writer.close()

    proxy = await before(nothing)
    heard = await proxy.ask("PUT", CARD)
    assert heard.status == 502
    assert heard.fields["server-timing"] == "wait;dur=0.0, upstream;dur=500.0"


async def test_no_client_waits_for_a_background_refresh(proxy: Proxy, clock: FakeClock) -> None:
    await proxy.get(ME)
    clock.advance(301)
    stale = await proxy.get(ME)
    assert "ttl=-" in stale.fields["cache-status"]
    assert "server-timing" not in stale.fields
    assert [line.get("upstream_ms") for line in await lines(proxy)] == [0.0, None]


async def test_a_trace_is_logged_and_passed_on(proxy: Proxy, standin: FakeTrello) -> None:
    await proxy.get(ME, TRACE)
    await proxy.ask("PUT", CARD, TRACE)
    await proxy.get(standin.trello.example_attachment_path, TRACE)
    sent = [
        seen.fields.get("traceparent")
        for seen in standin.request_log.requests
        if seen.host == "api"
    ]
    assert len(sent) == 4
    assert set(sent) == {TRACE["traceparent"]}
    elsewhere = [seen.fields for seen in standin.request_log.requests if seen.host == "storage"]
    assert elsewhere
    assert not [fields for fields in elsewhere if "traceparent" in fields]
    assert [line["trace_id"] for line in await lines(proxy)] == [ID] * 3


async def test_a_hit_with_a_trace_is_logged_with_it(proxy: Proxy) -> None:
    heard = [await proxy.get(ME, TRACE) for _ in range(3)]
    assert ["; hit" in each.fields["cache-status"] for each in heard] == [False, True, True]
    assert [line["trace_id"] for line in await lines(proxy)] == [ID] * 3


async def test_what_is_no_trace_goes_nowhere(proxy: Proxy, standin: FakeTrello) -> None:
    for value in ("x", f"00-{ID}-{PARENT}", f"ff-{ID}-{PARENT}-01"):
        await proxy.get(f"{ME}?fields={len(value)}", {"traceparent": value})
    assert not [seen for seen in standin.request_log.requests if "traceparent" in seen.fields]
    assert not [line for line in await lines(proxy) if "trace" in line]


async def test_our_own_key_is_no_trace(make_proxy: MakeProxy, raw_upstream: RawUpstream) -> None:
    raw_upstream.said = answer(b'{"id":"x"}')
    proxy = await make_proxy(raw_upstream.url, f"links: {{keys: [{ID}]}}")
    await proxy.get(ME, TRACE)
    assert b"traceparent" not in b"".join(raw_upstream.asked).lower()
    assert not [line for line in await lines(proxy) if "trace" in line]


async def test_a_line_of_text_has_it_too(make_proxy: MakeProxy, standin: FakeTrello) -> None:
    proxy = await make_proxy(standin.url, "log: {format: text}")
    await proxy.get(ME, TRACE)
    await proxy.stop()
    (line,) = [line for line in proxy.log.decode().splitlines() if "/members/{id}" in line]
    assert line.endswith(f" wait=0.000ms upstream=0.000ms trace_id={ID}")
