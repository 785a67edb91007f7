"""Connections to Redis: TLS, users, Sentinel; and no password in any error."""

import asyncio
import subprocess
from pathlib import Path

import pytest

from proxy.cache.store import redis_connection
from proxy.cache.store.redis_connection import RedisConnection
from proxy.config.schema import load
from proxy.errors import StoreError
from proxy.fleet.redis_lease import RENEW, RedisLease
from proxy.fleet.redis_sends import RedisSends
from proxy.runtime.clock import FakeClock
from tests.cache.store.conftest import BOARD, answer
from tests.cache.store.redis_node import RedisNode
from tests.deploy.tools import tool
from tests.redis_server import RedisServer, free_port, needs_redis
from tests.sentinel import WatchedRedis

pytestmark = needs_redis

PASSWORD = "c0ffeec0ffee/@:"  # noqa: S105 - opens nothing
ENCODED = "c0ffeec0ffee%2F%40%3A"
RIGHTS = "~{trello-proxy}:* +@read +@write +@scripting +@connection +info +role +time"


@pytest.fixture(autouse=True)
def _patience(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(redis_connection, "TIMEOUT_S", 10.0)


async def error_of(url: str) -> str:
    """What is said of a URL that does not work."""
    connection = RedisConnection(url, FakeClock())
    try:
        with pytest.raises(StoreError) as caught:
            await connection.open()
    finally:
        await connection.close()
    return str(caught.value)


async def test_the_documented_rights_are_enough(tmp_path: Path, own_redis: RedisServer) -> None:
    with own_redis.client() as client:
        rights = RIGHTS.replace("trello-proxy", "test").split()
        client.execute_command("ACL", "SETUSER", "proxy", "on", f">{PASSWORD}", *rights)
        client.execute_command("ACL", "SETUSER", "default", "off")
    node = RedisNode(f"redis://proxy:{ENCODED}@127.0.0.1:{own_redis.port}", tmp_path)
    await node.start()
    try:
        await node.keep(answer(1))
        await node.invalidate(BOARD)
        assert not await node.lost_something()
        assert "store failed" not in node.log
    finally:
        await node.stop()
    connection = RedisConnection(node.connection._url, FakeClock())
    lease = RedisLease(lambda: connection, name="test", address="A", instance="a", replicas=0)
    term = await lease.acquire((await lease.look()).sighting, 0)
    assert term is not None
    with pytest.raises(StoreError, match="too few replicas"):
        await connection.replicated(
            1, RENEW, ["{test}:leader", "{test}:members"], term, 1, "", "a", 0
        )
    sends = RedisSends(lambda: connection, FakeClock(), name="test", term=term, digest=str)
    await sends.open(load("", "test", {}, str).limits, is_trusted=True)
    await sends.flush()
    assert not sends._is_lost
    await lease.close()
    later = RedisNode(f"redis://proxy:{ENCODED}@127.0.0.1:{own_redis.port}", tmp_path)
    await later.start()
    assert later.epochs.last[BOARD] > 0
    await later.stop()


async def test_no_error_names_a_password(own_redis: RedisServer) -> None:
    url = f"redis://proxy:{ENCODED}@127.0.0.1:{own_redis.port}"
    assert await error_of(url) == "Redis: AuthenticationError"
    said = await error_of(f"redis://:{ENCODED}@127.0.0.1:1")
    assert said == "Redis: Connect call failed ('127.0.0.1', 1)"
    assert PASSWORD not in repr(RedisConnection(url, FakeClock()))


async def test_a_server_that_repeats_the_command_does_not_give_the_password_away() -> None:
    async def repeat(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        said = (await reader.read(4096)).replace(b"\r\n", b" ")
        writer.write(b"-ERR unknown command, with args beginning with: " + said + b"\r\n")
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(repeat, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    said = await error_of(f"redis://proxy:{ENCODED}@127.0.0.1:{port}")
    server.close()
    assert said == "Redis: ResponseError"


async def test_a_command_whose_connection_is_closed_by_another_caller_has_failed(
    own_redis: RedisServer,
) -> None:
    connection = RedisConnection(own_redis.url, FakeClock())
    await connection.open()
    own_redis.pause()
    waiting = asyncio.ensure_future(connection.run(connection.client.ping))
    cancelled = asyncio.ensure_future(connection.run(connection.client.ping))
    await asyncio.sleep(0)
    cancelled.cancel()
    await connection.close()
    own_redis.resume()
    with pytest.raises(StoreError, match="closed"):
        await waiting
    with pytest.raises(asyncio.CancelledError):
        await cancelled


async def test_what_is_no_redis_is_a_store_error() -> None:
    async def greet(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(greet, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    assert (await error_of(f"redis://127.0.0.1:{port}")).startswith("Redis: ")
    server.close()


def certified(directory: Path) -> Path:
    """A certificate for 127.0.0.1 and its key, in one file."""
    file = directory / "redis.pem"
    subprocess.run(
        [
            *(tool("openssl", "apt-get install openssl"), "req", "-x509", "-newkey", "ec"),
            *("-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2"),
            *("-subj", "/CN=redis", "-addext", "subjectAltName=IP:127.0.0.1"),
            *("-keyout", str(file), "-out", str(file)),
        ],
        check=True,
        capture_output=True,
    )
    return file


async def test_tls_is_verified(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pem, port = str(certified(tmp_path)), free_port()
    server = RedisServer(tmp_path / "redis", "--tls-port", str(port), "--tls-auth-clients", "no")
    server.start("--tls-cert-file", pem, "--tls-key-file", pem, "--tls-ca-cert-file", pem)
    try:
        assert "certificate" in (await error_of(f"rediss://127.0.0.1:{port}")).lower()
        monkeypatch.setenv("SSL_CERT_FILE", pem)
        connection = RedisConnection(f"rediss://127.0.0.1:{port}", FakeClock())
        await connection.open()
        await connection.close()
        assert await error_of(f"rediss://localhost:{port}")
    finally:
        server.kill()


@pytest.mark.slow
async def test_a_fail_over_is_followed_and_begins_a_new_generation_if_writes_were_lost(
    watched_redis: WatchedRedis, tmp_path: Path
) -> None:
    first = watched_redis.first
    node = RedisNode(watched_redis.url.replace("//", "//127.0.0.1:1,"), tmp_path)
    await node.start()
    try:
        await node.keep(answer(1, b"1"))
        assert await node.get(1) is not None
        first.pause()  # a former master that comes back is none any more
        await watched_redis.failed_over()
        first.kill()
        await node.get(1)
        await node.invalidate(BOARD)
        await node.reopened()
        assert await node.get(1) is None
        await node.keep(answer(2, b"2", seq=node.epochs.seq))
        assert await node.get(2) is not None
    finally:
        await node.stop()
