"""Hits of the fast path: each has its log line and is counted, in the order of all requests."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

from proxy.runtime.clock import FakeClock
from proxy.trello.tags import EVERYTHING
from tests.scenarios.conftest import Proxy, Raw, StartProxy, until

Connect = Callable[[], Awaitable[Raw]]

HITS = (
    'trello_proxy_requests_total{cache="hit",method="GET",route="/boards/{id}",status="200"}',
    'trello_proxy_request_duration_seconds_count{cache="hit"}',
)


def _header(proxy: Proxy, target: str, *fields: str) -> bytes:
    lines = (f"GET {target} HTTP/1.1", f"Host: {proxy.host}", *fields, "", "")
    return "\r\n".join(lines).encode()


def _id_of(fields: list[bytes]) -> str:
    (line,) = (field for field in fields if field.startswith(b"X-Request-Id: "))
    return line.removeprefix(b"X-Request-Id: ").decode()


async def _ids(raw: Raw, header: bytes, count: int) -> list[str]:
    """The request ids of the responses to as many requests in turn."""
    ids = []
    for _ in range(count):
        await raw.send(header)
        status, fields, _ = await raw.answer()
        assert status == 200
        ids.append(_id_of(fields))
    return ids


def _lines(proxy: Proxy, board: str) -> list[dict[str, Any]]:
    return [each for each in proxy.logged("request") if each["route"] == f"/{board}/{{id}}"]


async def test_under_load_each_request_has_one_line_and_is_counted_once(
    proxy: Proxy, connect: Connect, board: str
) -> None:
    headers = [
        _header(proxy, f"/1/boards/{board}?fields={each}", f"User-Agent: tool-{each}/1")
        for each in ("id", "name", "desc")
    ]
    connections = [await connect() for _ in range(9)]
    sent = await asyncio.gather(
        *(_ids(raw, headers[number % 3], 77) for number, raw in enumerate(connections))
    )
    counted = [await proxy.metric(sample) for sample in HITS]
    by_tool = [
        await proxy.metric(f'trello_proxy_client_requests_total{{client="tool-{each}"}}')
        for each in ("id", "name", "desc")
    ]
    total = await proxy.metric("trello_proxy_client_api_requests_total")
    await proxy.app.stop()
    lines = _lines(proxy, "boards")
    hits = sum(line["cache"] == "hit" for line in lines)
    assert counted == [hits, hits]
    assert by_tool == [3 * 77] * 3
    assert total == len(lines) == 9 * 77
    by_id = {line["id"]: line for line in lines}
    assert sorted(by_id) == sorted(each for ids in sent for each in ids)
    order = list(by_id)
    assert all(sorted(ids, key=order.index) == ids for ids in sent)
    assert all(line["client"] == "127.0.0.1" for line in lines)


async def test_hits_alone_are_logged_soon(proxy: Proxy, connect: Connect, board: str) -> None:
    raw = await connect()
    await _ids(raw, _header(proxy, f"/1/boards/{board}"), 7)
    await until(lambda: len(_lines(proxy, "boards")) == 7)


async def test_lines_have_the_order_of_the_responses(
    proxy: Proxy, connect: Connect, board: str, card: str
) -> None:
    raw = await connect()
    repeated = _header(proxy, f"/1/boards/{board}?fields=name")
    other = _header(proxy, f"/1/cards/{card}?fields=name", "Cache-Control: no-cache")
    ids = await _ids(raw, repeated, 3)
    for count in (1, 2, 65, 1):
        ids += await _ids(raw, other, 1)
        ids += await _ids(raw, repeated, count)
    await proxy.app.stop()
    lines = [*_lines(proxy, "boards"), *_lines(proxy, "cards")]
    assert len(lines) == len(ids)
    logged = [line["id"] for line in proxy.logged("request")]
    assert logged == ids


async def test_an_event_comes_after_the_hits_before_it(start_proxy: StartProxy, board: str) -> None:
    proxy = await start_proxy(log={"level": "debug"})
    raw = Raw(*await asyncio.open_connection("127.0.0.1", proxy.app.port))
    header = _header(proxy, f"/1/boards/{board}?fields=name")
    await _ids(raw, header, 4)
    proxy.app.components.services.invalidator.mark_stale({EVERYTHING}, "poll")
    await _ids(raw, header, 1)
    await raw.close()
    await proxy.app.stop()
    lines = proxy.logged("request") + proxy.logged("invalidated")
    assert len(lines) == 6
    order = [line["message"] for line in proxy.lines if line in lines]
    assert order == ["request"] * 4 + ["invalidated", "request"]


async def test_a_page_shows_the_hits_before_it(proxy: Proxy, connect: Connect, board: str) -> None:
    raw = await connect()
    for count in range(1, 6):
        await _ids(raw, _header(proxy, f"/1/boards/{board}?fields=name"), 1)
        assert await proxy.metric(HITS[1]) == count - 1


async def test_hits_count_in_the_ten_seconds_in_which_they_came(
    proxy: Proxy, connect: Connect, clock: FakeClock, board: str
) -> None:
    raw = await connect()
    header = _header(proxy, f"/1/boards/{board}?fields=name")
    throttled = "trello_proxy_client_api_requests_throttled_without_proxy_total"
    clock.advance(5)
    await _ids(raw, header, 70)
    clock.advance(5)
    await _ids(raw, header, 100)
    assert await proxy.metric(throttled) == 0
    await _ids(raw, header, 30)
    assert await proxy.metric(throttled) == 30
