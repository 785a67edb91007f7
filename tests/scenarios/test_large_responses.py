"""What is large passes through: it is not held, not stored, and never short by stealth."""

import asyncio
import gc
import gzip
import zlib
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import aiohttp
import pytest
from yarl import URL

from proxy.fake_trello.faults import Fault
from proxy.fake_trello.request import File
from proxy.fake_trello.server import FakeTrello
from tests.scenarios.conftest import (
    Proxy,
    StartProxy,
    turns,
    until,
)
from tests.scenarios.upstream import (
    MIB,
    Upstream,
    resident,
)

HELD_BYTES = 16 * MIB
"""What is longer is not held."""
FEW_BYTES = 40 * MIB
"""What the proxy, its client and its upstream may take together; the bodies here are larger."""
JSON = "application/json; charset=utf-8"
CHUNK = b'"' + b"x" * 65_532 + b'",'


@pytest.fixture
async def proxy(start_proxy: StartProxy, upstream: Upstream) -> Proxy:
    return await start_proxy(upstream={"url": upstream.url})


def _long(chunks: int, *, ends: bool = True) -> Callable[..., Awaitable[None]]:
    """An answer of so many CHUNKs in a JSON array, its length announced."""

    async def response(upstream: Upstream, writer: asyncio.StreamWriter) -> None:
        length = len(b"[" + b'""]') + chunks * len(CHUNK)
        head = f"HTTP/1.1 200 OK\r\nContent-Type: {JSON}\r\nContent-Length: {length}\r\n\r\n["
        await upstream.send(writer, head.encode())
        for _ in range(chunks):
            await upstream.send(writer, CHUNK)
        if ends:
            await upstream.send(writer, b'""]')

    return response


def _coded(chunks: int, *, ends: bool = True) -> Callable[..., Awaitable[None]]:
    """The same in gzip, in chunked framing; it hardly compresses."""

    async def response(upstream: Upstream, writer: asyncio.StreamWriter) -> None:
        head = f"HTTP/1.1 200 OK\r\nContent-Type: {JSON}\r\nContent-Encoding: gzip\r\n"
        await upstream.send(writer, f"{head}Transfer-Encoding: chunked\r\n\r\n".encode())
        deflater = zlib.compressobj(level=0, wbits=31)
        pieces = [b"[", *[CHUNK] * chunks, *([b'""]'] if ends else [])]
        for piece in pieces:
            data = deflater.compress(piece)
            if data:
                await upstream.send(writer, b"%x\r\n%b\r\n" % (len(data), data))
        data = deflater.flush() if ends else b""
        last = b"%x\r\n%b\r\n" % (len(data), data) if data else b""
        await upstream.send(writer, last + b"0\r\n\r\n")

    return response


@asynccontextmanager
async def _getting(proxy: Proxy) -> AsyncIterator[aiohttp.ClientResponse]:
    url = URL(f"{proxy.url}/1/boards/5abbe4b7ddc1b351ef961414/actions")
    async with proxy.session.get(url) as response:
        yield response


async def test_a_large_answer_passes_whole_and_is_not_stored(
    start_proxy: StartProxy, standin: FakeTrello, board: str
) -> None:
    body = '{"x":"' + "y" * (HELD_BYTES + 1000) + '"}'
    path = f"/1/boards/{board}"
    standin.faults.add(Fault("status", status=200, body=body, content_type=JSON, times=None))
    proxy = await start_proxy()
    for _ in range(2):
        heard = await proxy.get(path)
        assert heard.status == 200
        assert heard.body == body.encode()
        assert heard.cache == "fwd=bypass"
    assert await proxy.metric('trello_proxy_not_stored_total{reason="too-large"}') == 2


FRAMINGS = {"its length announced": _long, "gzip in chunks": _coded}


