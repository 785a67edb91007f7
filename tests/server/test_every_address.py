"""`listen` on every address: of both families, and links that still lead somewhere."""

import asyncio
import json
import socket
from typing import Any

import pytest

from proxy.fake_trello.server import FakeTrello
from proxy.server.listener import listen_socket
from tests.server.conftest import (
    MakeProxy,
    Proxy,
    Wire,
)

IPV4, IPV6 = "127.0.0.1", "::1"


def _has_ipv6() -> bool:
    try:
        with socket.create_server((IPV6, 0), family=socket.AF_INET6):
            return True
    except OSError:
        return False


needs_ipv6 = pytest.mark.skipif(not _has_ipv6(), reason="this machine has no IPv6")


async def _said(proxy: Proxy, address: str, request: bytes, port: int | None) -> int:
    """The status of the response to this request at this address."""
    reader, writer = await asyncio.open_connection(address, port)
    wire = Wire(reader, writer)
    proxy.wires.append(wire)
    wire.send(request)
    return (await wire.hear()).status


def _events(proxy: Proxy, message: str) -> list[dict[str, Any]]:
    lines = [json.loads(line) for line in proxy.log.splitlines()]
    return [line for line in lines if line["message"] == message]


@needs_ipv6
async def test_the_wildcard_of_ipv6_takes_clients_of_both_families(
    make_proxy: MakeProxy, standin: FakeTrello
) -> None:
    proxy = await make_proxy(standin.url, "admin: {listen: '[::]:0'}", host="[::]")
    for address, host in ((IPV4, IPV4), (IPV6, "[::1]")):
        health = f"GET /healthz HTTP/1.1\r\nHost: {host}\r\n\r\n".encode()
        purge = f"POST /-/purge HTTP/1.1\r\nHost: {host}\r\n\r\n".encode()
        home = f"GET / HTTP/1.1\r\nHost: {host}\r\n\r\n".encode()
        assert await _said(proxy, address, home, proxy.app.port) == 200
        assert await _said(proxy, address, health, proxy.app.admin_port) == 200
        assert await _said(proxy, address, purge, proxy.app.admin_port) == 200
    await proxy.stop()
    (listening,) = _events(proxy, "listening")
    assert listening["address"] == f"[::]:{proxy.app.port}, 0.0.0.0:{proxy.app.port}"
    assert listening["admin"] == f"[::]:{proxy.app.admin_port}, 0.0.0.0:{proxy.app.admin_port}"
    assert {line["client"] for line in proxy.requests} == {IPV4, IPV6}


@needs_ipv6
@pytest.mark.parametrize("host", ["::1", "127.0.0.1"])
def test_one_address_is_one_socket(host: str) -> None:
    (sock,) = listen_socket(host, 0)
    with sock:
        assert sock.getsockname()[0] == host


@needs_ipv6
def test_an_address_that_is_taken_in_one_family_is_taken() -> None:
    with socket.create_server(("0.0.0.0", 0)) as taken:  # noqa: S104 — as a proxy's own
        port = taken.getsockname()[1]
        with pytest.raises(OSError, match="in use"):
            listen_socket("::", port)
    for sock in listen_socket("::", port):  # and nothing of it is left open
        sock.close()


async def test_links_lead_to_this_machine_where_no_public_url_says_more(
    make_proxy: MakeProxy, standin: FakeTrello
) -> None:
    proxy = await make_proxy(standin.url, host="0.0.0.0")  # noqa: S104 — what is tested
    card, path = standin.trello.example_card, standin.trello.example_attachment_path
    heard = await proxy.get(f"/1/cards/{card}/attachments")
    assert f"http://localhost:{proxy.app.port}{path}".encode() in heard.body
    assert b"0.0.0.0" not in heard.body
    await proxy.stop()
    access, warned = _events(proxy, "configuration")
    assert "clients.access is open" in access["detail"]
    assert warned["level"] == "warning"
    assert "public_url: http://trello.internal:" in warned["detail"]


@pytest.mark.parametrize(
    ("host", "yaml"),
    [
        ("0.0.0.0", "public_url: https://trello.internal\nclients: {access: keys}"),  # noqa: S104
        ("127.0.0.1", ""),
    ],
)
async def test_no_warning_of_links_that_lead_to_the_proxy(
    make_proxy: MakeProxy, standin: FakeTrello, host: str, yaml: str
) -> None:
    proxy = await make_proxy(standin.url, yaml, host=host)
    await proxy.stop()
    assert not _events(proxy, "configuration")
