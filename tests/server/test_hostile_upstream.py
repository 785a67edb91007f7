"""An upstream may cut, stall, lie, redirect and echo: clients see errors, and no secrets."""

import asyncio
import gzip
import zlib

import pytest

from tests.server.conftest import (
    MakeProxy,
    Start,
    says,
)
from tests.server.raw_upstream import (
    BODY,
    JSON,
    OK,
    READ,
    RawUpstream,
    answer,
    chunked,
    hang,
)

BROKEN = {
    "nothing": (b"", "connection-terminated"),
    "half a status line": (b"HTTP/1.1 20", "connection-terminated"),
    "half a header": (OK + b"Content-Type: appl", "connection-terminated"),
    "no HTTP": (b"SSH-2.0-OpenSSH_9.2\r\n\r\n", "invalid-response"),
    "no number for a status": (b"HTTP/1.1 OK 200\r\n\r\n", "invalid-response"),
    "a field of 200 kB": (
        OK + JSON + b"X-Long: " + b"x" * 200_000 + b"\r\nContent-Length: 2\r\n\r\n{}",
        "invalid-response",
    ),
    "a status line of 200 kB": (
        b"HTTP/1.1 200 " + b"x" * 200_000 + b"\r\n\r\n{}",
        "invalid-response",
    ),
    "a NUL in a field": (
        OK + JSON + b"X-A: \0\r\nContent-Length: 2\r\n\r\n{}",
        "invalid-response",
    ),
    "a length that is none": (OK + JSON + b"Content-Length: two\r\n\r\n{}", "invalid-response"),
    "a negative length": (OK + JSON + b"Content-Length: -2\r\n\r\n{}", "invalid-response"),
    "two lengths": (
        OK + JSON + b"Content-Length: 2\r\nContent-Length: 9\r\n\r\n{}",
        "invalid-response",
    ),
    "a cut body": (OK + JSON + b"Content-Length: 500\r\n\r\n" + BODY, "incomplete-response"),
    "a cut chunk": (
        OK + JSON + b"Transfer-Encoding: chunked\r\n\r\nff\r\n" + BODY,
        "incomplete-response",
    ),
    "no last chunk": (
        OK + JSON + b"Transfer-Encoding: chunked\r\n\r\n%x\r\n%b\r\n" % (len(BODY), BODY),
        "incomplete-response",
    ),
    "a chunk size that is none": (
        OK + JSON + b"Transfer-Encoding: chunked\r\n\r\nzz\r\n{}\r\n0\r\n\r\n",
        "invalid-response",
    ),
    "a cut body without a length": (OK + JSON + b"\r\n" + BODY[:-9], "invalid-response"),
    "an empty body without a length": (OK + JSON + b"\r\n", "invalid-response"),
    "a gateway's page": (answer(b"<html>", b"Content-Type: text/html\r\n"), "invalid-response"),
    "JSON and something behind it": (answer(BODY + b" x"), "invalid-response"),
    "a cut body of the right length": (answer(b'{"id":"a","name":"x}'), "invalid-response"),
    "a word that is cut": (answer(b"nul"), "invalid-response"),
    "a text that is cut": (answer(b'"abc'), "invalid-response"),
    "JSON without a comma": (answer(b'[{"id":"a"} {"id":"b"}]'), "invalid-response"),
    "a part nobody asked for": (
        answer(BODY[:9], JSON + b"Content-Range: bytes 0-8/99\r\n", b"HTTP/1.1 206 Partial\r\n"),
        "incomplete-response",
    ),
    "a part that is the whole": (
        answer(BODY, JSON, b"HTTP/1.1 206 Partial Content\r\n"),
        "incomplete-response",
    ),
    "a page that says it is JSON": (answer(b"<html>"), "invalid-response"),
    "a page without a type": (answer(b"<html>", b""), "invalid-response"),
    "brotli, unasked": (answer(BODY, JSON + b"Content-Encoding: br\r\n"), "invalid-response"),
    "two codings": (
        answer(BODY, JSON + b"Content-Encoding: gzip, br\r\n"),
        "invalid-response",
    ),
    "gzip that is none": (
        answer(BODY, JSON + b"Content-Encoding: gzip\r\n"),
        "incomplete-response",
    ),
    "gzip that was cut": (
        answer(gzip.compress(BODY)[:-6], JSON + b"Content-Encoding: gzip\r\n"),
        "incomplete-response",
    ),
    "gzip and more": (
        answer(gzip.compress(BODY) + b"x", JSON + b"Content-Encoding: gzip\r\n"),
        "incomplete-response",
    ),
    "a redirect": (
        answer(b"Found", b"Location: http://evil.example/\r\n", b"HTTP/1.1 302 Found\r\n"),
        "invalid-response",
    ),
    "a 304 nobody asked for": (b"HTTP/1.1 304 Not Modified\r\n\r\n", "invalid-response"),
    "a change of protocols": (
        b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: Upgrade\r\n\r\n",
        "invalid-response",
    ),
    "a status outside the classes": (
        answer(BODY, JSON, b"HTTP/1.1 999 Odd\r\n"),
        "invalid-response",
    ),
}


