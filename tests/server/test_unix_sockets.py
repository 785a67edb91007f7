"""`listen` and `admin.listen` at Unix sockets: the same proxy, and its clients are local."""

import asyncio
import json
from pathlib import Path

import pytest

from proxy.app.app import App, SystemPorts
from proxy.app.from_config import configuration_warnings
from proxy.cli.admin_request import admin_request
from proxy.cli.console import CommandFailed
from proxy.config.schema import load
from proxy.fake_trello.server import FakeTrello
from proxy.runtime.clock import FakeClock
from proxy.runtime.directory import inode_of
from proxy.server.listener import CannotListen
from tests.server.conftest import CREDENTIAL, Heard, MakeProxy, Proxy, Wire, says

ME = "/1/members/me"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "http.sock"


@pytest.fixture
async def proxy(make_proxy: MakeProxy, standin: FakeTrello, path: Path) -> Proxy:
    return await make_proxy(standin.url, listen=f"unix:{path}", storage=(standin.storage_host,))


async def _connected(proxy: Proxy, path: Path) -> Wire:
    proxy.wires.append(Wire(*await asyncio.open_unix_connection(path)))
    return proxy.wires[-1]


async def _get(
    proxy: Proxy, path: Path, target: str, *lines: str, host: str = "localhost"
) -> Heard:
    wire = await _connected(proxy, path)
    fields = "".join(f"{line}\r\n" for line in (f"Host: {host}", *lines))
    wire.send(f"GET {target} HTTP/1.1\r\n{fields}\r\n".encode())
    return await wire.hear()


async def test_it_serves_misses_hits_and_files(
    proxy: Proxy, standin: FakeTrello, path: Path
) -> None:
    assert [(await _get(proxy, path, ME)).status for _ in range(3)] == [200] * 3
    file = await _get(proxy, path, standin.trello.example_attachment_path)
    assert (file.status, len(file.body)) == (200, int(file.fields["content-length"]))
    assert len(proxy.app.fast_paths[0]) == 1
    await proxy.stop()
    assert {line["client"] for line in proxy.requests} == {"unix"}


async def test_its_client_is_the_operator_unless_another_sent_the_request(
    proxy: Proxy, path: Path
) -> None:
    assert (await _get(proxy, path, "/metrics")).status == 200
    for lines in (["X-Forwarded-For: 192.0.2.1"], ["Via: 1.1 front"]):
        assert says(await _get(proxy, path, "/metrics", *lines), 403, "admin-only")
    assert says(await _get(proxy, path, "/metrics", host="evil.example"), 421, "host-not-allowed")


async def test_a_client_of_another_name_is_not_taken_for_a_local_one(
    make_proxy: MakeProxy, standin: FakeTrello
) -> None:
    """`unix` is no host name that a client could give itself."""
    proxy = await make_proxy(standin.url, "clients: {hosts: [unix]}")
    assert says(await proxy.get("/metrics", {"Host": "unix"}), 403, "admin-only")


async def test_its_file_is_named_in_the_log_and_removed_at_the_end(
    proxy: Proxy, path: Path
) -> None:
    await proxy.stop()
    assert inode_of(path) is None
    (line,) = [each for each in map(json.loads, proxy.logged) if each["message"] == "listening"]
    assert line["address"] == f"unix:{path}"


async def test_a_socket_in_use_is_an_address_in_use(
    proxy: Proxy, standin: FakeTrello, path: Path
) -> None:
    config = load(f"listen: 'unix:{path}'\ncache: {{backend: memory}}", "proxy.yaml", {}, str)
    second = App(
        config, CREDENTIAL, SystemPorts(clock=FakeClock(), write_log=lambda _: None, random=bytes)
    )
    with pytest.raises(CannotListen, match="is taken"):
        await second.start()
    await second.stop()
    assert (await _get(proxy, path, ME)).status == 200


async def test_the_operator_may_have_one_of_their_own(
    make_proxy: MakeProxy, standin: FakeTrello, path: Path
) -> None:
    proxy = await make_proxy(standin.url, f"admin: {{listen: 'unix:{path}'}}")
    assert (await _get(proxy, path, "/metrics")).status == 200
    assert (await proxy.get("/metrics")).status == 404
    config = load(f"admin: {{listen: 'unix:{path}'}}", "proxy.yaml", {}, str)
    purged = await asyncio.to_thread(admin_request, config, "POST", "/-/purge")
    assert json.loads(purged) == {"purged": "everything"}
    await proxy.stop()
    with pytest.raises(CommandFailed, match=f"no proxy responds at unix:{path}"):
        admin_request(config, "POST", "/-/purge")


def test_links_need_a_public_url() -> None:
    config = load("listen: unix:/run/x", "proxy.yaml", {}, str)
    (warning,) = configuration_warnings(config, cores=4)
    assert "links lead to http://localhost, where nothing listens" in warning
    assert warning.endswith("public_url: http://trello.internal")
