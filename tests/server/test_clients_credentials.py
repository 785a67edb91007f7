"""What clients bring along is neither kept, nor logged, nor sent upstream."""

import base64
import gzip
import json
from pathlib import Path

import pytest

from proxy.fake_trello.server import FakeTrello
from tests.server.canary import nothing_stays, shown_in
from tests.server.conftest import (
    KEY,
    TOKEN,
    MakeProxy,
)
from tests.server.raw_upstream import RawUpstream

JUNK_KEY = "dead0beef0" + "0123456789abcdef" + "aa0bb0"
JUNK_TOKEN = "ATTAd15ea5ed" + "0cafe" * 12
OTHER_TOKEN = "ATTA0ddba11d" + "f00d5" * 12
FORM = f"key={JUNK_KEY}&name=x&token={JUNK_TOKEN}"


MULTIPART = (
    f'--b\r\nContent-Disposition: form-data; name="key"\r\n\r\n{JUNK_KEY}\r\n'
    f'--b\r\nContent-Disposition: form-data; name="token"\r\n\r\n{JUNK_TOKEN}\r\n'
    '--b\r\nContent-Disposition: form-data; name="name"\r\n\r\nx\r\n--b--\r\n'
)


JSON = json.dumps({"key": JUNK_KEY, "token": JUNK_TOKEN, "name": "x"})
OAUTH = f'OAuth oauth_consumer_key="{JUNK_KEY}", oauth_token="{JUNK_TOKEN}", oauth_nonce="1"'
ENCODED = f"%6bey={JUNK_KEY}&%74oken={JUNK_TOKEN}"
Said = tuple[str, dict[str, str], str]


PLACES: dict[str, Said] = {
    "query": (f"?fields=id&key={JUNK_KEY}&token={JUNK_TOKEN}", {}, ""),
    "query, encoded": (f"?{ENCODED}", {}, ""),
    "query, behind semicolons": (f"?key={JUNK_KEY};token={JUNK_TOKEN}", {}, ""),
    "form": ("", {"Content-Type": "application/x-www-form-urlencoded"}, FORM),
    "form without its type": ("", {}, FORM),
    "JSON": ("", {"Content-Type": "application/json"}, JSON),
    "JSON without its type": ("", {}, JSON),
    "multipart": ("", {"Content-Type": "multipart/form-data; boundary=b"}, MULTIPART),
    "header": ("", {"Authorization": OAUTH}, ""),
    "bearer": ("", {"Authorization": f"Bearer {JUNK_TOKEN}"}, ""),
    "basic": (
        "",
        {"Authorization": f"Basic {base64.b64encode(JUNK_TOKEN.encode()).decode()}"},
        "",
    ),
    "cookie": ("", {"Cookie": f"token={JUNK_TOKEN}"}, ""),
    "user agent": ("", {"User-Agent": f"tool token={JUNK_TOKEN} key={JUNK_KEY}"}, ""),
    "referrer": ("", {"Referer": f"http://127.0.0.1/?key={JUNK_KEY}&token={JUNK_TOKEN}"}, ""),
}


@pytest.mark.parametrize("mode", ["replace", "forward", "reject"])
async def test_a_clients_own_credential_is_neither_kept_nor_logged(
    make_proxy: MakeProxy,
    standin: FakeTrello,
    caplog: pytest.LogCaptureFixture,
    tmp_path: Path,
    mode: str,
) -> None:
    yaml = f"clients: {{credentials: {mode}, origins: ['http://127.0.0.1']}}\nlog: {{level: debug}}"
    storage = (standin.storage_host,)
    proxy = await make_proxy(standin.url, yaml, storage, directory=tmp_path / "kept")
    card = f"/1/cards/{standin.trello.example_card}"
    await proxy.get("/1/members/me")
    for path in (card, "/1/members/me", standin.trello.example_attachment_path):
        for query, fields, body in PLACES.values():
            for method in ("GET", "PUT"):
                await proxy.ask(method, path + query, fields, body.encode())
    for target in (
        f"/1/tokens/{JUNK_TOKEN}",
        f"/1/tokens/{JUNK_TOKEN}/webhooks",
        f"/1/Token/{JUNK_TOKEN}/member",
        f"/1/applications/{JUNK_KEY}/compliance",
        f"/1/batch?urls=/members/me?key={JUNK_KEY}%26token={JUNK_TOKEN},/tokens/{JUNK_TOKEN}",
        f"/1/nowhere/{JUNK_TOKEN}?token={JUNK_TOKEN}",
        f"/nowhere/{JUNK_TOKEN}?token={JUNK_TOKEN}",
        f"//{JUNK_TOKEN}",
    ):
        await proxy.get(target)
        await proxy.ask("DELETE", target)
    await nothing_stays(proxy, caplog, JUNK_KEY, JUNK_TOKEN, KEY, TOKEN)


