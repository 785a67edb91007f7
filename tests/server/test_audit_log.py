"""The audit log has one line for each write, refused request and administrative action."""

import json
from pathlib import Path
from typing import Any

import pytest

from proxy.access.client_keys import digest_of
from proxy.fake_trello.server import FakeTrello
from tests.server.conftest import MakeProxy, Proxy, says

KEY = "tpk_" + "01d" * 21 + "0"
SENT = {"Authorization": f"Bearer {KEY}"}
YAML = f"""\
clients:
  access: keys
  keys: [{{name: ci, digest: '{digest_of(KEY)}'}}]
  trusted_proxies: [127.0.0.1]
  user_header: X-Forwarded-User
audit: {{file: '%s', required: %s}}
"""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "audit.log"


@pytest.fixture
async def audited(make_proxy: MakeProxy, standin: FakeTrello, file: Path) -> Proxy:
    return await make_proxy(standin.url, YAML % (file, "false"))


def entries(file: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in file.read_text().splitlines()]


def mode_of(file: Path) -> int:
    return file.stat().st_mode & 0o777


def rotated(file: Path) -> Path:
    return file.rename(file.with_suffix(".1"))


async def test_a_write_has_one_line(audited: Proxy, standin: FakeTrello, file: Path) -> None:
    card, other = standin.trello.example_card, "5e93ba403f1ab3603ba81a09"
    body = json.dumps({"name": "secret plans", "idThings": f"{other},{card}"}).encode()
    fields = {**SENT, "Content-Type": "application/json", "X-Request-Id": "r-1"}
    await audited.ask("PUT", f"/1/cards/{card}", fields, body)
    await audited.get(f"/1/cards/{card}", SENT)
    (entry,) = entries(file)
    assert entry.pop("time").endswith("Z")
    assert entry == {
        "id": "r-1",
        "client": "ci",
        "user": "",
        "address": "127.0.0.1",
        "method": "PUT",
        "route": "/cards/{id}",
        "objects": [card, other],
        "status": 200,
    }
    assert mode_of(file) == 0o600


async def test_a_refused_request_and_an_administrative_action_have_one_too(
    audited: Proxy, standin: FakeTrello, file: Path
) -> None:
    await audited.get("/1/members/me")
    await audited.get("/1/tokens/-/webhooks", SENT)
    await audited.ask("DELETE", f"/1/tokens/{KEY}")
    await audited.ask("POST", "/-/purge")
    user = {"X-Forwarded-User": "anna@home", "X-Forwarded-For": "192.0.2.7"}
    await audited.ask("PUT", f"/1/cards/{standin.trello.example_card}?name=x", user)
    seen = [(each["client"], each["user"], each["route"], each["status"]) for each in entries(file)]
    assert seen == [
        ("", "", "/members/{id}", 401),
        ("ci", "", "/tokens/{token}/webhooks", 403),
        ("ci", "", "/tokens/{token}", 403),
        ("", "", "/-/purge", 200),
        ("", "anna@home", "/cards/{id}", 200),
    ]
    assert entries(file)[0]["problem"] == "client-key-required"
    assert entries(file)[4]["address"] == "192.0.2.7"
    assert KEY[4:] not in json.dumps(entries(file))


async def test_the_operator_sees_the_last_hundred(audited: Proxy) -> None:
    for _ in range(105):
        await audited.get("/1/members/me")
    await audited.ask("POST", "/-/purge")
    shown = (await audited.get("/-/audit", {"Accept": "application/json"})).json["entries"]
    assert len(shown) == 100
    assert shown[0]["route"] == "/-/purge"
    page = await audited.get("/-/audit", {"Accept": "text/html", "Sec-Fetch-Mode": "navigate"})
    assert ">POST /-/purge</td>" in page.body.decode()
    assert b"401 client-key-required" in (await audited.get("/-/audit")).body
    assert says(await audited.get("/-/audit", {"X-Forwarded-For": "::1"}), 403, "admin-only")


async def test_a_write_that_must_be_logged_and_cannot_is_not_sent(
    make_proxy: MakeProxy, standin: FakeTrello
) -> None:
    proxy = await make_proxy(standin.url, YAML % ("/dev/full", "true"))
    card = f"/1/cards/{standin.trello.example_card}"
    assert says(await proxy.ask("PUT", f"{card}?name=x", SENT), 503, "audit-failed")
    assert [seen.method for seen in standin.request_log.requests] == []
    assert (await proxy.get(card, SENT)).status == 200
    events = [line for line in proxy.log.splitlines() if b'"audit failed"' in line]
    assert len(events) == 1
    assert b"No space left" in events[0]


async def test_a_write_that_must_be_logged_is_in_the_file_before_it_is_sent(
    make_proxy: MakeProxy, standin: FakeTrello, file: Path
) -> None:
    proxy = await make_proxy(standin.url, YAML % (file, "true"))
    await proxy.ask("PUT", f"/1/cards/{standin.trello.example_card}?name=x", SENT)
    before, after = entries(file)
    assert (before["status"], after["status"]) == (None, 200)
    assert before["id"] == after["id"]


async def test_a_failing_file_costs_nothing_else(
    make_proxy: MakeProxy, standin: FakeTrello, tmp_path: Path
) -> None:
    proxy = await make_proxy(standin.url, YAML % (tmp_path / "none" / "audit.log", "false"))
    card = f"/1/cards/{standin.trello.example_card}"
    assert (await proxy.ask("PUT", f"{card}?name=x", SENT)).status == 200
    assert b'"audit failed"' in proxy.log


async def test_a_rotated_file_is_followed_on_sighup(
    make_proxy: MakeProxy, standin: FakeTrello, file: Path
) -> None:
    yaml = YAML % (file, "false")
    proxy = await make_proxy(standin.url, yaml, reloads=True)
    await proxy.get("/1/members/me")
    old = rotated(file)
    await proxy.get("/1/members/me")
    await proxy.reload(yaml)
    await proxy.get("/1/members/me")
    assert len(entries(old)) == 2
    assert [entry["method"] for entry in entries(file)] == ["SIGHUP", "GET"]


async def test_a_refused_page_is_named_by_its_route(audited: Proxy, file: Path) -> None:
    for path, fields in (("/b/kpPww9qv", {}), ("/", {"Authorization": "Bearer tpk_no"})):
        assert (await audited.get(path, fields)).status == 401
    assert [entry["route"] for entry in entries(file)] == ["/b/{board}", "/"]
