"""Uploads: streamed as sent, less the credentials; never held (D3)."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable

import pytest

from proxy.fake_trello.server import FakeTrello
from tests.scenarios.conftest import (
    Proxy,
    Raw,
    StartProxy,
    turns,
    until,
)
from tests.scenarios.upstream import (
    MIB,
    Upstream,
    resident,
)

JSON = "application/json; charset=utf-8"


def _multipart(size: int) -> tuple[str, Callable[[], AsyncIterator[bytes]], int]:
    """Content-Type, body, and its length: an upload with credentials before and after the file."""
    boundary = "----edge"

    def part(name: str, value: str) -> bytes:
        head = f'--{boundary}\r\nContent-Disposition: form-data; name="{name}"'
        return f"{head}\r\n\r\n{value}\r\n".encode()

    before = part("key", "dummy-key") + part("token", "dummy-token") + part("name", "big.bin")
    before += (
        f'--{boundary}\r\nContent-Disposition: form-data; name="file"; filename="big.bin"\r\n'
        "Content-Type: application/octet-stream\r\n\r\n"
    ).encode()
    after = b"\r\n" + part("token", "dummy-again") + f"--{boundary}--\r\n".encode()

    async def body() -> AsyncIterator[bytes]:
        yield before
        for _ in range(size // 65536):
            yield b"\r\n--" + b"\x00" * 65532
        yield after

    return f"multipart/form-data; boundary={boundary}", body, len(before) + size + len(after)


@pytest.mark.parametrize("framing", ["length", "chunked"])
async def test_an_upload_arrives_as_sent_less_the_credentials(
    proxy: Proxy, standin: FakeTrello, card: str, framing: str
) -> None:
    content_type, body, length = _multipart(1 << 20)
    headers = {"Content-Type": content_type}
    if framing == "length":
        headers["Content-Length"] = str(length)
    await proxy.get(f"/1/cards/{card}/attachments")
    heard = await proxy("POST", f"/1/cards/{card}/attachments", data=body(), headers=headers)
    assert (heard.status, heard.json["bytes"], heard.json["name"]) == (200, 1 << 20, "big.bin")
    seen = standin.request_log.requests[-1]
    assert (seen.credential, seen.query) == ("header", "")
    assert standin.trello.files[heard.json["id"]].body == (b"\r\n--" + b"\x00" * 65532) * 16
    after = await proxy.get(f"/1/cards/{card}/attachments")
    assert after.cache == "fwd=uri-miss; fwd-status=200; stored"


async def test_a_client_that_leaves_in_mid_upload_leaves_no_file_and_no_stale_answer(
    proxy: Proxy, standin: FakeTrello, card: str, connect: Callable[[], Awaitable[Raw]]
) -> None:
    path = f"/1/cards/{card}/attachments"
    before = await proxy.get(path)
    content_type, body, length = _multipart(1 << 20)
    raw = await connect()
    await raw.send(
        f"POST {path} HTTP/1.1\r\nHost: {proxy.host}\r\nContent-Type: {content_type}\r\n"
        f"Content-Length: {length}\r\n\r\n".encode()
    )
    sent = 0
    async for chunk in body():
        await raw.send(chunk)
        sent += len(chunk)
        if sent > length // 2:
            break
    await until(lambda: standin.request_log.count("POST", path) == 1)
    await raw.close()
    sample = 'trello_proxy_invalidations_total{cause="write"}'
    async with asyncio.timeout(10):
        while not await proxy.metric(sample):
            await turns(10)
    after = await proxy.get(path)
    assert (after.body, after.cache) == (before.body, "fwd=uri-miss; fwd-status=200; stored")


def _part(name: str, value: str) -> bytes:
    head = f'--edge\r\nContent-Disposition: form-data; name="{name}"'
    return f"{head}\r\n\r\n{value}\r\n".encode()


_BEFORE = _part("key", "dummy-key") + (
    b'--edge\r\nContent-Disposition: form-data; name="file"; filename="big.bin"\r\n\r\n'
)
_AFTER = b"\r\n" + _part("token", "dummy-token") + b"--edge--\r\n"
_FILE_BYTES = 50 * MIB


async def _upload() -> AsyncIterator[bytes]:
    yield _BEFORE
    for _ in range(_FILE_BYTES // 65536):
        yield b"\r\n--edg\r" + b"z" * (65536 - 8)
    yield _AFTER


async def _created(upstream: Upstream, writer: asyncio.StreamWriter) -> None:
    body = b'{"id":"5abbe4b7ddc1b351ef961414"}'
    head = f"HTTP/1.1 200 OK\r\nContent-Type: {JSON}\r\nContent-Length: {len(body)}\r\n\r\n"
    await upstream.send(writer, head.encode() + body)


@pytest.mark.parametrize("framing", ["length", "chunked"])
async def test_an_upload_streams_and_the_memory_it_takes_does_not_grow_with_it(
    start_proxy: StartProxy, upstream: Upstream, framing: str
) -> None:
    proxy = await start_proxy(upstream={"url": upstream.url})
    upstream.answer = _created
    before = most = resident()
    headers = {"Content-Type": "multipart/form-data; boundary=edge"}
    if framing == "length":
        headers["Content-Length"] = str(len(_BEFORE) + _FILE_BYTES + len(_AFTER))

    async def measured() -> AsyncIterator[bytes]:
        nonlocal most
        async for chunk in _upload():
            yield chunk
            most = max(most, resident())

    path = "/1/cards/5abbe4b7ddc1b351ef961414/attachments"
    heard = await proxy("POST", path, data=measured(), headers=headers)
    assert (heard.status, heard.body) == (200, b'{"id":"5abbe4b7ddc1b351ef961414"}')
    assert upstream.asked == 1
    assert upstream.received > _FILE_BYTES
    assert b"dummy" not in upstream.tail
    assert b"--edge--\r\n" in upstream.tail
    assert most - before < 20 * MIB


async def test_an_upload_goes_no_faster_than_trello_takes_it(
    start_proxy: StartProxy, upstream: Upstream
) -> None:
    proxy = await start_proxy(upstream={"url": upstream.url})
    upstream.answer = _created
    upstream.may_read.clear()
    given = 0

    async def counted() -> AsyncIterator[bytes]:
        nonlocal given
        async for chunk in _upload():
            yield chunk
            given += len(chunk)

    headers = {"Content-Type": "multipart/form-data; boundary=edge"}
    path = "/1/cards/5abbe4b7ddc1b351ef961414/attachments"
    uploading = asyncio.ensure_future(proxy("POST", path, data=counted(), headers=headers))
    seen = -1
    while seen != given:
        seen = given
        await turns(500)
    assert given < 30 * MIB
    upstream.may_read.set()
    assert (await uploading).status == 200


async def test_a_refusal_in_mid_upload_reaches_the_client(start_proxy: StartProxy) -> None:
    """Trello says no before it has heard all, and hears nothing more."""
    ended = asyncio.Event()

    async def refuse(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 413 Too Large\r\nContent-Length: 14\r\n\r\nFile too large")
        await ended.wait()
        writer.close()

    async with await asyncio.start_server(refuse, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        proxy = await start_proxy(upstream={"url": f"http://127.0.0.1:{port}"})
        raw = Raw(*await asyncio.open_connection("127.0.0.1", proxy.app.port))
        await raw.send(
            b"POST /1/cards/5abbe4b7ddc1b351ef961414/attachments HTTP/1.1\r\n"
            b"Host: localhost\r\nContent-Length: 99000000\r\n"
            b"Content-Type: multipart/form-data; boundary=edge\r\n\r\n" + _BEFORE
        )
        await raw.send(b"z" * 70_000)
        status, _, body = await raw.answer()
        await raw.close()
        ended.set()
    assert (status, body) == (413, b"File too large")
