"""Gzip in several members is one body (RFC 1952 §2.2), wherever it is inflated."""

import gzip
import json

from tests.server.conftest import Proxy, Start
from tests.server.raw_upstream import (
    BODY,
    FILE,
    JSON,
    READ,
    RawUpstream,
    answer,
    attached,
    chunked,
)

CODED = b"Content-Encoding: gzip\r\n"
HALVES = gzip.compress(BODY[:20]) + gzip.compress(BODY[20:])


async def received_in_both_codings(proxy: Proxy, target: str) -> None:
    for _ in range(3):
        plain = await proxy.get(target)
        coded = await proxy.get(target, {"Accept-Encoding": "gzip"})
        assert (plain.status, plain.body) == (200, BODY)
        assert gzip.decompress(coded.body) == BODY
        assert coded.fields["content-encoding"] == "gzip"


async def test_a_read_is_inflated_and_stored(before: Start) -> None:
    proxy = await before(answer(HALVES, JSON + CODED))
    await received_in_both_codings(proxy, READ)
    assert (await proxy.get(READ)).fields["cache-status"].startswith("trello-proxy; hit;")


async def test_it_may_come_in_chunks(before: Start) -> None:
    proxy = await before(chunked(*(HALVES[at : at + 7] for at in range(0, len(HALVES), 7)),
                                 head=JSON + CODED))  # fmt: skip
    await received_in_both_codings(proxy, READ)


async def test_a_batch_is_inflated(before: Start) -> None:
    items = b'[{"200":%b},{"200":%b}]' % (BODY, BODY)
    packed = gzip.compress(items[:30]) + gzip.compress(items[30:])
    proxy = await before(answer(packed, JSON + CODED))
    heard = await proxy.get("/1/batch?urls=/boards/5e93ba403f1ab3603ba81a09,/boards/x")
    assert [each["200"]["name"] for each in heard.json] == ["A board"] * 2


async def test_a_refusal_is_inflated(before: Start) -> None:
    sentence = gzip.compress(b"invalid ") + gzip.compress(b"id")
    status = b"HTTP/1.1 400 Bad Request\r\n"
    proxy = await before(answer(sentence, b"Content-Type: text/plain\r\n" + CODED, status))
    heard = await proxy.get(READ)
    assert (heard.status, heard.body) == (400, b"invalid id")


async def test_a_file_of_the_storage_is_inflated(
    before: Start, storage: RawUpstream, raw_upstream: RawUpstream
) -> None:
    moved = b"HTTP/1.1 302 Found\r\nLocation: %b/files/a.png\r\nContent-Length: 0\r\n\r\n"
    proxy = await before(attached(moved % storage.url.encode()))
    storage.said = answer(
        gzip.compress(b"\x89PNG") + gzip.compress(b"of two members"),
        b"Content-Type: image/png\r\n" + CODED,
    )
    heard = await proxy.get(FILE)
    assert (heard.status, heard.body) == (200, b"\x89PNGof two members")


async def test_what_comes_behind_is_still_no_gzip(before: Start) -> None:
    proxy = await before(answer(HALVES + b"x", JSON + CODED))
    heard = await proxy.get(READ)
    assert heard.status == 502
    assert json.loads(heard.body)["type"] == "urn:trello-proxy:incomplete-response"