async def test_a_forwarded_credential_goes_in_the_header_and_is_not_kept(
    make_proxy: MakeProxy, standin: FakeTrello, caplog: pytest.LogCaptureFixture, tmp_path: Path
) -> None:
    trello = standin.trello
    trello.add_token(OTHER_TOKEN, trello.add_member("other", "Other"), key=JUNK_KEY)
    yaml = "clients: {credentials: forward}"
    proxy = await make_proxy(standin.url, yaml, directory=tmp_path / "kept")
    target = f"/1/members/me?fields=username&key={JUNK_KEY}&token={OTHER_TOKEN}"
    for expected in ("fwd=uri-miss", "hit"):
        heard = await proxy.get(target)
        assert heard.json["username"] == "other"
        assert expected in heard.fields["cache-status"]
    assert (await proxy.get("/1/members/me?fields=username")).json["username"] == "demo"
    assert {seen.credential for seen in standin.request_log.requests} == {"header"}
    await nothing_stays(proxy, caplog, JUNK_KEY, OTHER_TOKEN, KEY, TOKEN)


@pytest.mark.parametrize("place", ["body", "field", "gzip", "mixed"])
async def test_a_forwarded_credential_that_is_echoed_is_not_kept(
    make_proxy: MakeProxy,
    raw_upstream: RawUpstream,
    caplog: pytest.LogCaptureFixture,
    tmp_path: Path,
    place: str,
) -> None:
    body = json.dumps({"asked": f"?key={JUNK_KEY}&token={OTHER_TOKEN}"}).encode()
    head = "Content-Type: application/json\r\n"
    if place == "field":
        body, head = b"{}", f"{head}X-Asked: {OTHER_TOKEN}\r\n"
    if place == "mixed":
        body = json.dumps({"asked": f"{OTHER_TOKEN[:-1]}%{ord(OTHER_TOKEN[-1]):02x}"}).encode()
    if place == "gzip":
        body, head = gzip.compress(body), f"{head}Content-Encoding: gzip\r\n"
    said = f"HTTP/1.1 200 OK\r\n{head}Content-Length: {len(body)}\r\n\r\n"
    raw_upstream.said = said.encode() + body
    yaml = "clients: {credentials: forward}"
    proxy = await make_proxy(raw_upstream.url, yaml, directory=tmp_path / "kept")
    for _ in range(2):
        heard = await proxy.get(f"/1/members/me?key={JUNK_KEY}&token={OTHER_TOKEN}")
        assert heard.fields["cache-status"].endswith("; detail=credential-in-response")
    await nothing_stays(proxy, caplog, JUNK_KEY, OTHER_TOKEN, KEY, TOKEN)


async def test_junk_never_goes_upstream(make_proxy: MakeProxy, raw_upstream: RawUpstream) -> None:
    raw_upstream.said = b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n"
    proxy = await make_proxy(raw_upstream.url)
    for name, (query, fields, body) in PLACES.items():
        if name == "user agent":
            continue
        for method in ("GET", "PUT"):
            await proxy.ask(
                method, f"/1/cards/5e9310df53f23017628a8011{query}", fields, body.encode()
            )
    await proxy.get(f"/1/tokens/{JUNK_TOKEN}")
    await proxy.get(f"/1/batch?urls=/members/me?token={JUNK_TOKEN},/x%3fkey%3d{JUNK_KEY}")
    assert shown_in(b"".join(raw_upstream.asked), JUNK_KEY, JUNK_TOKEN) == []
