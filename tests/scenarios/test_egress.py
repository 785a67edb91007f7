"""Trello reached through an HTTP proxy and with a private CA, and all that may fail on the way."""

import secrets
import socket
import ssl
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import replace
from typing import Any

import pytest

from proxy.cli.credential_check import check_credentials
from proxy.config.certificates import client_context
from proxy.config.schema import Config, load
from proxy.errors import InvalidResponse
from proxy.fake_trello.faults import Fault
from proxy.fake_trello.server import FakeTrello
from proxy.model import Credential, Secret
from proxy.runtime.clock import FakeClock
from proxy.upstream.egress import egress_of
from proxy.upstream.transport import Transport, UpstreamRequest
from tests.authority import Authority
from tests.scenarios.conftest import KEY, TOKEN, StartProxy
from tests.scenarios.test_files import attach
from tests.upstream.connect_proxy import ConnectProxy, tls_before

ME = "/1/members/me"
API, FILES = "api.trello.test", "files.trello.test"
"""Names that only the egress proxy can resolve."""
USER, PASSWORD = "office", "pa:55/w@rd"
QUOTED = "pa%3A55%2Fw%40rd"
BASIC = "Basic b2ZmaWNlOnBhOjU1L3dAcmQ="


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    made = Authority(tmp_path_factory.mktemp("ca"))
    made.issue("/CN=trello", API, FILES, "localhost", file="trello")
    return made


@pytest.fixture
def ca(authority: Authority) -> str:
    return str(authority.root.certificate)


@pytest.fixture
async def egress(standin: FakeTrello, authority: Authority) -> AsyncIterator[ConnectProxy]:
    """An HTTP proxy that wants a credential, to Trello and its storage over TLS."""
    async with AsyncExitStack() as stack:
        ports = {}
        for name, plain in ((API, standin.url), (FILES, standin.storage_host)):
            port = int(plain.rpartition(":")[2])
            before = tls_before(port, authority.pair("trello"))
            ports[f"{name}:443"] = await stack.enter_async_context(before)
        made = ConnectProxy(ports, BASIC)
        await made.start()
        stack.push_async_callback(made.stop)
        yield made


def _through(egress: ConnectProxy, ca: str | None) -> dict[str, Any]:
    """Settings of `upstream`."""
    url = Secret(f"http://{USER}:{QUOTED}@127.0.0.1:{egress.port}")
    return {"url": f"https://{API}", "storage_hosts": (FILES,), "proxy": url, "ca": ca}


def _configured(upstream: dict[str, Any]) -> Config:
    config = load("", "proxy.yaml", {}, str)
    return replace(config, upstream=replace(config.upstream, **upstream))


class TestThroughAProxy:
    async def test_the_api_is_reached_and_its_name_resolved_there(
        self, start_proxy: StartProxy, egress: ConnectProxy, ca: str, standin: FakeTrello
    ) -> None:
        proxy = await start_proxy(upstream=_through(egress, ca))
        assert (await proxy.get(ME)).status == 200
        assert (await proxy.get(f"{ME}?fields=username")).status == 200
        assert egress.targets == [f"{API}:443"]
        assert b"Authorization: OAuth" not in egress.headers[0]
        sent = standin.request_log.requests[0]
        assert "Proxy-Authorization" not in str(sent)

    async def test_its_credential_is_shown_to_nobody_else(
        self, start_proxy: StartProxy, egress: ConnectProxy, ca: str
    ) -> None:
        proxy = await start_proxy("log: {level: debug}", upstream=_through(egress, ca))
        seen = [await proxy.get(ME), await proxy.get("/metrics"), await proxy.get("/")]
        egress.reply = f"HTTP/1.1 403 {PASSWORD}\r\nX: {BASIC}\r\n\r\n{PASSWORD}".encode()
        seen += [await proxy.get(f"{ME}?fields=id&_={n}") for n in range(2)]
        shown = str(seen) + "".join(map(str, proxy.logged("connect failed")))
        config = _configured(_through(egress, ca))
        shown += str(config) + repr(egress_of(config.upstream))
        for secret in (PASSWORD, QUOTED, BASIC.partition(" ")[2]):
            assert secret not in shown

    async def test_downloads_take_the_same_way(
        self, start_proxy: StartProxy, egress: ConnectProxy, ca: str, standin: FakeTrello
    ) -> None:
        path = _redirect(standin, f"https://{FILES}/files/f?X-Signature=5igned")
        standin.faults.add(
            Fault("status", "/files/f", status=200, body="bytes", content_type="text/plain")
        )
        proxy = await start_proxy(upstream=_through(egress, ca))
        response = await proxy.get(path)
        assert (response.status, response.body) == (200, b"bytes")
        assert set(egress.targets) == {f"{API}:443", f"{FILES}:443"}

    @pytest.mark.parametrize(
        "location",
        [
            f"http://{FILES}/f",
            "https://elsewhere.test/f",
            "https://169.254.169.254/f",
            "https://[::1]/",
        ],
    )
    async def test_a_redirect_elsewhere_reaches_no_proxy(
        self,
        start_proxy: StartProxy,
        egress: ConnectProxy,
        ca: str,
        standin: FakeTrello,
        location: str,
    ) -> None:
        path = _redirect(standin, location)
        proxy = await start_proxy(upstream=_through(egress, ca))
        assert (await proxy.get(path)).problem == "invalid-response"
        assert set(egress.targets) == {f"{API}:443"}

    async def test_the_guard_decides_on_an_address_before_the_proxy_is_asked(
        self, egress: ConnectProxy, ca: str
    ) -> None:
        checked = []

        def never(address: str, port: int) -> bool:
            checked.append((address, port))
            return False

        settings = _configured(_through(egress, ca)).upstream
        transport = Transport(
            connect_timeout_s=5, read_timeout_s=5, may_connect=never, egress=egress_of(settings)
        )
        for host in ("192.0.2.1:8443", "[64:ff9b::a00:1]"):
            with pytest.raises(InvalidResponse):
                await transport.send(UpstreamRequest("GET", f"https://{host}/", ()))
        await transport.close()
        assert checked == [("192.0.2.1", 8443), ("64:ff9b::a00:1", 443)]
        assert not egress.headers


