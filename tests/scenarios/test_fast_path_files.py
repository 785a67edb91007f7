"""The same request for a file again: not parsed, and never otherwise than if it were."""

import asyncio
import gc
import hashlib
import os
import socket
from collections.abc import Awaitable, Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from proxy.fake_trello.server import FakeTrello
from proxy.links.signing import DAY_S
from proxy.runtime.clock import FakeClock
from proxy.server import connection
from proxy.trello.message import ApiRequest
from tests.scenarios.conftest import (
    OTHER_KEY,
    OTHER_TOKEN,
    Proxy,
    Raw,
    StartProxy,
    slow_client,
    until,
)
from tests.scenarios.test_files import BODY, attach, kept, metadata_of, stored

Connect = Callable[[], Awaitable[Raw]]
SHORT = BODY[:5000]


def _header(proxy: Proxy, path: str, *fields: str) -> bytes:
    lines = (f"GET {path} HTTP/1.1", f"Host: {proxy.host}", *fields, "", "")
    return "\r\n".join(lines).encode()


async def _ask(raw: Raw, header: bytes) -> tuple[int, list[bytes], bytes]:
    """Status, fields but the request's own id, and body."""
    await raw.send(header)
    status, fields, body = await raw.answer()
    return status, [each for each in fields if not each.startswith(b"X-Request-Id:")], body


async def _prepare(proxy: Proxy, raw: Raw, path: str, *fields: str) -> None:
    """The next request with this header, whatever its Range, is not parsed."""
    before = len(proxy.app.fast_paths[0])
    await _ask(raw, _header(proxy, path, *fields))
    assert len(proxy.app.fast_paths[0]) == before + 1


def _ranges(proxy: Proxy) -> list[dict[str, Any]]:
    return [each for each in proxy.logged("request") if each["status"] == 206]


RANGES = {
    "none": (),
    "first byte": ("Range: bytes=0-0",),
    "middle": ("Range: bytes=1000-1999",),
    "to the end": ("Range: bytes=3000-",),
    "last": ("Range: bytes=-10",),
    "more than there is": ("Range: bytes=10-99999999",),
    "behind the end": ("Range: bytes=99999999-",),
    "nothing of the end": ("Range: bytes=-0",),
    "backwards": ("Range: bytes=9-3",),
    "several": ("Range: bytes=0-1,4-5",),
    "another unit": ("Range: lines=0-1",),
    "letter case": ("rAnGe: Bytes=5-6",),
    "spaces": ("Range:   bytes=5-6 ",),
    "two lines": ("Range: bytes=1-2", "Range: bytes=3-4"),
    "obs-text": ("Range: bytes=0-\xe9",),
    "a letter of no unit": ("Range: byte\u017f=0-1",),
}


@pytest.mark.parametrize("body", [SHORT, BODY], ids=["short", "long"])
async def test_every_range_gets_the_same_as_if_nothing_were_prepared(
    proxy: Proxy, connect: Connect, standin: FakeTrello, card: str, body: bytes
) -> None:
    path, raw = attach(standin, card, body), await connect()
    await stored(proxy, path)
    parsed, repeated = {}, {}
    for name, fields in RANGES.items():  # HTTP/1.0 is never prepared
        header = _header(proxy, path, *fields).replace(b"HTTP/1.1", b"HTTP/1.0", 1)
        status, lines, content = await _ask(await connect(), header)
        parsed[name] = status, [each for each in lines if each != b"Connection: close"], content
    await _prepare(proxy, raw, path)
    for name, fields in RANGES.items():
        repeated[name] = await _ask(raw, _header(proxy, path, *fields))
    assert repeated == parsed


async def test_a_range_with_a_control_character_is_malformed_also_where_a_file_is_prepared(
    proxy: Proxy, connect: Connect, standin: FakeTrello, card: str
) -> None:
    path = attach(standin, card, SHORT)
    await stored(proxy, path)
    await _prepare(proxy, await connect(), path)
    for character in "\0\1\x0b\x0c\x1f\x7f":
        header = _header(proxy, path, f"Range: bytes=0-1{character}")
        assert (await _ask(await connect(), header))[0] == 400


async def test_a_player_that_seeks_is_served_with_its_if_range(
    proxy: Proxy, connect: Connect, standin: FakeTrello, card: str
) -> None:
    path, raw = attach(standin, card), await connect()
    await stored(proxy, path)
    etag = (await proxy.get(path)).fields["ETag"]
    for validator, status in ((etag, 206), ('"other"', 200)):
        await _prepare(proxy, raw, path, f"If-Range: {validator}")
        for start in (0, 500_000, 999_990):
            header = _header(proxy, path, f"Range: bytes={start}-", f"If-Range: {validator}")
            heard = await _ask(raw, header)
            assert (heard[0], heard[2]) == (status, BODY[start:] if status == 206 else BODY)


