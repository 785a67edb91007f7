"""Clients that always ask https://api.trello.com: unchanged, through CONNECT or under that name."""

import asyncio
import json
import os
import shutil
import ssl
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from proxy.fake_trello.server import FakeTrello
from tests.authority import Authority, Pair
from tests.server.conftest import Heard, MakeProxy, Proxy, Wire, says
from tests.server.test_credential_usage import is_deprecated, listed
from tests.server.test_real_clients import JUNK_KEY, JUNK_TOKEN, Running, install

API = "api.trello.com"
ME = "/1/members/me"
TUNNEL = f"CONNECT {API}:443 HTTP/1.1\r\nHost: {API}:443\r\n\r\n".encode()
HOSTS = f"clients: {{hosts: [{API}, trello.com], writes: all}}\n"


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("ca"))


@pytest.fixture(scope="module")
def pair(authority: Authority) -> Pair:
    return authority.issue("/CN=api", API, "trello.com", "localhost")


@pytest.fixture(scope="module")
def settings(pair: Pair) -> str:
    return f"tls: {{certificate: '{pair.certificate}', key: '{pair.key}'}}\n{HOSTS}"


@pytest.fixture
async def proxy(make_proxy: MakeProxy, standin: FakeTrello, settings: str) -> Proxy:
    return await make_proxy(standin.url, settings, storage=(standin.storage_host,))


