"""Trello's real responses, replayed through the proxy: byte for byte, and only what may pass."""

import asyncio
import json
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import pytest

from tests.server.conftest import (
    KEY,
    TOKEN,
    Heard,
    MakeProxy,
    Proxy,
)
from tests.server.raw_upstream import RawUpstream

RECORDED = Path(__file__).parents[2] / "../shared/trello/recorded.jsonl"
FRAMING = {"content-length", "transfer-encoding", "connection", "content-encoding"}
NEVER = {"set-cookie", "server", "location", "strict-transport-security", "via"}
EVERYTHING = "clients: {writes: all}"
DAMAGED, REPAIRED = "\\user@example.invalid", "\\nuser@example.invalid"
"""An e-mail address was removed from one recording together with half of the escape before it."""
Exchange = dict[str, Any]


def exchanges() -> list[Exchange]:
    if not RECORDED.exists():
        return []
    found = [json.loads(line) for line in RECORDED.read_text(encoding="utf-8").splitlines()]
    complete = [each for each in found if each["status"] is not None and each["body"] is not None]
    repaired = [each | {"body": str(each["body"]).replace(DAMAGED, REPAIRED)} for each in complete]
    return [each for each in repaired if not is_a_batch_of_reads(each)]


def is_a_batch_of_reads(exchange: Exchange) -> bool:
    """Its response is composed by the proxy: its parts are Trello's bytes, not the whole."""
    return "/1/batch?urls=/boards/" in exchange["path_and_query"]


EXCHANGES = exchanges()
pytestmark = pytest.mark.skipif(not EXCHANGES, reason="no recorded exchanges beside this checkout")


def wire_response(exchange: Exchange) -> bytes:
    body = str(exchange["body"]).encode()
    fields = exchange["response_headers"]
    kept = {name: value for name, value in fields.items() if name.lower() not in FRAMING}
    lines = "".join(f"{name}: {value}\r\n" for name, value in kept.items())
    if any(name.lower() == "transfer-encoding" for name in fields):
        lines += "Transfer-Encoding: chunked\r\n"
        body = b"%x\r\n%b\r\n0\r\n\r\n" % (len(body), body)
    else:
        lines += f"Content-Length: {len(body)}\r\n"
    return f"HTTP/1.1 {exchange['status']} Recorded\r\n{lines}\r\n".encode() + body


def is_taken_to_be_stored(exchange: Exchange) -> bool:
    return exchange["method"] == "GET" and exchange["status"] in {200, 404}


async def replay(proxy: Proxy, exchange: Exchange) -> Heard:
    fields = {
        name: value
        for name, value in exchange["request_headers"].items()
        if name.lower() not in {"host", "content-length", "accept-encoding"}
    }
    target = exchange["path_and_query"].replace("{", "%7B").replace("}", "%7D")
    return await proxy.ask(exchange["method"], target, fields, exchange["request_body"].encode())


def with_trellos_links(heard: Heard, proxy: Proxy) -> bytes:
    """The body as it was before attachment links in it were made to lead here."""
    ours = f"http://{proxy.host}/1/cards/".encode()
    return heard.body.replace(ours, b"https://trello.com/1/cards/")


def tag(exchange: Exchange) -> str:
    return str(exchange["tag"])[:50]


