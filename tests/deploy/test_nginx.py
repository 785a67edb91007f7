"""nginx in front: TLS, and otherwise what the proxy itself would have said."""

import hashlib
import io
import json
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest
from yarl import URL

from proxy.app.app import App, SystemPorts
from proxy.config.schema import load
from proxy.fake_trello.samples import fill
from proxy.fake_trello.server import FakeTrello
from proxy.model import Credential, Listen
from proxy.runtime.clock import FakeClock
from proxy.trello.webhook_payload import PATH
from tests.deploy.examples import Example
from tests.deploy.front import (
    FILE,
    FIXED,
    NAMES,
    Front,
    front,
    judged,
    with_webhooks,
)

KEY, TOKEN = "c0ffee" + "0" * 26, "ATTA" + "5ec2e7" * 12
MIB = 1 << 20
TARGETS = (
    "/1//boards/abc",
    "/1/boards/abc/",
    "/1/boards/abc?fields=name%2Curl&x=%7e~+%20",
    "/1/unknown%2Cpath//x?a=1&a=2",
    "/1/search?query=%C3%BC&x=a%2Fb",
    "/1/boards/abc?fields=" + "n" * 6000,
)


@pytest.fixture
async def standin() -> AsyncIterator[FakeTrello]:
    made = FakeTrello(FakeClock(), key=KEY, token=TOKEN)
    fill(made.trello)
    await made.start()
    yield made
    await made.stop()


@pytest.fixture
async def app(standin: FakeTrello) -> AsyncIterator[App]:
    """A proxy with the configuration of the unit, on ports of its own."""
    made = await _started(standin, Listen("127.0.0.1", 0))
    yield made
    await made.stop()


async def _started(fake_trello: FakeTrello, admin: Listen | None, more: str = "") -> App:
    settings = Example("systemd/proxy.yaml").load()
    text = f"freshness: {{watch: off, webhook_url: 'https://{NAMES[1]}{PATH}'}}\n"
    environment = {"HOME": "/nowhere", "TRELLO_SECRET": "5" * 32}
    config = load(
        f"{text}{more}cache: {{backend: memory}}\n",
        "proxy.yaml",
        environment,
        str,
    )
    config = replace(
        config,
        public_url=settings.public_url,
        listen=replace(config.listen, port=0),
        admin=replace(config.admin, listen=admin),
        upstream=replace(
            config.upstream, url=fake_trello.url, storage_hosts=(fake_trello.storage_host,)
        ),
    )
    lines: list[bytes] = []
    made = App(
        config,
        Credential(KEY, TOKEN),
        SystemPorts(clock=FakeClock(), write_log=lines.append, random=bytes),
    )
    await made.start()
    return made


@pytest.fixture
async def nginx(app: App, tmp_path: Path) -> AsyncIterator[Front]:
    async with front(tmp_path, app.port) as made:
        yield made


def test_nginx_finds_nothing_wrong_with_it(tmp_path: Path) -> None:
    assert judged(tmp_path, FILE.read_text()) == (0, "")


def test_nginx_finds_nothing_wrong_with_the_way_in_for_deliveries(tmp_path: Path) -> None:
    text = with_webhooks(FILE.read_text())
    assert text.count("listen 443 ssl;") == 2
    assert judged(tmp_path, text) == (0, "")


def test_nginx_finds_nothing_wrong_with_the_proxy_under_trellos_name(tmp_path: Path) -> None:
    assert judged(tmp_path, FIXED.read_text()) == (0, "")
    assert _location(FIXED) == _location(FILE)


async def test_a_client_that_takes_it_for_trello_is_served(
    standin: FakeTrello, tmp_path: Path
) -> None:
    shared = await _started(standin, None, "clients: {hosts: [api.trello.com]}\n")
    async with front(tmp_path, shared.port, FIXED.read_text()) as nginx:
        target = "/1/members/me?fields=username&key=dummy&token=dummy"
        response, body = await nginx.ask("GET", target, "api.trello.com")
    await shared.stop()
    assert (response.status, json.loads(body)["username"]) == (200, "demo")
    assert "Deprecation" not in response.headers


def _location(file: Path) -> list[list[str]]:
    """The directives of the example's location, but for the name of its upstream."""
    text = file.read_text().partition("location / {")[2].partition("}")[0]
    lines = [line.partition("#")[0].split() for line in text.splitlines()]
    return [line for line in lines if line[:1] != ["proxy_pass"]]


