"""How long a client is waited for that says nothing, or takes nothing."""

import asyncio
import socket

import pytest

from proxy.fake_trello.server import FakeTrello
from proxy.server import aiohttp_connection, connection, request_body
from tests.server.conftest import MakeProxy, Proxy
from tests.server.raw_upstream import PATIENCE_S, RawUpstream

ME = "/1/members/me"


class TestPatience:
    async def test_half_a_header_and_then_silence_ends_the_connection(
        self, proxy: Proxy, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(connection, "HEADER_TIMEOUT_S", 0.1)
        wire = await proxy.connect()
        wire.send(b"GET /1/memb")
        assert await wire.ended()

    async def test_a_connection_that_says_nothing_is_ended(
        self, proxy: Proxy, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(aiohttp_connection, "KEEPALIVE_S", 0.1)
        assert await (await proxy.connect()).ended()

    async def test_a_connection_that_says_no_more_is_ended(
        self, proxy: Proxy, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(aiohttp_connection, "KEEPALIVE_S", 0.1)
        wire = await proxy.connect()
        for _ in range(3):  # a miss, a hit, and a hit by its bytes
            wire.send(proxy.request("GET", ME))
            assert (await wire.hear()).status == 200
        assert await wire.ended()

    async def test_an_upload_that_stalls_is_let_go(
        self, proxy: Proxy, standin: FakeTrello, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(request_body, "IDLE_S", 0.1)
        path = f"/1/cards/{standin.trello.example_card}/attachments"
        fields = {
            "Content-Type": "multipart/form-data; boundary=b",
            "Content-Length": "10000000",
        }
        head = b'--b\r\nContent-Disposition: form-data; name="file"; filename="a"\r\n\r\n'
        wire = await proxy.connect()
        wire.send(proxy.request("POST", path, fields) + head + b"x" * 200_000)
        assert (await wire.hear("POST")).status == 408

    async def test_who_takes_nothing_of_a_download_is_let_go(
        self, make_proxy: MakeProxy, raw_upstream: RawUpstream, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(connection, "WRITE_IDLE_S", 0.1)
        gone = asyncio.Event()

        async def endless(_: asyncio.StreamReader, writer: asyncio.StreamWriter, __: bytes) -> None:
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: image/png\r\n\r\n")
            try:
                while True:
                    writer.write(b"x" * 65536)
                    await writer.drain()
            finally:
                gone.set()

        raw_upstream.said = endless
        proxy = await make_proxy(raw_upstream.url)
        reading = await _who_does_not_read(proxy)
        reading.sendall(proxy.request("GET", "/1/cards/x/attachments/y/download/z.png"))
        async with asyncio.timeout(PATIENCE_S):
            await gone.wait()
        reading.close()

    async def test_who_takes_nothing_of_many_hits_is_let_go(
        self, make_proxy: MakeProxy, raw_upstream: RawUpstream, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(connection, "WRITE_IDLE_S", 0.1)
        body = b'["' + b"x" * 200_000 + b'"]'
        raw_upstream.said = (
            b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%b"
            % (len(body), body)
        )
        proxy = await make_proxy(raw_upstream.url)
        for _ in range(3):
            assert (await proxy.get("/1/boards/x/cards")).body == body
        reading = await _who_does_not_read(proxy)
        with pytest.raises(ConnectionError):
            await _ask_for_ever(reading, proxy.request("GET", "/1/boards/x/cards"))
        reading.close()
        assert (await proxy.get("/healthz")).status == 200


async def _ask_for_ever(sock: socket.socket, request: bytes) -> None:
    loop = asyncio.get_running_loop()
    async with asyncio.timeout(PATIENCE_S):
        while True:
            await loop.sock_sendall(sock, request)
            await asyncio.sleep(0.001)  # one request a packet


async def _who_does_not_read(proxy: Proxy) -> socket.socket:
    sock = socket.socket()
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    sock.setblocking(False)  # noqa: FBT003
    await asyncio.get_running_loop().sock_connect(sock, ("127.0.0.1", proxy.app.port))
    return sock
