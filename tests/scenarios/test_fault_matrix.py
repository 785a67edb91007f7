"""Every way in which Trello can fail, against every state of what is stored.

Fresh: nobody notices. Stale: the old answer, marked. Absent: an error that says whose fault it is.
"""

import asyncio
import socket
from collections.abc import AsyncIterator
from dataclasses import dataclass

import pytest

from proxy.runtime.clock import FakeClock
from tests.scenarios.conftest import (
    Heard,
    Proxy,
    StartProxy,
)
from tests.server.raw_upstream import (
    BODY,
    JSON,
    OK,
    RawUpstream,
    Speak,
    answer,
    hang,
)

READ = "/1/boards/5e93ba403f1ab3603ba81a09?fields=name"
STALE_S = 100
CONNECT_TIMEOUT_S = 0.1
READ_TIMEOUT_S = 0.5
HALF = BODY[: len(BODY) // 2]
HEAD = OK + JSON + b"Content-Length: %d\r\n\r\n" % len(BODY)


async def reset(_: asyncio.StreamReader, writer: asyncio.StreamWriter, __: bytes) -> None:
    writer.transport.abort()


async def reset_in_the_body(
    _: asyncio.StreamReader, writer: asyncio.StreamWriter, __: bytes
) -> None:
    writer.write(HEAD + HALF)
    await writer.drain()
    writer.transport.abort()


async def drip(_: asyncio.StreamReader, writer: asyncio.StreamWriter, __: bytes) -> None:
    writer.write(OK)
    for _line in range(200):
        writer.write(b"X-A: a\r\n")
        await asyncio.sleep(0.1)


async def stall_in_the_body(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, header: bytes
) -> None:
    writer.write(HEAD + HALF)
    await hang(reader, writer, header)


def refusal(status: bytes, sentence: bytes) -> bytes:
    return answer(sentence, b"Content-Type: text/plain\r\n", b"HTTP/1.1 " + status + b"\r\n")


@dataclass(frozen=True)
class Trouble:
    """What is said in Trello's place, and what a client hears who has nothing stored."""

    said: bytes | Speak | None
    status: int
    problem: str = ""
    again: tuple[int, str] | None = None
    """Of the second question, where that is another answer."""
    proxy_error: str = ""


TROUBLE = {
    "refused": Trouble(None, 502, "upstream-refused", None, "connection_refused"),
    "no such name": Trouble(None, 502, "upstream-dns", None, "dns_error"),
    "reset before the header": Trouble(
        reset, 502, "connection-terminated", None, "connection_terminated"
    ),
    "reset in the body": Trouble(
        reset_in_the_body, 502, "incomplete-response", None, "http_response_incomplete"
    ),
    "cut": Trouble(HEAD + HALF, 502, "incomplete-response", None, "http_response_incomplete"),
    "a length too long": Trouble(
        OK + JSON + b"Content-Length: 999\r\n\r\n" + BODY, 502, "incomplete-response"
    ),
    "a length too short": Trouble(
        OK + JSON + b"Content-Length: 9\r\n\r\n" + BODY, 502, "invalid-response"
    ),
    "silence": Trouble(hang, 504, "upstream-timeout", None, "http_response_timeout"),
    "silence in the body": Trouble(stall_in_the_body, 504, "upstream-timeout"),
    "a header that drips": Trouble(drip, 504, "upstream-timeout", None, "http_response_timeout"),
    "garbage": Trouble(b"\x00\xff\x00garbage\r\n\r\n", 502, "invalid-response"),
    "a gateway's page": Trouble(
        answer(b"<html>", b"Content-Type: text/html\r\n"), 502, "invalid-response"
    ),
    "500": Trouble(refusal(b"500 Internal Server Error", b"oops"), 500),
    "503": Trouble(refusal(b"503 Service Unavailable", b"later"), 503),
    "429": Trouble(refusal(b"429 Too Many Requests", b"Rate limit exceeded"), 429),
    "401 to the token": Trouble(
        refusal(b"401 Unauthorized", b"invalid token"), 401, "", (502, "token-refused")
    ),
}


@pytest.fixture
async def trello() -> AsyncIterator[RawUpstream]:
    raw = RawUpstream()
    await raw.start()
    yield raw
    await raw.stop()


class Names:
    """What a name leads to, while there is one."""

    def __init__(self) -> None:
        self.is_gone = False

    async def look_up(self, _host: str, port: int, **_: object) -> list[tuple[object, ...]]:
        if self.is_gone:
            raise socket.gaierror(socket.EAI_NONAME, "no such name")
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", port))]


@dataclass
class Cell:
    """A proxy that may have the answer, in front of a Trello that fails from now on."""

    proxy: Proxy
    trello: RawUpstream
    asked: int

    async def read(self) -> Heard:
        return await self.proxy.get(READ)

    @property
    def questions(self) -> int:
        return len(self.trello.asked) - self.asked


class Begin:
    """Makes a cell: what is stored was asked for by a proxy before this one."""

    def __init__(self, start: StartProxy, trello: RawUpstream, names: Names) -> None:
        self._start = start
        self._trello = trello
        self._names = names

    async def __call__(self, trouble: str, *, is_stored: bool) -> Cell:
        trello, upstream = self._trello, {"url": self._trello.url}
        upstream["connect_timeout_s"] = CONNECT_TIMEOUT_S  # type: ignore[assignment]
        upstream["read_timeout_s"] = READ_TIMEOUT_S  # type: ignore[assignment]
        if trouble == "no such name":
            upstream["url"] = f"http://trello.example:{trello.port}"
        if is_stored:
            trello.said = answer()
            before = await self._start(upstream=upstream)
            assert (await before.get(READ)).body == BODY
            await before.app.stop()
        proxy, said = await self._start(upstream=upstream), TROUBLE[trouble].said
        self._names.is_gone = True
        if said is not None:
            trello.said = said
        elif trouble == "refused":
            await trello.stop()
        return Cell(proxy, trello, len(trello.asked))


@pytest.fixture
def begin(start_proxy: StartProxy, trello: RawUpstream, monkeypatch: pytest.MonkeyPatch) -> Begin:
    names, loop = Names(), asyncio.get_event_loop()
    known = loop.getaddrinfo

    async def look_up(host: str, port: int, **options: object) -> object:
        if host == "trello.example":
            return await names.look_up(host, port)
        return await known(host, port, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(loop, "getaddrinfo", look_up)
    return Begin(start_proxy, trello, names)


@pytest.mark.parametrize("name", TROUBLE)
async def test_what_is_fresh_is_answered_and_nobody_asked(begin: Begin, name: str) -> None:
    cell = await begin(name, is_stored=True)
    for _ in range(2):
        heard = await cell.read()
        assert (heard.status, heard.body, heard.cache) == (200, BODY, "hit; ttl=30")
    assert cell.questions == 0


@pytest.mark.parametrize("name", TROUBLE)
async def test_what_is_stale_is_answered_and_says_so(
    begin: Begin, clock: FakeClock, name: str
) -> None:
    cell, trouble = await begin(name, is_stored=True), TROUBLE[name]
    clock.advance(STALE_S)
    heard = await cell.read()
    assert (heard.status, heard.body, heard.fields["Age"]) == (200, BODY, str(STALE_S))
    assert heard.cache == f"fwd=stale; fwd-status={trouble.status}; detail=stale-if-error"


@pytest.mark.parametrize("name", TROUBLE)
async def test_what_is_absent_is_an_error_that_says_whose_and_nothing_of_it_is_kept(
    begin: Begin, name: str
) -> None:
    cell, trouble = await begin(name, is_stored=False), TROUBLE[name]
    heard = await cell.read()
    assert (heard.status, heard.problem) == (trouble.status, trouble.problem)
    if trouble.problem:
        assert heard.fields["Proxy-Status"].startswith("trello-proxy; error=")
        assert int(heard.fields["Retry-After"]) > 0
        assert heard.json["detail"]
    if trouble.proxy_error:
        assert heard.fields["Proxy-Status"] == f"trello-proxy; error={trouble.proxy_error}"
    if name == "429":
        return  # the limit has to rest first, and the clock stands still
    again = await cell.read()
    assert (again.status, again.problem) == (trouble.again or (trouble.status, trouble.problem))


async def test_what_is_slow_and_whole_is_an_answer(begin: Begin, clock: FakeClock) -> None:
    async def slow(_: asyncio.StreamReader, writer: asyncio.StreamWriter, __: bytes) -> None:
        writer.write(HEAD)
        for byte in BODY:
            writer.write(bytes([byte]))
            await asyncio.sleep(0.001)

    cell = await begin("503", is_stored=True)
    cell.trello.said = slow
    clock.advance(STALE_S)
    heard = await cell.read()
    assert (heard.body, heard.cache) == (BODY, "fwd=stale; fwd-status=200; stored")


WRITES = [name for name in TROUBLE if name not in {"429", "401 to the token"}]
NOT_SENT = {"refused", "no such name"}


@pytest.mark.parametrize("name", WRITES)
async def test_a_write_is_sent_once_at_most_and_what_may_have_changed_is_forgotten(
    begin: Begin, name: str
) -> None:
    cell, trouble = await begin(name, is_stored=True), TROUBLE[name]
    heard = await cell.proxy("PUT", READ.partition("?")[0] + "?name=Other")
    assert (heard.status, heard.problem) == (trouble.status, trouble.problem)
    assert cell.questions == (0 if name in NOT_SENT else 1)
    read = await cell.read()
    assert (read.status == 200, read.cache == "hit; ttl=30") == (name in NOT_SENT,) * 2
