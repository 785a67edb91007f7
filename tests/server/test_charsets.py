"""A form or JSON is looked into as UTF-8; in another charset it goes nowhere."""

import pytest

from proxy.fake_trello.server import FakeTrello
from tests.server.conftest import (
    MakeProxy,
    Proxy,
    says,
)

CARD = "/1/cards/5e9310df53f23017628a8011"
JSON = '{"token":"ATTAsecret","name":"x"}'
FORM = "token=ATTAsecret&name=x"
WWW = "application/x-www-form-urlencoded"

OTHERS = {
    "UTF-16, declared": ("application/json; charset=utf-16", JSON.encode("utf-16")),
    "UTF-16 little-endian": ("application/json;charset=UTF-16LE", JSON.encode("utf-16-le")),
    "UTF-16 big-endian": ("application/json; charset=utf-16be", JSON.encode("utf-16-be")),
    "UTF-32": ('application/json; charset="utf-32"', JSON.encode("utf-32")),
    "UTF-7": ("application/json; charset=utf-7", JSON.encode("utf-7")),
    "Latin-1": ("application/json; charset=iso-8859-1", JSON.encode("latin-1")),
    "two charsets": ("application/json; charset=utf-8; charset=utf-16", JSON.encode("utf-16")),
    "UTF-16 by its mark": ("application/json", JSON.encode("utf-16")),
    "UTF-16 without a mark": ("application/json", JSON.encode("utf-16-le")),
    "UTF-16 big-endian without a mark": ("application/json", JSON.encode("utf-16-be")),
    "UTF-32 by its mark": ("application/json", JSON.encode("utf-32")),
    "UTF-32 big-endian without a mark": ("application/json", JSON.encode("utf-32-be")),
    "UTF-16 called a form": (WWW, JSON.encode("utf-16-le")),
    "UTF-16 without a type": ("", JSON.encode("utf-16-le")),
    "a form in UTF-16": (WWW, FORM.encode("utf-16-le")),
    "a form in UTF-16, declared": (f"{WWW}; charset=utf-16", FORM.encode("utf-16")),
    "a form in another": (f"{WWW}; charset=windows-1252", FORM.encode()),
}


@pytest.mark.parametrize(("content_type", "body"), OTHERS.values(), ids=OTHERS.keys())
@pytest.mark.parametrize("method", ["PUT", "GET"])
async def test_a_body_in_another_charset_goes_nowhere(
    proxy: Proxy, standin: FakeTrello, content_type: str, body: bytes, method: str
) -> None:
    fields = {"Content-Type": content_type} if content_type else {}
    heard = await proxy.ask(method, CARD, fields, body)
    assert says(heard, 415, "charset-not-utf8")
    assert "UTF-8" in heard.json["detail"]
    assert standin.request_log.total == 0


async def test_a_body_that_drips_is_looked_at_from_its_beginning(
    proxy: Proxy, standin: FakeTrello
) -> None:
    body = JSON.encode("utf-16-le")
    wire = await proxy.connect()
    fields = {"Content-Type": "application/json", "Content-Length": str(len(body))}
    wire.send(proxy.request("PUT", CARD, fields))
    for byte in body:
        wire.send(bytes([byte]))
    assert says(await wire.hear("PUT"), 415, "charset-not-utf8")
    assert standin.request_log.total == 0


GOOD = {
    "JSON": ("application/json", JSON),
    "JSON in UTF-8": ("application/json; charset=utf-8", JSON),
    "JSON in UTF-8, quoted": ('application/json; charset="UTF8"', JSON),
    "JSON in ASCII": ("application/json; charset=US-ASCII", JSON),
    "a form": (f"{WWW}; charset=UTF-8", FORM),
}


@pytest.mark.parametrize(("content_type", "text"), GOOD.values(), ids=GOOD.keys())
async def test_utf8_goes_on_without_its_credential(
    proxy: Proxy, standin: FakeTrello, content_type: str, text: str
) -> None:
    card = f"/1/cards/{standin.trello.example_card}"
    heard = await proxy.ask("PUT", card, {"Content-Type": content_type}, text.encode())
    assert (heard.status, heard.json["name"]) == (200, "x")
    assert standin.request_log.requests[-1].credential == "header"


@pytest.mark.parametrize("mode", ["reject", "forward"])
async def test_it_goes_nowhere_in_any_mode(
    make_proxy: MakeProxy, standin: FakeTrello, mode: str
) -> None:
    proxy = await make_proxy(standin.url, f"clients: {{credentials: {mode}}}")
    fields = {"Content-Type": "application/json; charset=utf-16"}
    heard = await proxy.ask("PUT", CARD, fields, JSON.encode("utf-16"))
    assert says(heard, 415, "charset-not-utf8")
