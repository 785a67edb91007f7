"""`cache.backend: redis` end to end: it outlives the proxy, and its failures reach no client."""

import asyncio
import secrets
from pathlib import Path
from typing import Any

import pytest

from proxy.app.app import App, SystemPorts
from proxy.cache.store import disk_tier, redis_connection
from proxy.config.schema import load
from proxy.fake_trello.server import FakeTrello
from proxy.model import Credential, Secret
from proxy.runtime.clock import FakeClock
from tests.redis_server import RedisServer, needs_redis
from tests.scenarios.conftest import KEY, TOKEN, Proxy, StartProxy, reopened, until

pytestmark = needs_redis

PASSWORD = "correct-horse-battery"  # noqa: S105 - opens nothing
A_HIT = {"hit; ttl=30", "hit; ttl=29"}
"""Of a response that another process has stored: it is as old as Redis's clock says."""
NO_MEMORY = 1024
"""Bytes: too little for a response, so that each is read from Redis."""


@pytest.fixture(autouse=True)
def _patience(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(redis_connection, "TIMEOUT_S", 10.0)


@pytest.fixture
def guarded(own_redis: RedisServer) -> RedisServer:
    """A Redis that asks for a password."""
    with own_redis.client() as client:
        client.config_set("requirepass", PASSWORD)
    return own_redis


def in_redis(server: RedisServer, password: str = "") -> dict[str, Any]:
    """The section `cache` of a proxy that keeps nothing in memory."""
    user = f":{password}@" if password else ""
    url = f"redis://{user}127.0.0.1:{server.port}/0"
    return {"backend": "redis", "redis": Secret(url), "memory_bytes": NO_MEMORY}


@pytest.fixture
def target(standin: FakeTrello) -> str:
    return f"/1/boards/{standin.trello.example_board}"


async def settled(proxy: Proxy) -> None:
    """Return when everything is in Redis."""
    await proxy.app.components.stores.responses.flush()


async def test_a_start_that_is_cancelled_closes_its_connection(
    directory: Path, clock: FakeClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(disk_tier, "STOP_TIMEOUT_S", 0.05)
    asked, closed = asyncio.Event(), asyncio.Event()

    async def never_respond(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while await reader.read(4096):
            asked.set()
        closed.set()
        writer.close()

    async with await asyncio.start_server(never_respond, "127.0.0.1", 0) as server:
        url = f"redis://127.0.0.1:{server.sockets[0].getsockname()[1]}/0"
        cache = f"{{backend: redis, redis: '{url}', directory: '{directory}'}}"
        config = load(f"listen: 127.0.0.1:0\ncache: {cache}", "proxy.yaml", {}, str)
        ports = SystemPorts(clock=clock, write_log=lambda _: None, random=secrets.token_bytes)
        app = App(config, Credential(key=KEY, token=TOKEN), ports)
        starting = asyncio.ensure_future(app.start())
        await asked.wait()
        starting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await starting
        await app.stop()
        async with asyncio.timeout(2):
            await closed.wait()


async def test_responses_and_invalidations_outlive_the_proxy(
    start_proxy: StartProxy, shared_redis: RedisServer, target: str
) -> None:
    first = await start_proxy(cache=in_redis(shared_redis))
    assert (await first.get(target)).cache.startswith("fwd=uri-miss")
    await first.app.stop()
    second = await start_proxy(cache=in_redis(shared_redis))
    assert (await second.get(target)).cache in A_HIT
    assert await second.metric('trello_proxy_store_bytes{tier="redis"}') > 0
    assert await second.metric("trello_proxy_redis_up") == 1
    assert await second.metric("trello_proxy_redis_seconds_count") > 0
    assert (await second("PUT", target, params={"name": "After"})).status == 200
    await second.app.stop()
    third = await start_proxy(cache=in_redis(shared_redis))
    assert (await third.get(target)).json["name"] == "After"


async def test_a_redis_that_dies_costs_hits_and_is_reported_once(
    start_proxy: StartProxy, guarded: RedisServer, clock: FakeClock, target: str
) -> None:
    proxy = await start_proxy(cache=in_redis(guarded, PASSWORD))
    await proxy.get(target)
    await settled(proxy)
    guarded.kill()
    for number in range(5):
        assert (await proxy.get(f"{target}?_={number}")).status == 200
    assert (await proxy("PUT", target, params={"name": "After"})).status == 200
    assert (await proxy.get(target)).json["name"] == "After"
    await until(lambda: bool(proxy.logged("store failed")))
    assert len(proxy.logged("store failed")) == 1
    assert await proxy.metric("trello_proxy_redis_up") == 0
    assert await proxy.metric("trello_proxy_redis_errors_total") >= 1
    ready = await proxy.get("/readyz")
    assert (ready.status, ready.json["status"]) == (200, "degraded")
    await guarded.restart("--requirepass", PASSWORD)
    await reopened(proxy, clock)
    await settled(proxy)
    assert (await proxy.get(target)).json["name"] == "After"
    assert await proxy.metric("trello_proxy_redis_up") == 1
    assert await proxy.metric("trello_proxy_redis_reasserts_total") == 1
    assert PASSWORD not in proxy.log
    for page in ("/metrics", "/readyz", "/", f"/-/explain?url={target}"):
        assert PASSWORD not in (await proxy.get(page)).body.decode()


async def test_without_a_redis_at_the_start_it_serves_from_trello(
    start_proxy: StartProxy, shared_redis: RedisServer, target: str
) -> None:
    cache = in_redis(shared_redis) | {"redis": Secret(f"redis://:{PASSWORD}@127.0.0.1:1")}
    proxy = await start_proxy(cache=cache)
    assert (await proxy.get(target)).status == 200
    (line,) = proxy.logged("store failed")
    assert line["error"] == "Redis: Connect call failed ('127.0.0.1', 1)"


async def test_the_member_of_the_account_is_known_without_the_file(
    start_proxy: StartProxy, shared_redis: RedisServer, directory: Path, target: str
) -> None:
    first = await start_proxy(cache=in_redis(shared_redis))
    await first.get(target)
    identity = (directory / "identity.json").read_bytes()
    await settled(first)
    await first.app.stop()
    (directory / "identity.json").unlink()
    second = await start_proxy(cache=in_redis(shared_redis))
    assert (directory / "identity.json").read_bytes() == identity
    assert (await second.get(target)).cache in A_HIT


async def test_a_second_proxy_says_why_it_stores_nothing(
    start_proxy: StartProxy, shared_redis: RedisServer, target: str, tmp_path: Path
) -> None:
    await start_proxy(cache=in_redis(shared_redis))
    second = await start_proxy(cache=in_redis(shared_redis) | {"directory": str(tmp_path / "b")})
    assert (await second.get(target)).status == 200
    store = (await second.get("/readyz")).json["store"]
    assert store.startswith("another process uses Redis under the same redis.name; responses")
