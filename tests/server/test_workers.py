"""Where workers accept connections: TLS, Unix sockets, sockets of the service manager."""

import asyncio
import os
from io import BytesIO
from pathlib import Path
from zipfile import ZipFile

import pytest

from proxy.access.client_keys import digest_of
from proxy.app.app import App, SystemPorts
from proxy.app.environment import build_environment
from proxy.app.listeners import Listeners
from proxy.app.workers.settings import parse_settings, worker_settings
from proxy.attachments.store.blob_directory import file_signature
from proxy.attachments.store.shared_file import StoredRange
from proxy.attachments.stored_files import StoredFiles
from proxy.cli.options import worker_environ
from proxy.config.schema import Config, load
from proxy.fake_trello.request import File
from proxy.fake_trello.server import FakeTrello
from proxy.model import Listen
from proxy.runtime.clock import FakeClock
from proxy.runtime.directory import inode_of
from proxy.server.listener import listen_socket, shared_sockets
from tests.authority import Authority
from tests.server.conftest import CREDENTIAL, MakeProxy, Wire, says

ME = "/1/members/me"
WORKERS = "workers: 2\n"


@pytest.mark.slow
async def test_they_make_the_handshakes_and_the_operators_address_stays_with_the_parent(
    make_proxy: MakeProxy, standin: FakeTrello, tmp_path: Path
) -> None:
    authority = Authority(tmp_path)
    server = authority.issue("/CN=one", "localhost", "127.0.0.1")
    client = authority.issue("/O=Company/CN=ci", file="ci")
    yaml = (
        f"{WORKERS}admin: {{listen: '127.0.0.1:0'}}\ntls: {{certificate: '{server.certificate}', "
        f"key: '{server.key}', client_ca: '{authority.root.certificate}'}}\n"
    )
    proxy = await make_proxy(standin.url, yaml)
    context = authority.client_context(client)
    for _ in range(4):
        wire = Wire(
            *await asyncio.open_connection(
                "127.0.0.1", proxy.app.port, ssl=context, server_hostname="localhost"
            )
        )
        wire.send(proxy.request("GET", ME))
        assert (await wire.hear()).status == 200
        wire.send(proxy.request("GET", "/metrics"))
        assert says(await wire.hear(), 404, "not-found")
        await wire.close()
    assert proxy.app.admin_port is not None
    reader, writer = await asyncio.open_connection(
        "127.0.0.1", proxy.app.admin_port, ssl=context, server_hostname="localhost"
    )
    wire = Wire(reader, writer)
    wire.send(proxy.request("GET", "/metrics"))
    figures = (await wire.hear()).body.decode()
    assert "trello_proxy_workers 2.0" in figures
    assert 'trello_proxy_client_requests_total{client="ci"} 4.0' in figures
    await wire.close()
    await proxy.stop()
    named = [line for line in proxy.requests if line["route"] == "/members/{id}"]
    assert [line["name"] for line in named] == ["ci"] * 4


