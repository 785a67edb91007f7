"""Event loop: nothing that a client sends blocks it for long."""

import asyncio
import re
import socket
from asyncio import StreamReader, StreamWriter

import pytest

from proxy.server import request_body
from tests.server.conftest import Start, says
from tests.server.heartbeat import beating
from tests.server.raw_upstream import READ, answer

CARD = "/1/cards/5e9310df53f23017628a8011"

FORM = {"Content-Type": "application/x-www-form-urlencoded"}
JSON = {"Content-Type": "application/json"}
MULTIPART = {"Content-Type": "multipart/form-data; boundary=b"}
LONGEST_S = 0.05
KIB = 1024
HELD = request_body.MAX_FORM_OR_JSON_BYTES
PART = b'--b\r\nContent-Disposition: form-data; name="key"\r\n\r\nx\r\n'

BODIES: dict[str, tuple[dict[str, str], bytes, int]] = {
    "4 MiB of keys in a form": (FORM, b"key&" * (1024 * KIB), 413),
    "256 KiB of keys in a form": (FORM, b"key&" * (HELD // 4), 413),
    "as many keys as a form may have": (FORM, b"key&" * 1999 + b"x" * (HELD - 8000), 200),
    "names that are encoded": (FORM, b"%41" * (HELD // 3), 200),
    "values that are encoded": (FORM, (b"a=" + b"%41" * 40 + b"&") * 1999, 200),
    "a million members": (JSON, b'{"key":1' + b',"a":1' * 1_000_000 + b"}", 413),
    "40,000 members": (JSON, b'{"key":1' + b',"a":1' * 40_000 + b"}", 413),
    "as many members as JSON may have": (JSON, b'{"key":"k"' + b',"key":1' * 1990 + b"}", 200),
    "a list of zeros": (JSON, b'{"key":[' + b"0," * (HELD // 2 - 20) + b"0]}", 413),
    "objects of nothing": (JSON, b'{"key":[' + b"{}," * (HELD // 3 - 20) + b"0]}", 413),
    "brackets that open": (JSON, b'{"key":' + b"[" * (HELD - 20), 413),
    "objects in objects": (JSON, b'{"key":' + b'{"a":' * (HELD // 5 - 20), 413),
    "quotes": (JSON, b'{"key":' + b'"' * (HELD - 20), 400),
    "JSON that may be a form": ({}, b'{"key":"' + b"&a=1" * 1990 + b'"}', 200),
    "an integer": (JSON, b'{"key":' + b"1" * (HELD - 20) + b"}", 200),
    "a name of blanks": (JSON, b'{"a' + b" " * (HELD - 20) + b'b":1}', 200),
    "escapes": (JSON, b'{"key":"' + b"\\n" * (HELD // 2 - 20) + b'"}', 200),
    "a name that is escaped": (JSON, b'{"key":1,"' + b"\\u0041" * (HELD // 6 - 9) + b'":1}', 200),
    "parts": (MULTIPART, PART * 20_000, 413),
    "parts of a header without an end": (
        MULTIPART,
        (b"--b\r\ncontent-disposition:" + b';a="' * 4000 + b"\r\n\r\n") * 20,
        200,
    ),
}


async def _takes_all(reader: StreamReader, writer: StreamWriter, header: bytes) -> None:
    length = re.search(rb"content-length: ([0-9]+)", header, re.I)
    await reader.readexactly(int(length[1]) if length else 0)
    writer.write(answer(b'{"id":"5e9310df53f23017628a8011"}'))


@pytest.mark.parametrize(("fields", "body", "status"), BODIES.values(), ids=BODIES.keys())
async def test_a_hostile_body_delays_no_other_client(
    before: Start, fields: dict[str, str], body: bytes, status: int
) -> None:
    proxy = await before(_takes_all)
    async with beating() as heart:
        posting = asyncio.gather(*(proxy.ask("PUT", CARD, fields, body) for _ in range(3)))
        healthy = [await proxy.get("/healthz") for _ in range(10)]
        heard = await posting
    assert {each.status for each in healthy} == {200}
    assert {each.status for each in heard} == {status}
    assert heart.longest_s < LONGEST_S


TARGETS = {
    "as many parameters as there may be": ("?" + "key&" * 1990 + "%41" * 7000, 200),
    "10,000 parameters": ("?" + "a&" * 10_000, 400),
    "commas": ("?fields=" + "," * 20_000, 400),
    "segments": ("/a" * 10_000, 400),
}
LISTED = {
    "a batch of commas": ("/1/batch?urls=" + "," * 20_000, 400),
    "a batch of encoded commas": ("/1/batch?urls=" + "%2c" * 8_000, 400),
    "a batch of questions": ("/1/batch?urls=" + "%3f" * 8_000, 400),
    "a batch of slashes": ("/1/batch?urls=" + ("%2Fa" * 16 + ",") * 480, 200),
    "a batch of slashes, twice": ("/1/batch?urls=" + ("%252Fa" * 15 + "%252C") * 300, 200),
    "a batch of names": ("/1/batch?urls=/a,,/b?" + "%61%26" * 1990, 200),
    "a search for what is encoded": ("/1/search?query=" + "%41" * 10_000, 200),
    "a link to nowhere": ("/?url=https://trello.com/" + "a" * 30_000, 400),
}


@pytest.mark.parametrize(
    ("target", "status"),
    [*((CARD + more, status) for more, status in TARGETS.values()), *LISTED.values()],
    ids=[*TARGETS, *LISTED],
)
async def test_a_hostile_target_delays_no_other_client(
    before: Start, target: str, status: int
) -> None:
    proxy = await before(answer())
    async with beating() as heart:
        heard = await proxy.get(target)
    assert heard.status == status
    assert heart.longest_s < LONGEST_S


HEADERS = {
    "an Authorization of many": ({"Authorization": "OAuth " + 'a="b",' * 5000}, 431),
    "an Authorization of escapes": ({"Authorization": 'OAuth a="' + "\\" * 15_000}, 200),
    "an If-None-Match of commas": ({"If-None-Match": "," * 30_000}, 431),
    "an If-None-Match of one": ({"If-None-Match": '"' + "a" * 30_000}, 200),
    "a Cache-Control of commas": ({"Cache-Control": "," * 30_000}, 431),
    "an Accept of semicolons": ({"Accept": ";" * 30_000}, 431),
    "an Accept-Encoding of blanks": ({"Accept-Encoding": "gzip;" + " " * 30_000 + "q=0"}, 200),
    "a Range of digits": ({"Range": "bytes=" + "1" * 30_000}, 200),
    "a Via of commas": ({"Via": "," * 30_000}, 431),
    "a User-Agent of digits": ({"User-Agent": ("a" * 31 + "g") * 900}, 200),
    "a Content-Type of parameters": ({"Content-Type": "multipart/x" + ';a="' * 7000}, 431),
    "an X-Request-Id without end": ({"X-Request-Id": "a" * 30_000}, 200),
    "three fields of 30 kB": ({f"X-{number}": "x" * 30_000 for number in range(3)}, 431),
}


@pytest.mark.parametrize(("fields", "status"), HEADERS.values(), ids=HEADERS.keys())
async def test_a_hostile_field_delays_no_other_client(
    before: Start, fields: dict[str, str], status: int
) -> None:
    proxy = await before(answer())
    async with beating() as heart:
        heard = await proxy.get(READ, fields)
    assert heard.status == status
    assert says(heard, 431, "header-fields-too-large") == (status == 431)
    assert heart.longest_s < LONGEST_S


async def test_what_is_denied_by_its_method_is_denied_unread(before: Start) -> None:
    proxy = await before(answer(), "clients: {writes: deny}")
    wire = await proxy.connect()
    fields = {"Expect": "100-continue", "Content-Length": "4000000", **FORM}
    wire.send(proxy.request("POST", "/1/cards", fields))
    assert says(await wire.hear("POST"), 403, "writes-denied")


async def test_many_connections_at_once_delay_no_other_client(before: Start) -> None:
    proxy = await before(answer())
    where = ("127.0.0.1", proxy.app.port)
    clients = [socket.create_connection(where) for _ in range(300)]  # none is accepted yet
    async with beating() as heart:
        assert (await proxy.get("/healthz")).status == 200
    for client in clients:
        client.close()
    assert heart.longest_s < LONGEST_S