@pytest.mark.parametrize("make", FRAMINGS.values(), ids=FRAMINGS.keys())
async def test_the_memory_it_takes_does_not_grow_with_the_answer(
    proxy: Proxy, upstream: Upstream, make: Callable[..., Callable[..., Awaitable[None]]]
) -> None:
    upstream.answer = make(120 * MIB // len(CHUNK))
    before = most = resident()
    read = 0
    async with _getting(proxy) as response:
        assert response.status == 200
        assert "Content-Encoding" not in response.headers
        async for data in response.content.iter_any():
            read += len(data)
            most = max(most, resident())
    assert read == 4 + 120 * MIB // len(CHUNK) * len(CHUNK)
    assert most - before < FEW_BYTES


async def test_an_answer_that_was_sent_is_let_go_of_before_the_collector_comes(
    proxy: Proxy, upstream: Upstream
) -> None:
    upstream.answer = _long(4)
    await proxy.get("/1/boards/b/cards", headers={"Cache-Control": "no-store"})
    gc.collect()
    gc.disable()
    try:
        before = resident()
        for _ in range(400):
            await proxy.get("/1/boards/b/cards", headers={"Cache-Control": "no-store"})
        assert resident() - before < FEW_BYTES
    finally:
        gc.enable()


@pytest.mark.parametrize("make", FRAMINGS.values(), ids=FRAMINGS.keys())
async def test_a_large_answer_that_is_cut_has_no_clean_end(
    proxy: Proxy, upstream: Upstream, make: Callable[..., Callable[..., Awaitable[None]]]
) -> None:
    upstream.answer = make(20 * MIB // len(CHUNK), ends=False)
    with pytest.raises(aiohttp.ClientPayloadError):
        async with _getting(proxy) as response:
            await response.read()


async def test_a_slow_reader_slows_trello_down_and_fills_no_memory(
    proxy: Proxy, upstream: Upstream
) -> None:
    upstream.answer = _long(120 * MIB // len(CHUNK))
    async with _getting(proxy) as response:
        seen = -1
        while seen != upstream.sent:
            seen = upstream.sent
            await turns(500)
        assert upstream.sent < 60 * MIB
        await response.content.readexactly(30 * MIB)
        assert upstream.sent > seen


async def test_a_reader_who_leaves_lets_trello_go_too(proxy: Proxy, upstream: Upstream) -> None:
    upstream.answer = _long(120 * MIB // len(CHUNK))
    async with _getting(proxy) as response:
        await response.content.readexactly(20 * MIB)
        response.close()
    await until(lambda: upstream.is_left)
    assert upstream.sent < 100 * MIB


async def test_what_is_too_large_for_memory_is_served_from_disk(
    start_proxy: StartProxy, standin: FakeTrello, board: str
) -> None:
    body = '{"x":"' + "y" * (5 * MIB) + '"}'
    standin.faults.add(Fault("status", status=200, body=body, content_type=JSON))
    proxy = await start_proxy(cache={"memory_bytes": 16 * MIB})
    for cache in ("fwd=uri-miss; fwd-status=200; stored", "hit; ttl=30", "hit; ttl=30"):
        heard = await proxy.get(f"/1/boards/{board}")
        assert heard.body == body.encode()
        assert heard.cache == cache
    assert standin.request_log.total == 1


async def test_many_readers_of_a_large_stored_answer_get_it_whole(
    start_proxy: StartProxy, standin: FakeTrello, board: str
) -> None:
    body = '{"x":"' + "y" * (3 * MIB) + '"}'
    standin.faults.add(Fault("status", status=200, body=body, content_type=JSON))
    proxy = await start_proxy()
    heard = await asyncio.gather(*(proxy.get(f"/1/boards/{board}") for _ in range(20)))
    assert [each.body == body.encode() for each in heard] == [True] * 20
    assert standin.request_log.total == 1


async def test_a_file_passes_whole_from_behind_the_redirect(
    start_proxy: StartProxy, standin: FakeTrello, card: str
) -> None:
    body = bytes(range(256)) * (20 * MIB // 256)
    made = standin.trello.upload(card, File("big.bin", "application/octet-stream", body))
    proxy = await start_proxy()
    path = f"/1/cards/{card}/attachments/{made['id']}/download/big.bin"
    heard = await proxy.get(path)
    assert heard.status == 200
    assert heard.body == body
    assert heard.fields["Content-Length"] == str(len(body))
    assert "Location" not in heard.fields
    head = await proxy("HEAD", path)
    assert (head.status, head.fields["Content-Length"]) == (200, str(len(body)))


async def test_gzip_that_would_fill_the_memory_is_trouble(
    proxy: Proxy, upstream: Upstream, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("proxy.http_semantics.content.MAX_INFLATED_BYTES", MIB)
    bomb = gzip.compress(b"[" + b" " * MIB + b"]")

    async def response(upstream: Upstream, writer: asyncio.StreamWriter) -> None:
        head = f"HTTP/1.1 200 OK\r\nContent-Type: {JSON}\r\nContent-Encoding: gzip\r\n"
        await upstream.send(writer, f"{head}Content-Length: {len(bomb)}\r\n\r\n".encode() + bomb)

    upstream.answer = response
    heard = await proxy.get("/1/boards/5abbe4b7ddc1b351ef961414")
    assert (heard.status, heard.problem) == (502, "incomplete-response")