@pytest.mark.parametrize(("said", "slug"), BROKEN.values(), ids=BROKEN.keys())
async def test_a_broken_response_is_our_error_and_is_not_stored(
    before: Start, raw_upstream: RawUpstream, said: bytes, slug: str
) -> None:
    proxy = await before(said)
    heard = await proxy.get(READ)
    assert heard.json["type"] == f"urn:trello-proxy:{slug}"
    assert says(heard, 502, slug)
    assert b"evil" not in heard.raw
    raw_upstream.said = answer()
    again = await proxy.get(READ)
    assert (again.status, again.body) == (200, BODY)
    assert "fwd=uri-miss" in again.fields["cache-status"]


@pytest.mark.parametrize(("said", "slug"), BROKEN.values(), ids=BROKEN.keys())
async def test_a_broken_response_leaves_what_is_stored_in_use(
    before: Start, raw_upstream: RawUpstream, said: bytes, slug: str
) -> None:
    proxy = await before(answer())
    await proxy.get(READ)
    proxy.clock.advance(600)
    raw_upstream.said = said
    stale = await proxy.get(READ)
    assert (stale.status, stale.body) == (200, BODY)
    assert stale.fields["age"] == "600"
    assert "stale-if-error" in stale.fields["cache-status"]


CARD = "/1/cards/5e9310df53f23017628a8011"
WRITES = {"POST": f"{CARD}/stickers", "PUT": CARD, "DELETE": CARD}


@pytest.mark.parametrize("method", WRITES)
@pytest.mark.parametrize("said", [b"", BROKEN["half a header"][0], BROKEN["a cut body"][0]])
async def test_a_write_is_sent_once_whatever_becomes_of_it(
    before: Start, raw_upstream: RawUpstream, method: str, said: bytes
) -> None:
    proxy = await before(said)
    heard = await proxy.ask(method, WRITES[method], {}, b"name=x")
    assert heard.status == 502
    assert len(raw_upstream.asked) == 1


async def test_a_redirect_of_a_write_is_not_followed_nor_shown(
    before: Start, raw_upstream: RawUpstream, elsewhere: RawUpstream
) -> None:
    location = b"Location: %b/x?signature=5igned5ecret\r\n" % elsewhere.url.encode()
    proxy = await before(answer(b"Moved to " + location, location, b"HTTP/1.1 307 Moved\r\n"))
    heard = await proxy.ask("POST", "/1/cards", {}, b"name=x")
    assert says(heard, 502, "invalid-response")
    assert b"5igned" not in heard.raw
    assert elsewhere.asked == []


async def test_an_upstream_that_hangs_is_504(
    make_proxy: MakeProxy, raw_upstream: RawUpstream
) -> None:
    raw_upstream.said = hang
    proxy = await make_proxy(raw_upstream.url, "upstream: {read_timeout: 150ms}")
    heard = await proxy.get(READ)
    assert says(heard, 504, "upstream-timeout")


