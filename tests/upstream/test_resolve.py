"""`upstream.resolve`: names from a DNS server of the operator's, not from this machine."""

import asyncio
import struct
import sys
from collections.abc import AsyncIterator
from dataclasses import replace

import pytest

from proxy.config.certificates import client_context
from proxy.config.schema import Upstream
from proxy.errors import NameNotResolved, UntrustedCertificate
from proxy.upstream.egress import egress_of
from proxy.upstream.transport import Transport, UpstreamRequest
from tests.authority import Authority
from tests.upstream.conftest import OK, Reply, Server
from tests.upstream.connect_proxy import tls_before

pytest.importorskip("aiodns")

NAME = "api.trello.test"


class DnsServer(asyncio.DatagramProtocol):
    """A DNS server that knows one name, as 127.0.0.1."""

    def __init__(self) -> None:
        self.asked = set[bytes]()
        self.answers_aaaa = True

    def connection_made(self, transport: asyncio.DatagramTransport) -> None:  # type: ignore[override]
        self._transport = transport
        self.address = "{}:{}".format(*transport.get_extra_info("sockname"))

    def datagram_received(self, data: bytes, address: tuple[str, int]) -> None:
        end = data.index(b"\0", 12) + 5
        name, kind = data[12 : end - 4], struct.unpack(">H", data[end - 4 : end - 2])[0]
        self.asked.add(name)
        if kind == 28 and not self.answers_aaaa:
            return
        is_known = name == b"\x03api\x06trello\x04test\0"
        record = b"\xc0\x0c" + struct.pack(">HHIH4B", 1, 1, 60, 4, 127, 0, 0, 1)
        records = [record] if is_known and kind == 1 else []
        flags = b"\x81\x80" if is_known else b"\x81\x83"
        counts = struct.pack(">4H", 1, len(records), 0, 0)
        answer = data[:2] + flags + counts + data[12:end] + b"".join(records)
        self._transport.sendto(answer, address)


@pytest.fixture
async def dns() -> AsyncIterator[DnsServer]:
    loop = asyncio.get_running_loop()
    transport, made = await loop.create_datagram_endpoint(DnsServer, ("127.0.0.1", 0))
    yield made
    transport.close()


@pytest.fixture
async def transport(dns: DnsServer) -> AsyncIterator[Transport]:
    settings = Upstream(resolve=(dns.address,))
    made = Transport(connect_timeout_s=5, read_timeout_s=5, egress=egress_of(settings))
    yield made
    await made.close()


@pytest.fixture
def url(server: Server) -> str:
    """Of the server, by the name."""
    return f"http://{NAME}:{server.url.rpartition(':')[2]}/1/x"


async def test_a_name_is_what_the_server_says(
    transport: Transport, dns: DnsServer, server: Server, url: str
) -> None:
    server.script = [Reply(OK)]
    response = await transport.send(UpstreamRequest("GET", url, ()))
    response.close()
    assert response.status == 200
    assert dns.asked == {b"\x03api\x06trello\x04test\0"}


async def test_an_ipv4_address_does_not_wait_for_an_ipv6_one_that_never_comes(
    transport: Transport, dns: DnsServer, server: Server, url: str
) -> None:
    dns.answers_aaaa = False
    server.script = [Reply(OK)]
    async with asyncio.timeout(1.9):  # c-ares asks again after 2 s
        (await transport.send(UpstreamRequest("GET", url, ()))).close()


async def test_a_name_that_the_server_does_not_know_has_no_address(transport: Transport) -> None:
    with pytest.raises(NameNotResolved) as raised:
        await transport.send(UpstreamRequest("GET", "http://other.trello.test/1/x", ()))
    assert "other.trello.test:80" in raised.value.reason


@pytest.mark.parametrize("name", [NAME, "another.test"])
async def test_the_certificate_is_verified_by_the_name(
    dns: DnsServer, server: Server, tmp_path_factory: pytest.TempPathFactory, name: str
) -> None:
    authority = Authority(tmp_path_factory.mktemp("ca"))
    pair, port = authority.issue("/CN=x", name), int(server.url.rpartition(":")[2])
    server.script = [Reply(OK)]
    context = client_context(str(authority.root.certificate))
    egress = replace(egress_of(Upstream(resolve=(dns.address,))), context=context)
    made = Transport(connect_timeout_s=5, read_timeout_s=5, egress=egress)
    async with tls_before(port, pair) as tls_port:
        request = UpstreamRequest("GET", f"https://{NAME}:{tls_port}/1/x", ())
        if name == NAME:
            (await made.send(request)).close()
        else:
            with pytest.raises(UntrustedCertificate):
                await made.send(request)
    await made.close()


_TEN_TIMES = """
import asyncio, sys
from proxy.config.schema import Upstream
from proxy.upstream.egress import egress_of
from proxy.upstream.transport import Transport, UpstreamRequest

async def main(server, url):
    for _ in range(10):
        egress = egress_of(Upstream(resolve=(server,)))
        transport = Transport(connect_timeout_s=5, read_timeout_s=5, egress=egress)
        (await transport.send(UpstreamRequest("GET", url, ()))).close()
        await transport.close()

asyncio.run(main(*sys.argv[1:]))
"""


async def test_a_name_is_resolved_whatever_freed_memory_holds(
    dns: DnsServer, server: Server, url: str
) -> None:
    # A C library that keeps a pointer to freed memory works most of the time; glibc can fill it.
    server.script = [Reply(OK)] * 10
    child = await asyncio.create_subprocess_exec(
        sys.executable,
        "-c",
        _TEN_TIMES,
        dns.address,
        url,
        env={"MALLOC_PERTURB_": "165"},
        stderr=asyncio.subprocess.PIPE,
    )
    _, error = await child.communicate()
    assert child.returncode == 0, error.decode()[-300:]
