"""Connections beyond what can be held are told so and closed; the others notice nothing."""

import asyncio

import pytest

from proxy.edge import listener
from tests.edge.conftest import Proxy

ASK = b"GET /healthz HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"


async def test_one_too_many_is_told_and_closed_and_makes_room_later(
    proxy: Proxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(listener, "MOST_CONNECTIONS", 3)
    held = [await asyncio.open_connection("127.0.0.1", proxy.app.port) for _ in range(3)]
    for reader, writer in held:
        writer.write(ASK)
        assert (await reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 200")
    reader, writer = await asyncio.open_connection("127.0.0.1", proxy.app.port)
    writer.write(ASK)
    said = await reader.read()
    assert said.startswith(b"HTTP/1.1 503 ")
    assert b"\r\nRetry-After: 5\r\n" in said
    assert b"\r\nProxy-Status: trello-proxy; error=connection_limit_reached\r\n" in said
    head, _, body = said.partition(b"\r\n\r\n")
    assert f"Content-Length: {len(body)}".encode() in head
    writer.close()
    reader, writer = held.pop()
    writer.close()
    await writer.wait_closed()
    async with asyncio.timeout(10):
        while (heard := await proxy.get("/metrics")).status != 200:  # noqa: ASYNC110
            await asyncio.sleep(0.01)
    errors = heard.body
    assert b'trello_proxy_errors_total{type="busy"} ' in errors
    for _, writer in held:
        writer.close()


async def test_one_too_many_that_says_nothing_is_closed(
    proxy: Proxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(listener, "MOST_CONNECTIONS", 0)
    monkeypatch.setattr(listener, "BUSY_S", 0.05)
    reader, writer = await asyncio.open_connection("127.0.0.1", proxy.app.port)
    async with asyncio.timeout(10):
        assert await reader.read() == b""
    writer.close()