def test_a_fault_in_it_would_be_found(tmp_path: Path) -> None:
    code, said = judged(tmp_path, FILE.read_text().replace("gzip off;", "gzip of;"))
    assert code != 0
    assert "gzip" in said


def test_its_name_is_the_proxys() -> None:
    assert Example("systemd/proxy.yaml").load().public_url == f"https://{NAMES[0]}"


async def test_answers_come_from_the_store_and_links_lead_back_through_it(
    nginx: Front, standin: FakeTrello
) -> None:
    card = standin.trello.example_attachment_path.split("/")[3]
    target = f"/1/cards/{card}/attachments?fields=url"
    await nginx.ask("GET", target)
    response, body = await nginx.ask("GET", target)
    assert response.headers["Cache-Status"].startswith("trello-proxy; hit")
    urls = [each["url"] for each in json.loads(body)]
    assert [url for url in urls if url.startswith(f"https://{NAMES[0]}/1/cards/")]


@pytest.mark.parametrize("target", TARGETS)
async def test_a_target_reaches_trello_as_it_would_without_nginx(
    nginx: Front, app: App, standin: FakeTrello, target: str
) -> None:
    no_store = {"Cache-Control": "no-store"}
    await nginx.ask("GET", target, headers=no_store)
    direct = URL(f"http://127.0.0.1:{app.port}{target}", encoded=True)
    async with nginx.session.get(direct, headers=no_store):
        pass
    through_nginx, without = list(standin.request_log.requests)[-2:]
    assert (through_nginx.path, through_nginx.query) == (without.path, without.query)


async def test_a_file_comes_whole_and_in_parts(nginx: Front, standin: FakeTrello) -> None:
    path = standin.trello.example_attachment_path
    _, whole = await nginx.ask("GET", path)
    response, part = await nginx.ask("GET", path, headers={"Range": "bytes=10-19"})
    assert (response.status, part) == (206, whole[10:20])


async def test_an_upload_beyond_nginxs_own_bound_arrives_whole(
    nginx: Front, standin: FakeTrello
) -> None:
    card = standin.trello.example_attachment_path.split("/")[3]
    sent = hashlib.sha512(b"file").digest() * (3 * MIB // 64)
    data = {"file": io.BytesIO(sent)}
    response, body = await nginx.ask("POST", f"/1/cards/{card}/attachments", data=data)
    assert response.status == 200
    assert standin.trello.files[json.loads(body)["id"]].body == sent


@pytest.mark.parametrize(("method", "path"), [("POST", "/-/purge"), ("GET", "/metrics")])
async def test_behind_it_nobody_is_the_machine_itself(nginx: Front, method: str, path: str) -> None:
    response, _ = await nginx.ask(method, path)
    assert response.status == 404


@pytest.mark.parametrize(("method", "path"), [("POST", "/-/purge"), ("GET", "/metrics")])
@pytest.mark.parametrize("name", [NAMES[0], "localhost", "127.0.0.1"])
async def test_on_a_shared_port_nobody_behind_it_is_the_machine_itself(
    standin: FakeTrello, tmp_path: Path, name: str, method: str, path: str
) -> None:
    shared = await _started(standin, None)
    async with front(tmp_path, shared.port) as nginx:
        response, body = await nginx.ask(method, path, headers={"Host": name})
    await shared.stop()
    assert (response.status, json.loads(body)["type"]) == (403, "urn:trello-proxy:admin-only")


async def test_without_tls_one_is_sent_to_it(nginx: Front) -> None:
    url = f"http://127.0.0.1:{nginx.plain_port}/b/abc?q=x"
    async with nginx.session.get(
        url, headers={"Host": NAMES[0]}, allow_redirects=False
    ) as response:
        assert response.status == 308
        assert response.headers["Location"] == f"https://{NAMES[0]}/b/abc?q=x"


async def test_from_the_internet_one_path_is_reached_and_wants_a_signature(nginx: Front) -> None:
    responses = [
        (await nginx.ask(method, path, name=NAMES[1]))[0].status
        for method, path in (("POST", PATH), ("GET", "/1/boards/abc"), ("GET", "/"))
    ]
    assert responses == [401, 404, 404]
