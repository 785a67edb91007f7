"""A canary key and token, searched for in everything the proxy says and keeps."""

import base64
import json
import re
import zlib
from collections.abc import Iterator
from pathlib import Path

import pytest

from proxy.fake_trello.faults import Fault, Kind
from proxy.fake_trello.request import File
from proxy.fake_trello.server import FakeTrello
from proxy.trello.read_operations import READS
from tests.server.canary import nothing_stays, shown_in
from tests.server.conftest import (
    KEY,
    TOKEN,
    Heard,
    MakeProxy,
    Proxy,
)

JUNK_KEY = "dead0beef0" + "0123456789abcdef" + "aa0bb0"
JUNK_TOKEN = "ATTAd15ea5ed" + "0cafe" * 12
EVERYTHING = "clients: {writes: all}"
_NAME = re.compile(r"\{(\w+)(?:=(\w+)[^}]*)?\}")


def test_the_search_finds_what_it_is_for() -> None:
    for secret in (KEY, TOKEN):
        plain = secret.encode()
        packed = zlib.compressobj(wbits=31)
        for data in (
            plain,
            b"..." + base64.b64encode(b"user:" + plain + b":x"),
            plain.hex().encode(),
            b"db" + packed.compress(b"{" + plain + b"}") + packed.flush() + b"tail",
        ):
            assert shown_in(data, secret)
    assert not shown_in(b"innocent", KEY, TOKEN)


@pytest.fixture
async def proxy(make_proxy: MakeProxy, standin: FakeTrello, tmp_path: Path) -> Proxy:
    """A proxy in front of the stand-in that keeps what it may on disk."""
    storage = (standin.storage_host,)
    return await make_proxy(standin.url, EVERYTHING, storage, directory=tmp_path / "kept")


class Listener:
    """Receives everything a proxy sends and logs, and searches it for secrets."""

    def __init__(self, proxy: Proxy, *secrets: str) -> None:
        self._proxy = proxy
        self._secrets = secrets
        self.statuses: list[int] = []

    async def ask(
        self, method: str, target: str, fields: dict[str, str] | None = None, body: bytes = b""
    ) -> Heard:
        heard = await self._proxy.ask(method, target, fields, body)
        self.statuses.append(heard.status)
        assert shown_in(heard.raw, *self._secrets) == []
        return heard


def reads(fake_trello: FakeTrello) -> Iterator[str]:
    """A target for every safe operation."""
    trello = fake_trello.trello
    card = trello.example_card
    board = trello.example_board
    ids = {
        "boards": board,
        "cards": card,
        "lists": trello.request(f"/1/boards/{board}/lists")[0]["id"],
        "members": "me",
        "organizations": trello.request(f"/1/boards/{board}")["idOrganization"],
        "actions": trello.request(f"/1/boards/{board}/actions")[0]["id"],
        "labels": trello.request(f"/1/boards/{board}/labels")[0]["id"],
        "tokens": JUNK_TOKEN,
        "applications": JUNK_KEY,
    }
    for _, _, templates in READS:
        for template in templates.split():
            own = ids.get(template.split("/")[1], card)
            first = _NAME.sub(own, template, count=1) if "{" in template else template
            yield "/1" + _NAME.sub(lambda name: name[2] or "name", first)


async def test_no_route_discloses_the_credential(
    proxy: Proxy, standin: FakeTrello, caplog: pytest.LogCaptureFixture
) -> None:
    listener = Listener(proxy, KEY, TOKEN)
    for target in reads(standin):
        await listener.ask("GET", target)
        await listener.ask("GET", f"{target}?webhooks=true&fields=all", {"Accept-Encoding": "gzip"})
    assert standin.request_log.total > 150
    assert listener.statuses.count(200) > 60
    card, token = f"/1/cards/{standin.trello.example_card}", f"/1/tokens/{JUNK_TOKEN}"
    for method, target, text in (
        ("PUT", card, b"name=x"),
        ("POST", f"{card}/actions/comments", b"text=x"),
        ("POST", "/1/webhooks", b"callbackURL=http://127.0.0.1:1/&idModel=x"),
        ("POST", f"{token}/webhooks", b"callbackURL=http://127.0.0.1:1/&idModel=x"),
        ("DELETE", token, b""),
        ("DELETE", f"{card}/idMembers/x", b""),
        ("POST", "/1/nowhere", b"x"),
        ("PATCH", card, b"x"),
        ("OPTIONS", card, b""),
        ("HEAD", card, b""),
        ("GET", standin.trello.example_attachment_path, b""),
        ("GET", "/1/authorize", b""),
        ("GET", "/1/OAuthGetRequestToken", b""),
        ("GET", f"/1/batch?urls={card[2:]},/tokens/{JUNK_TOKEN},/members/me", b""),
        ("GET", "//x", b""),
        ("GET", "/", b""),
        ("GET", "/readyz", b""),
        ("GET", "/metrics", b""),
        ("POST", "/-/purge", b""),
    ):
        await listener.ask(method, target, body=text)
    assert standin.trello.tokens[TOKEN]
    await nothing_stays(proxy, caplog, KEY, TOKEN)


KINDS: tuple[Kind, ...] = ("status", "html", "reset", "cut", "too_long", "too_short")


async def test_no_fault_discloses_the_credential(
    proxy: Proxy, standin: FakeTrello, caplog: pytest.LogCaptureFixture
) -> None:
    listener = Listener(proxy, KEY, TOKEN)
    body = json.dumps({"message": f"no: OAuth oauth_consumer_key={KEY}, oauth_token={TOKEN}"})
    for kind in KINDS:
        for status in (200, 401, 404, 429, 500):
            standin.faults.clear()
            fields = (("X-Echo", TOKEN), ("Location", f"https://trello.com/?token={TOKEN}"))
            fault = Fault(kind, times=None, status=status, body=body, fields=fields)
            standin.faults.add(fault)
            for method, target in (
                ("GET", "/1/members/me"),
                ("GET", f"/1/members/me?fields={kind}{status}"),
                ("GET", "/1/batch?urls=/members/me"),
                ("GET", "/1/client.js"),
                ("GET", standin.trello.example_attachment_path),
                ("PUT", f"/1/cards/{standin.trello.example_card}"),
            ):
                proxy.clock.advance(1000)  # a 429 has its limit rest
                try:
                    await listener.ask(method, target)
                except (EOFError, ConnectionError):
                    listener.statuses.append(0)
    for kind in KINDS:
        for path in ("*/download/*", "/files/*"):
            standin.faults.clear()
            standin.faults.direct_downloads = path != "/files/*"
            fault = Fault(
                kind, path, times=None, status=200, body=body, fields=(("X-Echo", TOKEN),)
            )
            standin.faults.add(fault)
            file = File("a.zip", "application/zip", body.encode() * 100)
            made = standin.trello.upload(standin.trello.example_card, file)
            try:
                await listener.ask("GET", str(made["url"]).removeprefix("https://trello.com"))
            except (EOFError, ConnectionError):
                listener.statuses.append(0)
    assert {0, 401, 404, 429, 500, 502} <= set(listener.statuses)
    await nothing_stays(proxy, caplog, KEY, TOKEN)


def test_the_objects_that_hold_it_cannot_be_printed(proxy: Proxy) -> None:
    app = proxy.app
    seen = [app, *vars(app).values()]
    assert shown_in(repr(seen).encode() + str(seen).encode(), KEY, TOKEN) == []
