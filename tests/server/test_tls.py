"""TLS of the listeners: as bounded as plain http, and certificates that change while it serves."""

import asyncio
import json
import logging
import shutil
import socket
import ssl
from pathlib import Path
from typing import Any

import pytest

from proxy.access.client_keys import digest_of
from proxy.app import listeners
from proxy.app.certificate_reloader import POLL_S
from proxy.cli.admin_request import admin_request
from proxy.cli.console import CommandFailed
from proxy.config.schema import load
from proxy.fake_trello.request import File
from proxy.fake_trello.server import FakeTrello
from proxy.runtime.clock import FakeClock
from proxy.server import connection_limits, tls
from proxy.server.listener import listen_socket
from tests.authority import Authority, Pair
from tests.deploy.tools import tool
from tests.server.conftest import Heard, MakeProxy, Proxy, Start, Wire
from tests.server.heartbeat import beating
from tests.server.raw_upstream import PATIENCE_S, RawUpstream, answer

ME = "/1/members/me"
MAX_PAUSE_S = 0.05
"""Of the event loop, while a file is sent."""


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("ca"))


@pytest.fixture(scope="module")
def issued(authority: Authority) -> dict[str, Pair]:
    """Certificates by what is special about them."""
    return {
        "server": authority.issue("/CN=one", "localhost", "127.0.0.1"),
        "next": authority.issue("/CN=two", "localhost", file="next"),
        "client": authority.issue("/O=Company/CN=ci", file="ci"),
    }


@pytest.fixture
def server(issued: dict[str, Pair], tmp_path: Path) -> Pair:
    """Files of the proxy's certificate, which may be replaced."""
    pair = Pair(tmp_path / "tls.crt", tmp_path / "tls.key")
    _copy(issued["server"], pair)
    return pair


def _copy(source: Pair, target: Pair) -> None:
    shutil.copy(source.certificate, target.certificate)
    shutil.copy(source.key, target.key)


def _settings(server: Pair, more: str = "") -> str:
    return f"tls: {{certificate: '{server.certificate}', key: '{server.key}'{more}}}\n"


@pytest.fixture
async def proxy(make_proxy: MakeProxy, standin: FakeTrello, server: Pair) -> Proxy:
    return await make_proxy(standin.url, _settings(server), storage=(standin.storage_host,))


async def _connect(proxy: Proxy, context: ssl.SSLContext, port: int | None = None) -> Wire:
    reader, writer = await asyncio.open_connection(
        "127.0.0.1", port or proxy.app.port, ssl=context, server_hostname="localhost"
    )
    proxy.wires.append(Wire(reader, writer))
    return proxy.wires[-1]


async def _get(
    proxy: Proxy, context: ssl.SSLContext, target: str, port: int | None = None
) -> Heard:
    wire = await _connect(proxy, context, port)
    wire.send(proxy.request("GET", target))
    response = await wire.hear()
    await wire.close()
    return response


async def _name(proxy: Proxy, context: ssl.SSLContext) -> str:
    """The common name of the certificate that a new connection gets."""
    wire = await _connect(proxy, context)
    subject = wire.writer.get_extra_info("peercert")["subject"]
    await wire.close()
    return str(subject[-1][0][1])


def _events(proxy: Proxy, message: str) -> list[dict[str, Any]]:
    return [line for line in map(json.loads, proxy.log.splitlines()) if line["message"] == message]


async def _figure(
    proxy: Proxy, context: ssl.SSLContext, sample: str, port: int | None = None
) -> float:
    text = (await _get(proxy, context, "/metrics", port)).body.decode()
    (line,) = [line for line in text.splitlines() if line.startswith(sample + " ")]
    return float(line.rpartition(" ")[2])


async def _turns(count: int = 50) -> None:
    for _ in range(count):
        await asyncio.sleep(0.001)