async def test_each_repeated_file_is_logged_with_its_bytes_and_counted_for_its_client(
    proxy: Proxy, connect: Connect, standin: FakeTrello, card: str, clock: FakeClock
) -> None:
    path, raw = attach(standin, card), await connect()
    await stored(proxy, path)
    await _prepare(proxy, raw, path, "User-Agent: player/1")
    sample = 'trello_proxy_client_requests_total{client="player"}'
    read = 'trello_proxy_attachment_bytes_total{source="disk"}'
    before, read_before = await proxy.metric(sample), await proxy.metric(read)
    spans = (("bytes=0-9", 10), ("bytes=0-199999", 200_000), ("bytes=5-", len(BODY) - 5))
    for span, count in spans:
        header = _header(proxy, path, "User-Agent: player/1", f"Range: {span}")
        assert len((await _ask(raw, header))[2]) == count
    assert await proxy.metric(sample) == before + 3
    assert await proxy.metric(read) == read_before + sum(count for _, count in spans)
    clock.advance(1)
    await until(lambda: len(_ranges(proxy)) == 3)
    lines = _ranges(proxy)
    assert [each["bytes"] for each in lines] == [count for _, count in spans]
    assert {(each["cache"], each["tool"]) for each in lines} == {("hit", "player/1")}
    assert len({each["id"] for each in lines}) == 3


async def test_a_file_that_trello_has_no_more_is_not_repeated(
    proxy: Proxy, connect: Connect, standin: FakeTrello, card: str
) -> None:
    path, raw = attach(standin, card, SHORT), await connect()
    await stored(proxy, path)
    await _prepare(proxy, raw, path)
    assert (await proxy("DELETE", metadata_of(path))).status == 200
    assert (await _ask(raw, _header(proxy, path)))[0] == 410
    assert (await _ask(raw, _header(proxy, path, "Range: bytes=0-1")))[0] == 410


@pytest.mark.parametrize("body", [SHORT, BODY], ids=["short", "long"])
async def test_bytes_that_changed_on_the_disk_are_not_sent(
    proxy: Proxy,
    connect: Connect,
    standin: FakeTrello,
    card: str,
    directory: Path,
    body: bytes,
) -> None:
    path, raw = attach(standin, card, body), await connect()
    await stored(proxy, path)
    await _prepare(proxy, raw, path)
    (blob,) = kept(directory)
    assert blob.stem == hashlib.sha256(body).hexdigest()
    before = blob.stat()
    blob.write_bytes(b"?" * len(body))
    os.utime(blob, ns=(before.st_atime_ns, before.st_mtime_ns))
    heard = await _ask(raw, _header(proxy, path))
    assert (heard[0], heard[2]) == (200, body)
    assert standin.request_log.downloads == 2


async def test_a_link_is_repeated_no_longer_than_its_signature_is_valid(
    start_proxy: StartProxy, standin: FakeTrello, card: str, clock: FakeClock
) -> None:
    proxy = await start_proxy(
        f"links: {{sign: true, keys: [{'k' * 20}], lifetime: 1d}}\n"
        "routes: [{match: /cards/*/attachments/*, lifetime: 365d}]\n"
    )
    unsigned = attach(standin, card, SHORT)
    path = str((await proxy.get(metadata_of(unsigned))).json["url"]).partition(proxy.host)[2]
    raw = Raw(*await asyncio.open_connection("127.0.0.1", proxy.app.port))
    await stored(proxy, path)
    await _prepare(proxy, raw, path)
    clock.advance(2 * DAY_S)
    assert (await _ask(raw, _header(proxy, path)))[0] == 410
    await raw.close()


@pytest.mark.parametrize("field", ["Accept: */*", "X-Request-Id: a"], ids=["prepared", "parsed"])
async def test_a_client_that_sends_no_more_while_it_receives_a_file_gets_all_of_it(
    proxy: Proxy,
    standin: FakeTrello,
    card: str,
    field: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(connection, "HALF_OPEN_S", 0.01)
    body = BODY * 6
    path = attach(standin, card, body)
    await stored(proxy, path)
    client = await slow_client(proxy)
    slow = Raw(*await asyncio.open_connection(sock=client))
    for _ in range(2):
        assert (await _ask(slow, _header(proxy, path, field)))[2] == body
    await slow.send(_header(proxy, path, field))
    await asyncio.sleep(0.05)
    client.shutdown(socket.SHUT_WR)
    await asyncio.sleep(0.05)
    assert (await slow.answer())[2] == body
    await slow.close()


async def test_requests_sent_without_waiting_are_each_given_their_own_range(
    proxy: Proxy, connect: Connect, standin: FakeTrello, card: str
) -> None:
    path, raw = attach(standin, card), await connect()
    await stored(proxy, path)
    await _prepare(proxy, raw, path)
    spans = list(pairwise((0, 10, 300_000, 300_007, 900_000)))
    for start, end in spans:
        await raw.send(_header(proxy, path, f"Range: bytes={start}-{end - 1}"))
    for start, end in spans:
        status, _, body = await raw.answer()
        assert (status, body) == (206, BODY[start:end])


async def test_no_prepared_file_keeps_a_clients_own_token_in_memory(
    start_proxy: StartProxy, standin: FakeTrello, card: str
) -> None:
    member = standin.trello.request("/1/members/me?fields=id")["id"]
    standin.trello.add_token(OTHER_TOKEN, member, key=OTHER_KEY)
    proxy, path = await start_proxy("clients: {credentials: forward}"), attach(standin, card, SHORT)
    raw = Raw(*await asyncio.open_connection("127.0.0.1", proxy.app.port))
    sent = f'Authorization: OAuth oauth_consumer_key="{OTHER_KEY}", oauth_token="{OTHER_TOKEN}"'
    for _ in range(3):
        assert (await _ask(raw, _header(proxy, path, sent)))[2] == SHORT
    await raw.close()

    def kept_tokens() -> int:
        gc.collect()
        requests = (each for each in gc.get_objects() if isinstance(each, ApiRequest))
        return sum(each.credential.token == OTHER_TOKEN for each in requests)

    await until(lambda: not kept_tokens())