@pytest.mark.slow
async def test_they_accept_from_one_unix_socket_whose_file_goes_at_the_end(
    make_proxy: MakeProxy, standin: FakeTrello, tmp_path: Path
) -> None:
    path = tmp_path / "http.sock"
    proxy = await make_proxy(standin.url, WORKERS, listen=f"unix:{path}")
    wires = [Wire(*await asyncio.open_unix_connection(path)) for _ in range(4)]
    for wire in wires:
        wire.send(f"GET {ME} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
        assert (await wire.hear()).status == 200
        await wire.close()
    await proxy.stop()
    assert inode_of(path) is None
    assert {line["client"] for line in proxy.requests} == {"unix"}


async def test_without_its_workers_a_proxy_does_not_start(tmp_path: Path) -> None:
    config = load(f"{WORKERS}listen: 127.0.0.1:0\ncache: {{backend: memory}}", "test", {}, str)
    logged = list[bytes]()
    ports = SystemPorts(
        clock=FakeClock(),
        write_log=logged.append,
        random=os.urandom,
        environ={"PYTHONHOME": str(tmp_path)},
    )
    app = App(config, CREDENTIAL, ports)
    try:
        with pytest.raises(OSError, match="a worker did not start"):
            await app.start()
    finally:
        await app.stop()
    assert b'"message":"worker ended"' in b"".join(logged)


@pytest.mark.parametrize("host", ["127.0.0.1", "::"])
def test_each_has_a_socket_of_its_own_and_no_second_proxy_gets_one(host: str) -> None:
    lists = shared_sockets(listen_socket(host, 0), 3)
    try:
        ports = {each.getsockname()[1] for made in lists for each in made}
        assert [len(made) for made in lists] == [2 if host == "::" else 1] * 3
        assert len(ports) == 1
        with pytest.raises(OSError, match="in use"):
            listen_socket(host, ports.pop())
    finally:
        for each in (sock for made in lists for sock in made):
            each.close()


def test_a_socket_of_the_service_manager_is_shared() -> None:
    (inherited,) = listen_socket("127.0.0.1", 0)
    clock, write, random = FakeClock(), list[bytes]().append, os.urandom
    environment = build_environment(Config(), (), clock=clock, write_log=write, random=random)
    listeners = Listeners(environment, 100, [inherited])
    try:
        address = Listen("127.0.0.1", inherited.getsockname()[1])
        assert listeners.bind_each(address, 3) == [[inherited]] * 3
    finally:
        inherited.close()


SECRETS = {name: f"{name}-of-this-test-0123456789" for name in ("K", "T", "S", "A", "L", "C")}
SETTINGS = """\
listen: 127.0.0.1:0
workers: 4
credentials: {key: {env: K}, token: {env: T}, secret: {env: S}}
clients:
  access: keys
  keys:
    - {name: ci, key: {env: C}, writes: deny}
    - {name: cd, digest: 'sha256:DIGEST'}
  trusted_proxies: [10.0.0.0/8]
  user_header: X-Forwarded-User
cache: {backend: redis, redis: 'redis://:S-of-this-test-0123456789@localhost:6379/0', memory: 64MiB}
upstream: {proxy: 'http://u:T-of-this-test-0123456789@localhost:3128'}
links: {sign: true, keys: [{env: L}]}
freshness: {webhook_url: 'https://proxy.example/-/webhook'}
limits: {memory: 64MiB, wait: 7s}
admin: {token: {env: A}, listen: 127.0.0.1:8081}
audit: {file: /tmp/audit.log, required: true}
"""


def test_their_settings_hold_no_secret_and_all_that_they_need() -> None:
    text = SETTINGS.replace("DIGEST", "0" * 64)
    config = load(text, "proxy.yaml", SECRETS, str)
    sent = worker_settings(config, "https://proxy.example", 8080)
    assert [each for each in SECRETS.values() if each in sent] == []
    got = parse_settings(sent)
    assert (got.listen.port, got.origin) == (8080, "https://proxy.example")
    assert [each.digest for each in got.clients.keys] == [
        digest_of(SECRETS["C"]),
        f"sha256:{'0' * 64}",
    ]
    assert got.clients.trusted_proxies == config.clients.trusted_proxies
    assert got.clients.user_header == config.clients.user_header
    assert got.admin.listen == config.admin.listen
    assert got.freshness.webhook_url == config.freshness.webhook_url
    assert (got.limits.wait_s, got.limits.memory_bytes) == (7.0, 16 << 20)
    assert (got.workers, got.audit.required, got.links.keys) == (1, False, ())


def test_their_environment_is_of_harmless_variables(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TRELLO_TOKEN", "x")
    monkeypatch.setenv("REDIS_URL", "x")
    monkeypatch.setenv("PATH_TO_SECRET", "x")
    monkeypatch.setenv("LC_ALL", "C")
    found = worker_environ()
    assert {"PATH", "LC_ALL"} <= found.keys()
    assert not {"TRELLO_TOKEN", "REDIS_URL", "PATH_TO_SECRET"} & found.keys()


@pytest.mark.slow
async def test_they_send_stored_files_themselves(
    make_proxy: MakeProxy, standin: FakeTrello, tmp_path: Path
) -> None:
    """What is kept is sent from the disk, by sendfile; what is gone, by the parent."""
    content = os.urandom(700_000)
    made = standin.trello.upload(
        standin.trello.example_card, File("a.bin", "application/octet-stream", content)
    )
    path = str(made["url"]).removeprefix("https://trello.com")
    proxy = await make_proxy(
        standin.url, WORKERS, storage=(standin.storage_host,), directory=tmp_path
    )
    assert (await proxy.get(path)).body == content
    store = proxy.app.components.stores.attachments
    before = -1
    while store.file_io.read_bytes != before:  # until the download is over
        before = store.file_io.read_bytes
        assert (await proxy.get(path)).body == content
    for _ in range(4):
        heard = await proxy.get(path)
        assert (heard.status, heard.body) == (200, content)
        part = await proxy.get(path, {"Range": "bytes=100000-599999"})
        assert (part.status, part.body) == (206, content[100_000:600_000])
        assert part.fields["content-range"] == "bytes 100000-599999/700000"
        head = await proxy.ask("HEAD", path)
        assert (head.status, head.fields["content-length"]) == (200, "700000")
    assert store.file_io.read_bytes == before
    assert standin.request_log.count("GET", path) == 1
    figures = (await proxy.get("/metrics")).body.decode()
    (line,) = [each for each in figures.splitlines() if each.startswith(DISK)]
    assert float(line.removeprefix(DISK)) >= before + 4 * (700_000 + 500_000)
    archive = await proxy.get(f"/c/{standin.trello.example_card}/files.zip?/1/a/download")
    with ZipFile(BytesIO(archive.body)) as files:
        assert files.testzip() is None
        assert content in [files.read(name) for name in files.namelist()]
    for blob in (tmp_path / "files" / "blobs").rglob("*.blob"):
        blob.rename(blob.with_suffix(".moved"))
    assert (await proxy.get(path)).body == content


DISK = 'trello_proxy_attachment_bytes_total{source="disk"} '


async def test_a_file_that_is_another_one_now_is_not_opened(tmp_path: Path) -> None:
    digest, body = "ab" * 32, b"x" * 1000
    blob = tmp_path / "files" / "blobs" / "ab" / f"{digest}.blob"
    blob.parent.mkdir(parents=True)
    blob.write_bytes(body)
    with blob.open("rb") as file:
        signature = file_signature(file.fileno())
    files = StoredFiles(tmp_path)
    given = StoredRange(digest, signature, 100, 900)
    opened = await files.open(given)
    assert opened is not None
    assert b"".join([bytes(chunk) async for chunk in opened]) == body[100:900]
    await opened.aclose()
    blob.write_bytes(body[::-1])
    assert await files.open(given) is None
    blob.unlink()
    assert await files.open(given) is None
    await files.stop()