class TestServing:
    async def test_misses_hits_and_the_fast_path_are_served(
        self, proxy: Proxy, authority: Authority, standin: FakeTrello
    ) -> None:
        wire = await _connect(proxy, authority.client_context())
        for _ in range(4):
            wire.send(proxy.request("GET", ME))
            response = await wire.hear()
            assert (response.status, response.json["username"]) == (200, "demo")
        assert len(proxy.app.fast_paths[0]) == 1
        assert standin.request_log.total == 1

    async def test_links_lead_to_https(
        self, proxy: Proxy, authority: Authority, standin: FakeTrello
    ) -> None:
        card, path = standin.trello.example_card, standin.trello.example_attachment_path
        response = await _get(proxy, authority.client_context(), f"/1/cards/{card}/attachments")
        assert f"https://127.0.0.1:{proxy.app.port}{path}".encode() in response.body

    @pytest.mark.parametrize(
        ("option", "protocol"), [("-tls1_2", "TLSv1.2"), ("-tls1_3", "TLSv1.3")]
    )
    async def test_openssl_gets_a_response_over_tls_1_2_and_1_3(
        self, proxy: Proxy, authority: Authority, option: str, protocol: str
    ) -> None:
        said = await _s_client(proxy, authority, option)
        assert "Verify return code: 0 (ok)" in said
        assert "ALPN protocol: http/1.1" in said
        assert protocol in said
        assert "HTTP/1.1 200 OK" in said
        assert '"username":"demo"' in said

    async def test_openssl_gets_nothing_over_tls_1_1(
        self, proxy: Proxy, authority: Authority
    ) -> None:
        said = await _s_client(proxy, authority, "-tls1_1", "-cipher", "ALL:@SECLEVEL=0")
        assert "HTTP/1.1" not in said
        assert "alert protocol version" in said

    async def test_plain_http_gets_a_response_that_says_so(
        self, proxy: Proxy, authority: Authority
    ) -> None:
        response = await proxy.get(ME)
        assert (response.status, response.is_problem) == (400, True)
        assert "https://" in response.json["detail"]
        wire = await proxy.connect()
        wire.send(b"DELETE /1/cards/x HTTP/1.1\r\n\r\n")
        await wire.ended()
        context = authority.client_context()
        closed = 'trello_proxy_connections_closed_total{reason="tls"}'
        assert await _figure(proxy, context, closed) == 2
        (line,) = _events(proxy, "tls handshake failed")
        assert (line["client"], line["reason"]) == ("127.0.0.1", "HTTP_REQUEST")

    async def test_a_client_that_ends_its_side_is_no_warning(
        self,
        make_proxy: MakeProxy,
        before: Start,
        server: Pair,
        authority: Authority,
        caplog: pytest.LogCaptureFixture,
    ) -> None:
        async def silent(*_: object) -> None:
            await asyncio.Event().wait()

        proxy = await before(silent, _settings(server))
        wire = await _connect(proxy, authority.client_context())
        wire.send(proxy.request("GET", ME))
        await _turns()
        with caplog.at_level(logging.WARNING, "asyncio"):
            await wire.close()
            await _turns()
        await proxy.stop()
        assert [line["status"] for line in proxy.requests] == [499]
        assert not caplog.records

    async def test_the_operators_listener_has_it_too(
        self, make_proxy: MakeProxy, standin: FakeTrello, server: Pair, authority: Authority
    ) -> None:
        settings = f"{_settings(server)}admin: {{listen: '127.0.0.1:0'}}"
        proxy = await make_proxy(standin.url, settings)
        port = proxy.app.admin_port
        assert (await _get(proxy, authority.client_context(), "/healthz", port)).status == 200
        assert (await proxy.ask("GET", "/healthz", port=port)).status == 400
        written = f"{_settings(server)}admin: {{listen: '127.0.0.1:{port}'}}"
        config = load(written, "proxy.yaml", {}, str)
        purged = await asyncio.to_thread(admin_request, config, "POST", "/-/purge")
        assert json.loads(purged) == {"purged": "everything"}

    async def test_a_unix_socket_is_plain(
        self, make_proxy: MakeProxy, standin: FakeTrello, server: Pair, tmp_path: Path
    ) -> None:
        path = tmp_path / "s"
        proxy = await make_proxy(standin.url, _settings(server), listen=f"unix:{path}")
        proxy.wires.append(Wire(*await asyncio.open_unix_connection(path)))
        proxy.wires[0].send(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n")
        assert (await proxy.wires[0].hear()).status == 200


async def _s_client(proxy: Proxy, authority: Authority, *options: str) -> str:
    """What `openssl s_client` says of a request for ME."""
    process = await asyncio.create_subprocess_exec(
        *(tool("openssl", "apt-get install openssl"), "s_client", "-ign_eof", *options),
        *("-connect", f"127.0.0.1:{proxy.app.port}", "-servername", "localhost"),
        *("-CAfile", str(authority.root.certificate), "-alpn", "h2,http/1.1"),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    said, _ = await process.communicate(
        f"GET {ME} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n".encode()
    )
    return said.decode()


class TestFiles:
    async def test_a_long_file_arrives_whole_and_delays_nobody(
        self,
        make_proxy: MakeProxy,
        standin: FakeTrello,
        server: Pair,
        authority: Authority,
        tmp_path: Path,
    ) -> None:
        content = bytes(range(256)) * (16 * 1024)  # 4 MiB
        made = standin.trello.upload(
            standin.trello.example_card, File("a.png", "image/png", content)
        )
        path = str(made["url"]).removeprefix("https://trello.com")
        proxy = await make_proxy(
            standin.url,
            _settings(server),
            storage=(standin.storage_host,),
            directory=tmp_path / "cache",
        )
        context = authority.client_context()
        assert (await _get(proxy, context, path)).body == content
        async with beating() as heart:
            hit = await _get(proxy, context, path)
        assert hit.fields["cache-status"].startswith("trello-proxy; hit")
        assert hit.body == content
        assert heart.longest_s < MAX_PAUSE_S


class _SmallBuffers:
    """Listening sockets of which the first has a small buffer for what is sent."""

    def __init__(self) -> None:
        self._sizes = iter([4096])

    def __call__(self, host: str, port: int) -> list[socket.socket]:
        sockets = listen_socket(host, port)
        if size := next(self._sizes, 0):
            sockets[0].setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, size)
        return sockets


def _who_reads_nothing(port: int, context: ssl.SSLContext, request: bytes) -> socket.socket:
    client = socket.socket()
    client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    client.connect(("127.0.0.1", port))
    wrapped = context.wrap_socket(client, server_hostname="localhost")
    wrapped.sendall(request)
    return wrapped


class TestUploads:
    async def test_a_long_body_arrives_whole(
        self, before: Start, raw_upstream: RawUpstream, server: Pair, authority: Authority
    ) -> None:
        """Also where the upstream reads it late, so that receiving pauses."""
        received = asyncio.get_running_loop().create_future()

        async def late(
            reader: asyncio.StreamReader, writer: asyncio.StreamWriter, header: bytes
        ) -> None:
            await _turns(20)
            length = int(header.lower().partition(b"content-length: ")[2].split()[0])
            received.set_result(await reader.readexactly(length))
            writer.write(answer(b"{}"))

        proxy = await before(late, _settings(server))
        head = b'--b\r\nContent-Disposition: form-data; name="file"; filename="a"\r\n\r\n'
        body = head + bytes(range(256)) * 16_384 + b"\r\n--b--\r\n"
        wire = await _connect(proxy, authority.client_context())
        path = "/1/cards/5e9310df53f23017628a8011/attachments"
        fields = {"Content-Type": "multipart/form-data; boundary=b"}
        wire.send(proxy.request("POST", path, fields, body))
        assert (await wire.hear("POST")).status == 200
        assert received.result() == body


class TestBounds:
    async def test_handshakes_take_places_and_make_room(
        self,
        make_proxy: MakeProxy,
        standin: FakeTrello,
        server: Pair,
        authority: Authority,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        monkeypatch.setattr(connection_limits, "MAX_CONNECTIONS", 4)  # two of each address
        proxy = await make_proxy(standin.url, _settings(server))
        silent = [await proxy.connect() for _ in range(6)]
        context = authority.client_context()
        assert await _figure(proxy, context, "trello_proxy_connections") == 2
        closed = 'trello_proxy_connections_closed_total{reason="idle"}'
        assert await _figure(proxy, context, closed) >= 4
        assert await silent[0].ended()

    async def test_a_handshake_has_a_time_limit(
        self,
        make_proxy: MakeProxy,
        standin: FakeTrello,
        server: Pair,
        authority: Authority,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        monkeypatch.setattr(tls, "HEADER_TIMEOUT_S", 0.02)
        proxy = await make_proxy(standin.url, _settings(server))
        wire = await proxy.connect()
        wire.send(b"\x16\x03\x01")
        assert await wire.ended()
        monkeypatch.undo()
        closed = 'trello_proxy_connections_closed_total{reason="tls"}'
        assert await _figure(proxy, authority.client_context(), closed) == 1

    async def test_what_a_client_does_not_take_is_counted(
        self,
        before: Start,
        server: Pair,
        authority: Authority,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        monkeypatch.setattr(listeners, "listen_socket", _SmallBuffers())
        settings = f"{_settings(server)}admin: {{listen: '127.0.0.1:0'}}"
        proxy = await before(answer(b'["' + b"x" * 200_000 + b'"]'), settings)
        admin_port = proxy.app.admin_port
        context = authority.client_context()
        request = proxy.request("GET", "/1/boards/5e93ba403f1ab3603ba81a09/cards")
        client = await asyncio.to_thread(_who_reads_nothing, proxy.app.port, context, request)
        sample = 'trello_proxy_client_memory_bytes{use="buffers"}'
        async with asyncio.timeout(PATIENCE_S):
            while await _figure(proxy, context, sample, admin_port) < 150_000:  # noqa: ASYNC110
                await asyncio.sleep(0.01)
        assert await _figure(proxy, context, sample, admin_port) < 250_000
        client.close()

    async def test_the_end_waits_for_no_handshake(self, proxy: Proxy) -> None:
        wire = await proxy.connect()
        wire.send(b"\x16\x03\x01")
        await _turns(5)
        await proxy.app.stop()
        assert await wire.ended()


class TestClientCertificates:
    @pytest.fixture
    async def proxy(
        self, make_proxy: MakeProxy, standin: FakeTrello, server: Pair, authority: Authority
    ) -> Proxy:
        more = f", client_ca: '{authority.root.certificate}'"
        return await make_proxy(standin.url, _settings(server, more))

    async def test_a_client_needs_a_certificate_of_the_authority(
        self, proxy: Proxy, authority: Authority, issued: dict[str, Pair], tmp_path: Path
    ) -> None:
        known = authority.client_context(issued["client"])
        assert (await _get(proxy, known, ME)).status == 200
        stranger = Authority(tmp_path, "Another CA").issue("/CN=ci", file="stranger")
        for own in (None, stranger):
            with pytest.raises((OSError, EOFError)):
                await _get(proxy, authority.client_context(own), ME)
        closed = 'trello_proxy_connections_closed_total{reason="tls"}'
        assert await _figure(proxy, known, closed) == 2

    async def test_its_subject_names_the_client(
        self, make_proxy: MakeProxy, standin: FakeTrello, server: Pair, authority: Authority
    ) -> None:
        """In the log, for access, and with the permissions of the keys of that name."""
        more = f", client_ca: '{authority.root.certificate}'"
        keys = f"[{{name: reader, writes: deny, digest: '{digest_of('k' * 20)}'}}]"
        settings = f"{_settings(server, more)}clients: {{access: keys, keys: {keys}}}\n"
        proxy = await make_proxy(standin.url, settings)
        subjects = {"/CN=ci/O=x/CN=ci2": 200, "/CN=reader": 200, "/O=x": 401, "/CN=a b": 401}
        card = f"/1/cards/{standin.trello.example_card}?name=x"
        denied = []
        for number, (subject, status) in enumerate(subjects.items()):
            own = authority.issue(subject, file=f"subject{number}")
            wire = await _connect(proxy, authority.client_context(own))
            for _ in range(3):
                wire.send(proxy.request("GET", ME))
                assert (await wire.hear()).status == status
            wire.send(proxy.request("PUT", card))
            denied.append((await wire.hear()).json.get("type", "").rpartition(":")[2])
        assert denied == ["", "writes-denied", "client-key-required", "client-key-required"]
        assert len(proxy.app.fast_paths[0]) == 2
        await proxy.stop()
        names = [line.get("name") for line in proxy.requests]
        assert names == ["ci2"] * 4 + ["reader"] * 4 + [None] * 8

    async def test_commands_say_that_they_have_none(
        self, proxy: Proxy, server: Pair, authority: Authority
    ) -> None:
        more = f", client_ca: '{authority.root.certificate}'"
        config = load(_settings(server, more), "proxy.yaml", {}, str)
        with pytest.raises(CommandFailed, match=r"set admin\.listen to a Unix socket"):
            admin_request(config, "POST", "/-/purge")


class TestReplacement:
    async def test_files_that_change_are_used_by_new_connections(
        self,
        proxy: Proxy,
        authority: Authority,
        server: Pair,
        issued: dict[str, Pair],
        clock: FakeClock,
    ) -> None:
        context = authority.client_context()
        kept = await _connect(proxy, context)
        _copy(issued["next"], server)
        line = await _until(proxy, clock, "certificate replaced")
        assert abs(line["days"]) < 365
        assert await _name(proxy, context) == "two"
        kept.send(proxy.request("GET", "/healthz"))
        assert (await kept.hear()).status == 200

    async def test_half_a_pair_is_awaited_and_a_broken_one_rejected(
        self,
        proxy: Proxy,
        authority: Authority,
        server: Pair,
        issued: dict[str, Pair],
        clock: FakeClock,
    ) -> None:
        context = authority.client_context()
        shutil.copy(issued["next"].certificate, server.certificate)
        clock.advance(POLL_S)
        await _turns()
        assert not _events(proxy, "certificate rejected")
        line = await _until(proxy, clock, "certificate rejected")
        assert (line["level"], line["fault"].split(" ")[0]) == ("error", "tls.key:")
        assert "PRIVATE" not in proxy.log.decode()
        assert await _name(proxy, context) == "one"
        shutil.copy(issued["next"].key, server.key)
        await _until(proxy, clock, "certificate replaced")
        assert await _name(proxy, context) == "two"

    async def test_on_a_signal_they_are_loaded_at_once(
        self, proxy: Proxy, authority: Authority, server: Pair, issued: dict[str, Pair]
    ) -> None:
        _copy(issued["next"], server)
        reloader = proxy.app.certificate_reloader
        assert reloader is not None
        reloader.request()
        async with asyncio.timeout(10):
            while not _events(proxy, "certificate replaced"):  # noqa: ASYNC110
                await asyncio.sleep(0.001)
        assert await _name(proxy, authority.client_context()) == "two"

    async def test_a_metric_says_when_it_expires(
        self, proxy: Proxy, authority: Authority, clock: FakeClock
    ) -> None:
        context, sample = authority.client_context(), "trello_proxy_tls_certificate_expires_seconds"
        before = await _figure(proxy, context, sample)
        clock.advance(3600)
        assert await _figure(proxy, context, sample) == pytest.approx(before - 3600)


async def _until(proxy: Proxy, clock: FakeClock, message: str) -> dict[str, Any]:
    """The first event with this message; the files are polled until then."""
    async with asyncio.timeout(PATIENCE_S):
        while not _events(proxy, message):
            clock.advance(POLL_S)
            await _turns(5)
    return _events(proxy, message)[0]
