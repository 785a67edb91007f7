"""nginx with logins: people by auth_request and oauth2-proxy's field, programs by client keys."""

from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest
from aiohttp import web

from proxy.access.client_keys import digest_of
from proxy.app.app import App, SystemPorts
from proxy.config.schema import load
from proxy.fake_trello.samples import fill
from proxy.fake_trello.server import FakeTrello
from proxy.model import Credential, Listen
from proxy.runtime.clock import FakeClock
from tests.deploy.front import LOGINS, Front, front, judged

KEY, TOKEN = "c0ffee" + "0" * 26, "ATTA" + "5ec2e7" * 12
CLIENT_KEY = "tpk_" + "01d" * 21 + "0"
ME = "/1/members/me?fields=id"
SESSION = {"Cookie": "_oauth2_proxy=anna"}
YAML = f"""\
public_url: https://trello.internal
clients:
  access: keys
  trusted_proxies: [127.0.0.1]
  user_header: X-Forwarded-User
  keys: [{{name: ci, digest: '{digest_of(CLIENT_KEY)}'}}]
cache: {{backend: memory}}
freshness: {{watch: off}}
admin: {{listen: '127.0.0.1:9'}}
"""


@pytest.fixture
async def logins() -> AsyncIterator[int]:
    """The port of a server that responds as oauth2-proxy does: to a session's name, or 401."""

    async def auth(request: web.Request) -> web.Response:
        user = request.cookies.get("_oauth2_proxy", "")
        return web.Response(
            status=202 if user else 401, headers={"X-Auth-Request-User": user} if user else {}
        )

    async def sign_in(_: web.Request) -> web.Response:
        return web.Response(text="Sign in")

    app = web.Application()
    app.add_routes([web.get("/oauth2/auth", auth), web.get("/oauth2/sign_in", sign_in)])
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    yield int(runner.addresses[0][1])
    await runner.cleanup()


@pytest.fixture
async def lines() -> list[bytes]:
    return []


@pytest.fixture
async def nginx(logins: int, lines: list[bytes], tmp_path: Path) -> AsyncIterator[Front]:
    trello = FakeTrello(FakeClock(), key=KEY, token=TOKEN)
    fill(trello.trello)
    await trello.start()
    config = load(YAML, "proxy.yaml", {}, str)
    config = replace(
        config,
        listen=replace(config.listen, port=0),
        admin=replace(config.admin, listen=Listen("127.0.0.1", 0)),
        upstream=replace(config.upstream, url=trello.url),
    )
    ports = SystemPorts(clock=FakeClock(), write_log=lines.append, random=bytes)
    app = App(config, Credential(KEY, TOKEN), ports)
    await app.start()
    text = LOGINS.read_text().replace("server 127.0.0.1:4180;", f"server 127.0.0.1:{logins};")
    async with front(tmp_path, app.port, text) as made:
        yield made
    await app.stop()
    await trello.stop()


def test_nginx_finds_nothing_wrong_with_it(tmp_path: Path) -> None:
    assert judged(tmp_path, LOGINS.read_text()) == (0, "")


async def test_a_person_is_known_by_login(nginx: Front) -> None:
    response, body = await nginx.ask("GET", "/", headers=SESSION)
    assert response.status == 200
    assert b"You are anna, by the login of the reverse proxy." in body
    assert (await nginx.ask("GET", ME, headers=SESSION))[0].status == 200


async def test_without_login_a_person_may_sign_in_and_see_nothing(nginx: Front) -> None:
    for target in (ME, "/", "/b/abc", "/healthz"):
        response, body = await nginx.ask("GET", target)
        assert (response.status, body) == (403, b"Sign in")


async def test_a_program_sends_its_key(nginx: Front) -> None:
    bearer = {"Authorization": f"Bearer {CLIENT_KEY}"}
    assert (await nginx.ask("GET", ME, headers=bearer))[0].status == 200
    assert (await nginx.ask("GET", f"{ME}&token={CLIENT_KEY}"))[0].status == 200
    for headers in ({"Authorization": "Bearer x"}, {"Authorization": "Basic Og=="}):
        response, body = await nginx.ask("GET", ME, headers=headers)
        assert response.status == 401
        assert b"client-key-required" in body
    assert (await nginx.ask("GET", f"{ME}&token=x"))[0].status == 401


async def test_no_client_can_name_itself_or_its_address(nginx: Front, lines: list[bytes]) -> None:
    claims = {
        "X-Forwarded-User": "root",
        "X_Forwarded_User": "root",
        "X-Auth-Request-User": "root",
        "X-Forwarded-For": "192.0.2.7",
        "X-Real-IP": "192.0.2.7",
        "Forwarded": "for=192.0.2.7",
    }
    assert (await nginx.ask("GET", ME, headers=claims))[0].status == 403
    claimed = {**claims, "Authorization": "Bearer x"}
    assert (await nginx.ask("GET", ME, headers=claimed))[0].status == 401
    _, body = await nginx.ask("GET", "/", headers={**claims, **SESSION})
    assert b"You are anna" in body
    assert b"192.0.2.7" not in b"".join(lines)
