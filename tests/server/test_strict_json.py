"""A JSON body is read strictly, by one reader, and what cannot be read goes nowhere."""

import pytest

from proxy.fake_trello.server import FakeTrello
from tests.server.conftest import (
    MakeProxy,
    Proxy,
    says,
)

JSON = "application/json"
WWW = "application/x-www-form-urlencoded"
OPEN = '{"prefs":{"permissionLevel":"public"}}'

LENIENT: dict[str, tuple[str, bytes]] = {
    "a comment before it": (JSON, b"//x\n" + OPEN.encode()),
    "a comment in it": (JSON, b'{/**/"name":"x"}'),
    "names without quotes": (JSON, b'{name:"x",prefs:{permissionLevel:"public"}}'),
    "single quotes": (JSON, OPEN.replace('"', "'").encode()),
    "something behind it": (JSON, OPEN.encode() + b"x"),
    "two documents": (JSON, b'{"name":"x"}' + OPEN.encode()),
    "a comma too many": (JSON, b'{"name":"x",}'),
    "two byte order marks": (JSON, f"\ufeff\ufeff{OPEN}".encode()),
    "a control character in a text": (JSON, b'{"name":"x\ny"}'),
    "NaN": (JSON, b'{"a":NaN}'),
    "infinity": (JSON, b'{"a":-Infinity}'),
    "a number that begins with 0": (JSON, b'{"a":01}'),
    "cut": (JSON, OPEN.encode()[:-1]),
    "without a type": ("", b"{name:1}"),
    "called a form": (WWW, b'{"a":1}&prefs/permissionLevel=public'),
    "UTF-7 that is not declared": (JSON, OPEN.replace("{", "+AHs-").encode()),
    "prose": (JSON, b"hello"),
}


@pytest.mark.parametrize(("content_type", "body"), LENIENT.values(), ids=LENIENT)
@pytest.mark.parametrize("writes", ["allow", "all"])
async def test_what_only_a_lenient_reader_takes_for_json_goes_nowhere(
    make_proxy: MakeProxy, standin: FakeTrello, content_type: str, body: bytes, writes: str
) -> None:
    proxy = await make_proxy(standin.url, f"clients: {{writes: {writes}}}")
    fields = {"Content-Type": content_type} if content_type else {}
    heard = await proxy.ask("PUT", f"/1/cards/{standin.trello.example_card}", fields, body)
    assert says(heard, 400, "malformed-json")
    assert standin.request_log.total == 0


async def test_bytes_that_are_no_utf8_go_nowhere(proxy: Proxy, standin: FakeTrello) -> None:
    fields = {"Content-Type": JSON}
    card = f"/1/cards/{standin.trello.example_card}"
    assert says(await proxy.ask("PUT", card, fields, b'{"name":"\xff"}'), 415, "charset-not-utf8")
    assert standin.request_log.total == 0


SENT_BY_CLIENTS: dict[str, tuple[str, bytes]] = {
    "an object": (JSON, b'{"name":"x"}'),
    "an object behind a byte order mark": (JSON, b'\xef\xbb\xbf{"name":"x"}'),
    "an empty object": (JSON, b"{}"),
    "null": (JSON, b"null"),
    "a long number": (JSON, b'{"a":%b}' % (b"1" * 4000)),
    "nothing": (JSON, b""),
    "blanks": (JSON, b" \r\n"),
    "a form": (WWW, b"name=x"),
    "a form called JSON": (JSON, b"name=x"),
    "JSON called a form": (WWW, b'{"name":"x"}'),
    "prose that is called prose": ("text/plain", b"hello & welcome"),
}


@pytest.mark.parametrize(("content_type", "body"), SENT_BY_CLIENTS.values(), ids=SENT_BY_CLIENTS)
async def test_what_clients_send_goes_on(
    proxy: Proxy, standin: FakeTrello, content_type: str, body: bytes
) -> None:
    card = f"/1/cards/{standin.trello.example_card}"
    fields = {"Content-Type": content_type, "Content-Length": str(len(body))}
    assert (await proxy.ask("PUT", card, fields, body)).status == 200
    assert standin.request_log.total == 1


NUMBER = b"1" * 4301


@pytest.mark.parametrize("number", [b"1" * 4300, NUMBER, NUMBER + b".5", NUMBER + b"e9"])
async def test_no_number_hides_what_stands_beside_it(
    proxy: Proxy, standin: FakeTrello, number: bytes
) -> None:
    fields = {"Content-Type": JSON}
    for name in (b"prefs/permissionLevel", b"idOrganization", b"_method"):
        body = b'{"%b":"public","a":%b}' % (name, number)
        heard = await proxy.ask("PUT", "/1/boards/5e9310df53f23017628a8011", fields, body)
        assert says(heard, 403, "administrative")
    assert standin.request_log.total == 0


@pytest.mark.parametrize("length", ["Content-Length", "Transfer-Encoding"])
async def test_a_multipart_body_names_no_method(
    proxy: Proxy, standin: FakeTrello, length: str
) -> None:
    part = b'--x\r\nContent-Disposition: form-data; name="%b"\r\n\r\n%b\r\n'
    body = part % (b"name", b"a" * 70_000) + part % (b"[_Method]", b"DELETE") + b"--x--\r\n"
    fields = {"Content-Type": "multipart/form-data; boundary=x", length: str(len(body))}
    if length == "Transfer-Encoding":
        fields[length] = "chunked"
        body = b"%x\r\n%b\r\n0\r\n\r\n" % (len(body), body)
    wire = await proxy.connect()
    wire.send(proxy.request("POST", "/1/cards", fields) + body)
    assert says(await wire.hear("POST"), 403, "tunnel-denied")
    assert [each.status for each in standin.request_log.requests] in ([], [400])


async def test_a_head_writes_nothing(proxy: Proxy, standin: FakeTrello) -> None:
    fields = {"X-Requested-With": "XMLHttpRequest"}
    card = f"/1/cards/{standin.trello.example_card}?_method=DELETE"
    assert (await proxy.ask("HEAD", card, fields)).status == 403
    assert standin.request_log.total == 0