def _redirect(standin: FakeTrello, location: str) -> str:
    """The path of a download that is redirected there."""
    path = attach(standin, standin.trello.example_card, b"bytes")
    fields = (("Location", location),)
    standin.faults.add(Fault("status", path, status=302, fields=fields, times=None))
    return path


FAILURES: dict[str, tuple[bytes, str, int, str]] = {
    "a wrong credential": (b"", "upstream-proxy", 502, "CONNECT got 407"),
    "a refusal": (b"HTTP/1.1 403 No\r\n\r\n", "upstream-proxy", 502, "CONNECT got 403"),
    "no way further": (b"HTTP/1.1 504 No\r\n\r\n", "upstream-proxy", 502, "CONNECT got 504"),
    "no HTTP": (b"SSH-2.0-x\r\n\r\n", "upstream-proxy", 502, ""),
    "half a response": (b"HTTP/1.1 200", "upstream-proxy", 502, ""),
    "silence": (b"", "upstream-connect-timeout", 504, ""),
    "no proxy": (b"", "upstream-proxy", 502, "ECONNREFUSED"),
    "no name": (b"", "upstream-proxy", 502, "Name or service not known"),
}
ERRORS = {
    "upstream-proxy": "destination_unavailable",
    "upstream-connect-timeout": "connection_timeout",
}


class TestFailures:
    @pytest.fixture(params=FAILURES)
    def failing(
        self, request: pytest.FixtureRequest, egress: ConnectProxy, ca: str
    ) -> tuple[dict[str, Any], str, int, str, str]:
        """Settings of `upstream`; problem type, status and reason; and the proxy that is named."""
        reply, problem, status, reason = FAILURES[request.param]
        settings, authority = _through(egress, ca), f"127.0.0.1:{egress.port}"
        match request.param:
            case "a wrong credential":
                settings["proxy"] = Secret(f"http://{USER}:wrong@{authority}")
            case "no proxy":
                with socket.create_server(("127.0.0.1", 0)) as free:
                    authority = f"127.0.0.1:{free.getsockname()[1]}"
                settings["proxy"] = Secret(f"http://{authority}")
            case "no name":
                authority = "proxy.invalid:3128"
                settings["proxy"] = Secret(f"http://{authority}")
            case _:
                egress.reply = reply
        if request.param == "silence":
            settings |= {"connect_timeout_s": 0.1, "read_timeout_s": 0.1}
        return settings, problem, status, reason, authority

    async def test_of_the_proxy_are_told_apart(
        self, start_proxy: StartProxy, failing: tuple[dict[str, Any], str, int, str, str]
    ) -> None:
        settings, problem, status, reason, authority = failing
        proxy = await start_proxy(upstream=settings)
        response = await proxy("PUT", "/1/cards/x?name=y")
        assert (response.status, response.problem) == (status, problem)
        assert response.fields["Proxy-Status"] == f"trello-proxy; error={ERRORS[problem]}"
        assert "proxy on the way to Trello" in response.json["detail"]
        assert authority not in response.body.decode()
        (line,) = proxy.logged("connect failed")
        assert line["type"] == problem
        assert line["reason"].startswith(f"{authority}: ")
        assert reason in line["reason"]

    async def test_of_the_proxy_are_shown_by_check(
        self, failing: tuple[dict[str, Any], str, int, str, str]
    ) -> None:
        settings, _, _, reason, authority = failing
        config = _configured(settings)
        found = await check_credentials(
            config, Credential(KEY, TOKEN), FakeClock(), secrets.token_bytes
        )
        assert not found.is_usable
        assert "proxy on the way to Trello" in found.lines[0]
        assert found.lines[1].startswith(f"{authority}: ")
        assert reason in found.lines[1]

    async def test_of_trello_behind_it_are_trellos(
        self, start_proxy: StartProxy, egress: ConnectProxy
    ) -> None:
        proxy = await start_proxy(upstream=_through(egress, None))
        response = await proxy.get(ME)
        assert (response.status, response.problem) == (502, "upstream-certificate")
        (line,) = proxy.logged("connect failed")
        assert line["reason"].startswith(f"{API}:443: CERTIFICATE_VERIFY_FAILED")


class TestPrivateCa:
    def test_it_is_trusted_besides_the_systems(self, ca: str) -> None:
        systems = ssl.create_default_context().cert_store_stats()["x509_ca"]
        assert client_context(ca).cert_store_stats()["x509_ca"] == systems + 1

    async def test_it_needs_no_proxy(
        self, start_proxy: StartProxy, standin: FakeTrello, authority: Authority, ca: str
    ) -> None:
        port = int(standin.url.rpartition(":")[2])
        async with tls_before(port, authority.pair("trello")) as tls_port:
            url = f"https://localhost:{tls_port}"
            proxy = await start_proxy(upstream={"url": url, "ca": ca})
            assert (await proxy.get(ME)).status == 200