@pytest.mark.parametrize("exchange", EXCHANGES, ids=tag)
async def test_a_recorded_response_comes_back_byte_for_byte(
    make_proxy: MakeProxy, raw_upstream: RawUpstream, exchange: Exchange
) -> None:
    raw_upstream.said = wire_response(exchange)
    proxy = await make_proxy(raw_upstream.url, EVERYTHING)
    heard = await replay(proxy, exchange)
    if exchange["method"] == "DELETE" and "/tokens/" in exchange["path_and_query"]:
        assert heard.status == 403
        assert raw_upstream.asked == []
        return
    assert heard.status == exchange["status"]
    assert with_trellos_links(heard, proxy) == exchange["body"].encode()
    _is_free_of_what_never_passes(heard)
    _keeps_the_rest(heard, exchange)
    _is_asked_without_the_clients_credential(raw_upstream.asked[0], exchange)

    stored = "; stored" in heard.fields["cache-status"]
    assert is_taken_to_be_stored(exchange) or not stored
    if exchange["status"] == 429:
        proxy.clock.advance(1000)  # nothing is asked before that limit's window is over
    again = await replay(proxy, exchange)
    if heard.status == 401 and heard.body in {b"invalid key", b"invalid token"}:
        assert (again.status, again.is_problem) == (502, True)  # and not asked a second time
        return
    assert (again.status, again.body) == (heard.status, heard.body)
    assert len(raw_upstream.asked) == (1 if stored else 2)
    _is_free_of_what_never_passes(again)


def _is_free_of_what_never_passes(heard: Heard) -> None:
    names = [name for name, _ in heard.field_list]
    assert not NEVER & set(names)
    assert not [name for name in names if name.startswith("access-control-")]
    assert len(names) == len(set(names))
    assert KEY.encode() not in heard.raw
    assert TOKEN.encode() not in heard.raw


def _keeps_the_rest(heard: Heard, exchange: Exchange) -> None:
    theirs = {name.lower(): value for name, value in exchange["response_headers"].items()}
    for name in ("content-type", "x-trello-version", "x-server-time"):
        assert heard.fields.get(name) == theirs.get(name)
    assert heard.fields["x-content-type-options"] == "nosniff"


def _is_asked_without_the_clients_credential(asked: bytes, exchange: Exchange) -> None:
    method, target, _ = asked.split(b"\r\n")[0].decode().split(" ")
    path, _, query = exchange["path_and_query"].partition("?")
    assert method == exchange["method"]
    if "/attachments/" in path:  # the metadata request decides whether the client may have the file
        path = path.partition("/download")[0]
    assert unquote(target.partition("?")[0]) == path.replace("SCRUBBED", TOKEN)
    names = {pair.partition("=")[0] for pair in target.partition("?")[2].split("&") if pair}
    sent = {pair.partition("=")[0] for pair in query.split("&") if pair}
    assert names == sent - {"key", "token"}
    assert b"SCRUBBED" not in asked
    assert b"\r\nauthorization: oauth oauth_consumer_key=" in asked.lower()


async def test_every_read_that_may_be_stored_survives_a_restart(
    make_proxy: MakeProxy, raw_upstream: RawUpstream, tmp_path: Path
) -> None:
    reads = [each for each in EXCHANGES if is_taken_to_be_stored(each) and each["status"] == 200]
    responses = {each["path_and_query"].partition("?")[0]: wire_response(each) for each in reads}

    async def say(_: asyncio.StreamReader, writer: asyncio.StreamWriter, header: bytes) -> None:
        path = unquote(header.split(b" ")[1].decode().partition("?")[0]).replace(TOKEN, "SCRUBBED")
        writer.write(responses[path])

    raw_upstream.said = say
    kept = tmp_path / "kept"
    first = await make_proxy(raw_upstream.url, EVERYTHING, directory=kept)
    stored = [
        each for each in reads if "; stored" in (await replay(first, each)).fields["cache-status"]
    ]
    assert len(stored) >= 20
    await first.stop()
    asked = len(raw_upstream.asked)
    second = await make_proxy(raw_upstream.url, EVERYTHING, directory=kept)
    for each in stored:
        heard = await replay(second, each)
        assert with_trellos_links(heard, first) == _latest(reads, each).encode()
        assert "hit" in heard.fields["cache-status"]
    assert len(raw_upstream.asked) == asked


def _latest(reads: list[Exchange], exchange: Exchange) -> str:
    path = exchange["path_and_query"].partition("?")[0]
    return [
        str(each["body"]) for each in reads if each["path_and_query"].partition("?")[0] == path
    ][-1]