async def test_an_upstream_that_stalls_in_mid_body_is_504(
    make_proxy: MakeProxy, raw_upstream: RawUpstream
) -> None:
    async def stall(_: asyncio.StreamReader, writer: asyncio.StreamWriter, __: bytes) -> None:
        writer.write(answer()[:-5])
        await hang(_, writer, __)

    raw_upstream.said = stall
    proxy = await make_proxy(raw_upstream.url, "upstream: {read_timeout: 150ms}")
    heard = await proxy.get(READ)
    assert says(heard, 504, "upstream-timeout")


async def test_no_listening_upstream_is_502(
    make_proxy: MakeProxy, raw_upstream: RawUpstream
) -> None:
    await raw_upstream.stop()
    proxy = await make_proxy(raw_upstream.url)
    heard = await proxy.get(READ)
    assert says(heard, 502, "upstream-refused")
    assert raw_upstream.host.encode() not in heard.raw


TRAVELLERS = {
    "single bytes": [BODY[at : at + 1] for at in range(len(BODY))],
    "empty-looking chunks": [BODY[:1], BODY[1:]],
}


@pytest.mark.parametrize("chunks", TRAVELLERS.values(), ids=TRAVELLERS.keys())
async def test_a_body_arrives_whole_however_it_is_cut_up(
    before: Start, chunks: list[bytes]
) -> None:
    proxy = await before(chunked(*chunks))
    assert (await proxy.get(READ)).body == BODY


async def test_a_length_beside_chunks_never_frames_our_response(before: Start) -> None:
    said = OK + JSON + b"Content-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n"
    proxy = await before(said + b"%x\r\n%b\r\n0\r\n\r\n" % (len(BODY), BODY))
    wire = await proxy.connect()
    wire.send(proxy.request("GET", READ))
    heard = await wire.hear()
    assert says(heard, 502, "invalid-response") or heard.body == BODY
    assert not {"transfer-encoding"} & set(heard.fields)
    wire.send(proxy.request("GET", "/healthz"))
    assert (await wire.hear()).status == 200


async def test_bytes_after_a_response_are_dropped(before: Start, raw_upstream: RawUpstream) -> None:
    smuggled = answer(b'{"name":"smuggled"}')
    proxy = await before(answer() + smuggled)
    assert (await proxy.get(READ)).body == BODY
    raw_upstream.said = answer(b"[]")
    assert (await proxy.get("/1/boards/5e93ba403f1ab3603ba81a09/cards")).body == b"[]"


async def test_interim_responses_are_skipped(before: Start) -> None:
    early = b"HTTP/1.1 103 Early Hints\r\nLink: </x>; rel=preload\r\n\r\n"
    proxy = await before(b"HTTP/1.1 102 Processing\r\n\r\n" + early + answer())
    heard = await proxy.get(READ)
    assert (heard.status, heard.body) == (200, BODY)
    assert "link" not in heard.fields


async def test_a_body_that_ends_with_the_connection_is_taken_when_it_is_whole(
    before: Start,
) -> None:
    proxy = await before(OK + JSON + b"\r\n" + BODY)
    heard = await proxy.get(READ)
    assert (heard.status, heard.body) == (200, BODY)
    assert heard.fields["content-length"] == str(len(BODY))


async def test_json_that_does_not_say_so_is_json(before: Start) -> None:
    proxy = await before(answer(head=b""))
    heard = await proxy.get(READ)
    assert (heard.status, heard.body) == (200, BODY)
    assert "content-type" not in heard.fields


async def test_a_decompression_bomb_is_no_response(
    before: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("proxy.http_semantics.content.MAX_INFLATED_BYTES", 1_000_000)
    bomb = zlib.compressobj(9, zlib.DEFLATED, 31)
    packed = bomb.compress(b"[" + b" " * 20_000_000) + bomb.flush()
    proxy = await before(answer(packed, JSON + b"Content-Encoding: gzip\r\n"))
    assert says(await proxy.get(READ), 502, "incomplete-response")
