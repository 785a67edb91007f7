"""Why no connection came about: each cause has its own words, for clients and for the operator."""

import asyncio
import secrets
import ssl
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from proxy.cli.credential_check import check_credentials
from proxy.config.schema import Config, Upstream
from proxy.fake_trello.faults import Fault
from proxy.fake_trello.server import FakeTrello
from proxy.model import Credential
from proxy.runtime.clock import FakeClock
from tests.deploy.tools import told, tool
from tests.scenarios.conftest import (
    KEY,
    TOKEN,
    StartProxy,
)

ME = "/1/members/me"


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """One that nobody has signed, for the name `localhost`, and its key."""
    directory = tmp_path_factory.mktemp("tls")
    certificate, key = directory / "tls.crt", directory / "tls.key"
    made = told(
        *(tool("openssl", "apt-get install openssl"), "req", "-x509", "-newkey", "ec", "-nodes"),
        *("-pkeyopt", "ec_paramgen_curve:prime256v1", "-days", "2", "-subj", "/CN=localhost"),
        *("-addext", "subjectAltName=DNS:localhost"),
        *("-keyout", str(key), "-out", str(certificate)),
    )
    assert made[0] == 0, made[1]
    return certificate, key


@pytest.fixture
async def untrusted(certificate: tuple[Path, Path]) -> AsyncIterator[str]:
    """The origin of a server with that certificate."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*certificate)
    server = await asyncio.start_server(lambda _, w: w.close(), "127.0.0.1", 0, ssl=context)
    yield f"https://localhost:{server.sockets[0].getsockname()[1]}"
    server.close()


@pytest.fixture
async def plain() -> AsyncIterator[str]:
    """The origin of a server that is none of TLS."""

    async def response(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(1)
        writer.write(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n")
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(response, "127.0.0.1", 0)
    yield f"https://localhost:{server.sockets[0].getsockname()[1]}"
    server.close()


@pytest.fixture
def origins(untrusted: str, plain: str) -> dict[str, str]:
    return {
        "certificate": untrusted,
        "tls": plain,
        "dns": "https://trello.invalid",
        "refused": "http://127.0.0.1:1",
    }


CAUSES = {
    "certificate": ("tls_certificate_error", "certificate", "self-signed certificate"),
    "tls": ("tls_protocol_error", "TLS handshake", "WRONG_VERSION_NUMBER"),
    "dns": ("dns_error", "DNS", "gaierror: Name or service not known"),
    "refused": ("connection_refused", "refuses connections", "ECONNREFUSED"),
}


@pytest.mark.parametrize(("cause", "words"), CAUSES.items(), ids=CAUSES.keys())
async def test_each_cause_is_told_apart(
    start_proxy: StartProxy, origins: dict[str, str], cause: str, words: tuple[str, str, str]
) -> None:
    error, sentence, reason = words
    proxy = await start_proxy(upstream={"url": origins[cause]})
    heard = await proxy.get(ME)
    assert (heard.status, heard.problem) == (502, f"upstream-{cause}")
    assert heard.fields["Proxy-Status"] == f"trello-proxy; error={error}"
    assert sentence in heard.json["detail"]
    (line,) = proxy.logged("connect failed")
    assert (line["level"], line["type"]) == ("error", f"upstream-{cause}")
    host = origins[cause].partition("://")[2]
    assert line["reason"].startswith(f"{host}:" if ":" in host else f"{host}:443:")
    assert reason in line["reason"]
    assert reason not in heard.body.decode()
    write = await proxy("PUT", "/1/cards/x?name=y")
    assert write.problem == f"upstream-{cause}"


@pytest.mark.parametrize(("cause", "words"), CAUSES.items(), ids=CAUSES.keys())
async def test_check_online_says_the_same_and_the_reason(
    origins: dict[str, str], cause: str, words: tuple[str, str, str]
) -> None:
    config = Config(upstream=Upstream(url=origins[cause]))
    found = await check_credentials(
        config, Credential(KEY, TOKEN), FakeClock(), secrets.token_bytes
    )
    assert not found.is_usable
    sentence, reason = found.lines
    assert words[1] in sentence
    assert words[2] in reason


async def test_the_log_tells_each_cause_once_a_minute(
    start_proxy: StartProxy, clock: FakeClock, untrusted: str
) -> None:
    proxy = await start_proxy(upstream={"url": untrusted})
    for number in range(8):
        assert (await proxy.get(f"{ME}?_={number}")).status in {502, 503}
    assert len(proxy.logged("connect failed")) == 1
    clock.advance(61)
    assert (await proxy.get(ME)).status == 502
    assert len(proxy.logged("connect failed")) == 2
    told = str(proxy.logged("connect failed"))
    assert KEY not in told
    assert TOKEN not in told
    assert "members" not in told


async def test_the_storage_of_files_is_told_of_likewise(
    start_proxy: StartProxy, standin: FakeTrello, untrusted: str
) -> None:
    host = untrusted.partition("://")[2]
    location = f"{untrusted}/f?X-Signature=5igned"
    path = standin.trello.example_attachment_path
    standin.faults.add(
        Fault("status", path, status=302, fields=(("Location", location),), times=None)
    )
    proxy = await start_proxy(upstream={"storage_hosts": (host,)})
    heard = await proxy.get(path)
    assert (heard.status, heard.problem) == (502, "upstream-certificate")
    (line,) = proxy.logged("connect failed")
    assert line["reason"].startswith(f"{host}: CERTIFICATE_VERIFY_FAILED")
    assert "5igned" not in str(line)
