"""A client key that stands where none belongs goes nowhere; several name one client or none."""

from pathlib import Path

import pytest

from proxy.fake_trello.server import FakeTrello
from tests.server.canary import nothing_stays
from tests.server.conftest import MakeProxy, Proxy, says
from tests.server.test_client_keys import FORM, JSON, ME, NEW, OLD, READER, REVOKED, YAML

AS_CI = {"Authorization": f"Bearer {OLD}"}
AS_USER = "X-Forwarded-User"


@pytest.fixture
async def closed(make_proxy: MakeProxy, standin: FakeTrello, tmp_path: Path) -> Proxy:
    """A proxy that wants client keys, or a user that a reverse proxy names."""
    yaml = f"{YAML}  trusted_proxies: [127.0.0.1]\n  user_header: {AS_USER}\n"
    return await make_proxy(standin.url, yaml, directory=tmp_path / "kept")


@pytest.mark.parametrize(
    "target",
    [
        "/1/boards/{}",
        "/1/members/{}",
        "/1/members/me?apiKey={}",
        "/1/members/me?x=%74pk%5f{}",
        "/1/search?query={}",
        "/1/batch?urls=/members/me%3Fx%3D{}",
        "/1/{}",
    ],
)
async def test_a_key_in_a_target_is_sent_nowhere(
    closed: Proxy,
    standin: FakeTrello,
    caplog: pytest.LogCaptureFixture,
    target: str,
) -> None:
    key = NEW.removeprefix("tpk_") if "%5f" in target else NEW
    assert says(await closed.get(target.format(key), AS_CI), 401, "client-key-required")
    assert list(standin.request_log.requests) == []
    await nothing_stays(closed, caplog, NEW)


async def test_a_key_in_a_body_or_a_forwarded_field_is_sent_nowhere(
    closed: Proxy, standin: FakeTrello, caplog: pytest.LogCaptureFixture
) -> None:
    card = f"/1/cards/{standin.trello.example_card}"
    json_body, form = f'{{"name":"{NEW}"}}'.encode(), f"desc={NEW}".encode()
    for heard in (
        await closed.ask("PUT", card, AS_CI | JSON, json_body),
        await closed.ask("PUT", card, AS_CI | FORM, form),
        await closed.get(ME, AS_CI | {"X-Trello-User-Agent-Extension": NEW}),
    ):
        assert says(heard, 401, "client-key-required")
    assert list(standin.request_log.requests) == []
    await nothing_stays(closed, caplog, NEW)


async def test_a_key_is_nobodys_name(closed: Proxy, caplog: pytest.LogCaptureFixture) -> None:
    assert (await closed.get(ME, {AS_USER: "alice"})).status == 200
    assert says(await closed.get(ME, {AS_USER: NEW}), 401, "client-key-required")
    assert (await closed.get(ME, {AS_USER: NEW, **AS_CI})).status == 200
    await nothing_stays(closed, caplog, NEW)


async def test_the_keys_of_a_request_name_one_client(closed: Proxy) -> None:
    for target, fields, status in (
        (f"{ME}&token={NEW}", AS_CI, 200),
        (f"{ME}&token={READER}", AS_CI, 401),
        (f"{ME}&token={REVOKED}", AS_CI, 401),
        (f"{ME}&token={OLD}", {"Authorization": f"Bearer {REVOKED}"}, 401),
        (f"/1/tokens/{READER}/member", AS_CI, 401),
        (f"/?token={READER}", AS_CI, 401),
    ):
        for _ in range(2):
            assert (await closed.get(target, fields)).status == status, target


@pytest.mark.parametrize("second", ["", f"Bearer {READER}", f"Bearer {OLD}", "Basic Og=="])
async def test_two_authorization_fields_are_not_read(closed: Proxy, second: str) -> None:
    """A reverse proxy may have checked the other one."""
    head = f"Host: {closed.host}\r\nAuthorization: Bearer {OLD}\r\nauthorization: {second}\r\n"
    for target in (ME, "/", "/metrics"):
        heard = await closed.say(f"GET {target} HTTP/1.1\r\n{head}\r\n".encode())
        assert says(heard, 400, "malformed-request"), target