async def tunnel(proxy: Proxy, authority: Authority, *pieces: bytes) -> Wire:
    """A connection over TLS behind a CONNECT, which is sent in these pieces."""
    wire = await proxy.connect()
    for piece in pieces or (TUNNEL,):
        wire.send(piece)
        await asyncio.sleep(0.002)
    head = await wire.reader.readuntil(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 200 ")
    await wire.writer.start_tls(authority.client_context(), server_hostname=API)
    return wire


async def get(proxy: Proxy, wire: Wire, target: str = ME, host: str = API) -> Heard:
    wire.send(proxy.request("GET", target, {"Host": host}))
    return await wire.hear()


class TestConnect:
    async def test_behind_it_are_the_responses_of_the_proxy(
        self, proxy: Proxy, authority: Authority, standin: FakeTrello
    ) -> None:
        wire = await tunnel(proxy, authority)
        for _ in range(4):
            heard = await get(proxy, wire)
            assert (heard.status, heard.json["username"]) == (200, "demo")
        assert standin.request_log.total == 1
        assert len(proxy.app.fast_paths[0]) == 1

    async def test_it_may_arrive_in_pieces_and_in_any_case(
        self, proxy: Proxy, authority: Authority
    ) -> None:
        request = b"CONNECT API.trello.com:443 HTTP/1.0\r\nProxy-Connection: close\r\n\r\n"
        wire = await tunnel(proxy, authority, request[:3], request[3:30], request[30:])
        assert (await get(proxy, wire)).status == 200

    async def test_the_handshake_may_follow_at_once(
        self, proxy: Proxy, authority: Authority
    ) -> None:
        outgoing = ssl.MemoryBIO()
        client = authority.client_context().wrap_bio(ssl.MemoryBIO(), outgoing, server_hostname=API)
        with pytest.raises(ssl.SSLWantReadError):
            client.do_handshake()
        wire = await proxy.connect()
        wire.send(TUNNEL + outgoing.read())
        assert (await wire.reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 200 ")
        assert (await wire.reader.readexactly(1)) == b"\x16"

    @pytest.mark.parametrize(
        "target",
        ["example.com:443", f"{API}:80", API, "trello.com:443", f"{API}.evil.com:443", "[::1]:443"],
    )
    async def test_anywhere_else_no_tunnel_leads(self, proxy: Proxy, target: str) -> None:
        wire = await proxy.connect()
        wire.send(f"CONNECT {target} HTTP/1.1\r\nHost: {API}\r\n\r\n".encode())
        heard = await wire.hear("GET")
        assert (heard.status, heard.json["type"]) == (403, "urn:trello-proxy:connect-denied")
        assert await wire.ended()
        await proxy.stop()
        (line,) = [line for line in proxy.log.splitlines() if b"connect refused" in line]
        assert b"evil" not in line

    async def test_a_header_without_an_end_is_refused(self, proxy: Proxy) -> None:
        wire = await proxy.connect()
        wire.send(TUNNEL[:-2] + b"X: " + b"x" * 20_000)
        assert (await wire.hear("GET")).status == 403
        assert await wire.ended()

    async def test_within_tls_and_without_it_there_is_none(
        self, proxy: Proxy, authority: Authority, make_proxy: MakeProxy, standin: FakeTrello
    ) -> None:
        wire = await tunnel(proxy, authority)
        wire.send(TUNNEL)
        assert says(await wire.hear("GET"), 403, "connect-denied")
        plain = await make_proxy(standin.url, HOSTS)
        heard = await plain.say(TUNNEL)
        assert says(heard, 403, "connect-denied")
        assert "needs tls" in heard.json["detail"]

    async def test_its_connection_is_counted_once(self, proxy: Proxy, authority: Authority) -> None:
        wire = await tunnel(proxy, authority)
        figures = (await get(proxy, wire, "/metrics", "localhost")).body.decode()
        assert "\ntrello_proxy_connections 1.0\n" in figures

    async def test_a_name_that_is_not_served_is_421(
        self, make_proxy: MakeProxy, standin: FakeTrello, pair: Pair, authority: Authority
    ) -> None:
        text = f"tls: {{certificate: '{pair.certificate}', key: '{pair.key}'}}\n"
        proxy = await make_proxy(standin.url, text)
        heard = await get(proxy, await tunnel(proxy, authority))
        assert says(heard, 421, "host-not-allowed")
        assert "clients.hosts" in heard.json["detail"]


async def test_who_takes_the_proxy_for_trello_gets_no_deprecation(
    make_proxy: MakeProxy, standin: FakeTrello
) -> None:
    proxy = await make_proxy(standin.url, HOSTS)
    target = f"{ME}?key={JUNK_KEY}&token={JUNK_TOKEN}"
    for host in (API, f"{API}:443", API.upper()):
        for _ in range(4):  # the last ones on the fast path
            heard = await proxy.get(target, {"Host": host})
            assert heard.status == 200
            assert not is_deprecated(heard)
    assert await listed(proxy) == []
    assert b"trello_proxy_client_credentials_total{" not in (await proxy.get("/metrics")).body
    assert is_deprecated(await proxy.get(target))
    await proxy.stop()
    assert proxy.log.count(b"client sent credential") == 1


PY_TRELLO = """
import json, sys
from trello import TrelloClient
client = TrelloClient(sys.argv[1], sys.argv[2])
board = client.get_board(sys.argv[3])
card = board.list_lists()[0].add_card("made by py-trello")
card.comment("said")
texts = [each["data"]["text"] for each in card.get_comments()]
print(json.dumps([board.name, client.get_card(card.id).name, *texts]))
"""
NODE_TRELLO = """
const Trello = require('node-trello');
const [key, token, board] = process.argv.slice(2);
const client = new Trello(key, token);
const call = (method, path, data) => new Promise((resolve, reject) =>
  client[method](path, data || {}, (error, told) => error ? reject(error) : resolve(told)));
(async () => {
  const { name } = await call('get', `/1/boards/${board}`);
  const lists = await call('get', `/1/boards/${board}/lists`);
  const card = await call('post', '/1/cards', { name: 'made by node-trello', idList: lists[0].id });
  await call('post', `/1/cards/${card.id}/actions/comments`, { text: 'said' });
  const seen = await call('get', `/1/cards/${card.id}`, { actions: 'commentCard' });
  console.log(JSON.stringify([name, seen.name, seen.actions[0].data.text]));
})().catch((error) => { console.error(error); process.exit(1); });
"""


@pytest.fixture
def running(tmp_path: Path, settings: str) -> Iterator[Running]:
    made = Running(tmp_path / "cache", settings)
    made.start()
    yield made
    made.stop()


def says_of(running: Running, authority: Authority, *command: str, cwd: Path) -> list[str]:
    """What a client prints, of which two variables are set and nothing else."""
    ca = str(authority.root.certificate)
    proxies = dict.fromkeys(("HTTPS_PROXY", "https_proxy"), running.url)
    names = ("NODE_EXTRA_CA_CERTS", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE")
    environment = {"PATH": os.defpath, **proxies, **dict.fromkeys(names, ca), "NO_PROXY": ""}
    done = subprocess.run(
        command, cwd=cwd, env=environment, capture_output=True, timeout=30, check=False
    )
    assert done.returncode == 0, done.stderr.decode()
    told: list[str] = json.loads(done.stdout)
    return told


def test_curl_needs_two_variables(running: Running, authority: Authority, tmp_path: Path) -> None:
    curl = shutil.which("curl")
    if curl is None:
        pytest.skip("curl is not installed")
    url = f"https://{API}{ME}?fields=username"
    command = (curl, "-sS", "--fail", "-w", "\\n", url)
    told = says_of(running, authority, *command, cwd=tmp_path)
    assert told["username"] == "demo"  # type: ignore[call-overload]


def test_py_trello_needs_two_variables(
    running: Running, authority: Authority, tmp_path: Path
) -> None:
    pytest.importorskip("trello")
    board = running.standin.trello.example_board
    command = (sys.executable, "-c", PY_TRELLO, JUNK_KEY, JUNK_TOKEN, board)
    told = says_of(running, authority, *command, cwd=tmp_path)
    assert told == ["Release 4.2", "made by py-trello", "said"]


def test_node_trello_needs_two_variables(
    running: Running, authority: Authority, tmp_path: Path
) -> None:
    install("node-trello@1.3.0", tmp_path)
    script = tmp_path / "tool.cjs"
    script.write_text(NODE_TRELLO, encoding="utf-8")
    board = running.standin.trello.example_board
    command = (str(shutil.which("node")), str(script), JUNK_KEY, JUNK_TOKEN, board)
    told = says_of(running, authority, *command, cwd=tmp_path)
    assert told == ["Release 4.2", "made by node-trello", "said"]
