"""The lease and the intents, in a real Redis and in the simulated one: one contract."""

import asyncio
import secrets
from collections.abc import Callable, Coroutine
from typing import Any, Protocol

import pytest
import redis

from proxy.cache.store.redis_connection import RedisConnection
from proxy.errors import StoreError
from proxy.fleet.election import Election
from proxy.fleet.lease import MAX_MEMBERS, LeaseStore
from proxy.fleet.redis_lease import RedisIntents, RedisLease
from proxy.fleet.shared_key import SharedKey
from proxy.model import Tag
from proxy.runtime.clock import SystemClock
from tests.fleet.simulation.redis import Client, Redis, SimulatedLease
from tests.fleet.simulation.world import Machine, World
from tests.redis_server import RedisServer, needs_redis
from tests.scenarios.conftest import until

NAME = "fleet-test"


class Server(Protocol):
    """What the contract needs of a Redis."""

    def lease(self, name: str) -> LeaseStore: ...
    def flush(self) -> None: ...
    def run(self, work: Coroutine[Any, Any, None]) -> None: ...


class RealServer:
    def __init__(self, server: RedisServer) -> None:
        self._server = server

    def connection(self) -> RedisConnection:
        return RedisConnection(self._server.url, SystemClock())

    def lease(self, name: str) -> LeaseStore:
        return RedisLease(self.connection, name=NAME, address=name, instance=f"{name}-1")

    def flush(self) -> None:
        with self._server.client() as client:
            client.flushall()

    def run(self, work: Coroutine[Any, Any, None]) -> None:
        asyncio.run(work)


class VirtualServer:
    def __init__(self) -> None:
        self._world = World(0)
        self._world.slow_share = 0.0
        self._redis = Redis(self._world)
        self._machine = Machine(self._world, "machine")

    def lease(self, name: str) -> LeaseStore:
        client = Client(self._machine, self._redis)
        return SimulatedLease(client, self._redis, name, f"{name}-1")

    def flush(self) -> None:
        self._redis.flush()

    def run(self, work: Coroutine[Any, Any, None]) -> None:
        failures: list[BaseException] = []

        async def noted() -> None:
            try:
                await work
            except BaseException as error:
                failures.append(error)
                raise

        self._machine.spawn(noted())
        self._world.run(10.0)
        self._machine.kill()
        for failure in failures:
            raise failure


@pytest.fixture(params=["real", "simulated"])
def server(request: pytest.FixtureRequest) -> Server:
    if request.param == "simulated":
        return VirtualServer()
    return RealServer(request.getfixturevalue("shared_redis"))


pytestmark = needs_redis
Contract = Callable[[Server, LeaseStore, LeaseStore], Coroutine[Any, Any, None]]
CONTRACT: list[Contract] = []


def contract(work: Contract) -> Contract:
    CONTRACT.append(work)
    return work


@pytest.mark.parametrize("work", CONTRACT, ids=lambda each: each.__name__)
def test_the_lease_keeps_its_contract(server: Server, work: Contract) -> None:
    async def run() -> None:
        one, other = server.lease("A"), server.lease("B")
        await work(server, one, other)
        await one.close()
        await other.close()

    server.run(run())


async def taken(lease: LeaseStore, known_term: int = 0) -> int:
    """The term, which the lease gives at once."""
    record = await lease.look()
    term = await lease.acquire(record.sighting, known_term)
    assert term is not None
    return term


@contract
async def it_is_given_once(server: Server, one: LeaseStore, other: LeaseStore) -> None:
    seen = (await other.look()).sighting
    term = await taken(one)
    assert await other.acquire(seen, 0) is None
    record = await other.look()
    assert (record.term, record.beat, record.address, record.is_free) == (term, 0, "A", False)


@contract
async def each_term_is_larger(server: Server, one: LeaseStore, other: LeaseStore) -> None:
    first = await taken(one)
    second = await taken(other)
    assert second > first
    server.flush()
    assert await taken(one, known_term=second + 10**9) == second + 10**9 + 1


@contract
async def a_renewal_changes_what_is_seen(
    server: Server, one: LeaseStore, other: LeaseStore
) -> None:
    term = await taken(one)
    seen = await other.look()
    assert await one.renew(term, 1, [], []) is not None
    assert (await other.look()).sighting == seen.sighting._replace(beat=1)
    assert await other.acquire(seen.sighting, 0) is None


@contract
async def a_late_renewal_takes_nothing_back(
    server: Server, one: LeaseStore, other: LeaseStore
) -> None:
    term = await taken(one)
    await one.renew(term, 2, [], [])
    assert await one.renew(term, 1, [], []) is not None
    assert (await other.look()).beat == 2
    await one.release(term)
    assert await one.renew(term, 3, [], []) is None
    assert (await other.look()).is_free


@contract
async def it_is_lost_to_a_later_term(server: Server, one: LeaseStore, other: LeaseStore) -> None:
    term = await taken(one)
    later = await taken(other)
    assert await one.renew(term, 1, [], []) is None
    await one.release(term)
    record = await one.look()
    assert (record.term, record.is_free) == (later, False)


@contract
async def what_redis_lost_is_set_again(server: Server, one: LeaseStore, other: LeaseStore) -> None:
    term = await taken(one)
    await one.renew(term, 4, ["B"], [])
    server.flush()
    renewal = await one.renew(term, 5, ["B"], [])
    assert renewal is not None
    assert renewal.members == {"A", "B"}
    record = await other.look()
    assert (record.term, record.beat, record.address) == (term, 5, "A")


@contract
async def two_losses_are_told_apart(server: Server, one: LeaseStore, other: LeaseStore) -> None:
    seen = await one.look()
    assert (seen.term, seen.sighting) == (0, (await other.look()).sighting)
    server.flush()
    assert (await one.look()).sighting != seen.sighting


@contract
async def a_released_lease_is_free(server: Server, one: LeaseStore, other: LeaseStore) -> None:
    term = await taken(one)
    await one.release(term)
    record = await other.look()
    assert record.is_free
    assert await other.acquire(record.sighting, term) is not None
    assert not (await one.look()).is_free


@contract
async def members_come_and_go(server: Server, one: LeaseStore, other: LeaseStore) -> None:
    term = await taken(one)
    assert (await other.look()).members == {"A", "B"}
    renewal = await one.renew(term, 1, ["C"], ["B"])
    assert renewal is not None
    assert renewal.members == {"A", "C"}
    await other.look()
    await other.close()
    assert (await one.look()).members == {"A", "C"}
    await one.release(term, leaves=True)
    assert (await other.look()).members == {"B", "C"}


@pytest.fixture
def real(shared_redis: RedisServer) -> RealServer:
    return RealServer(shared_redis)


async def test_the_register_is_bounded(real: RealServer) -> None:
    leases = [real.lease(f"n{number}") for number in range(MAX_MEMBERS + 1)]
    for lease in leases[:-1]:
        await lease.look()
    with pytest.raises(StoreError):
        await leases[-1].look()
    for lease in leases:
        await lease.close()


async def test_a_redis_that_hangs_costs_one_time_out_and_then_is_used_again(
    own_redis: RedisServer,
) -> None:
    lease = RealServer(own_redis).lease("A")
    loop = asyncio.get_running_loop()
    await lease.look()
    own_redis.pause()
    began = loop.time()
    with pytest.raises(StoreError):
        await lease.look()
    assert loop.time() - began < 0.6
    own_redis.resume()
    assert (await lease.look()).term == 0
    await lease.close()


async def test_another_run_of_the_server_is_seen(own_redis: RedisServer) -> None:
    lease = RealServer(own_redis).lease("A")
    term = await taken(lease)
    await lease.release(term)
    seen = await lease.look()
    assert seen.is_free
    await own_redis.restart()
    with pytest.raises(StoreError):
        await lease.look()
    assert (await lease.look()).run_id != seen.run_id
    assert await lease.acquire(seen.sighting, 0) is None
    await lease.close()


async def test_intents_are_kept_until_they_are_removed(real: RealServer) -> None:
    connection = real.connection()
    await connection.open()
    intents = RedisIntents(lambda: connection, name=NAME)
    await intents.put({"a:1": {Tag("card:1"), Tag("board:2")}, "a:2": [Tag("card:3")]})
    await intents.remove(["a:2"])
    found = await intents.all()
    assert {name: set(tags) for name, tags in found.items()} == {"a:1": {"card:1", "board:2"}}
    await connection.close()


@pytest.fixture
def full(shared_redis: RedisServer) -> RealServer:
    """With less memory than Redis needs for itself."""
    with shared_redis.client() as client:
        client.config_set("maxmemory", "512kb")
        with pytest.raises(redis.OutOfMemoryError):
            client.set("anything", "")
    return RealServer(shared_redis)


async def test_a_full_redis_has_room_for_the_lease_the_key_and_intents(full: RealServer) -> None:
    one, other = full.lease("A"), full.lease("B")
    term = await taken(one)
    assert await one.renew(term, 1, ["C"], []) is not None
    assert (await other.look()).members == {"A", "B", "C"}
    connection = full.connection()
    await connection.open()
    intents = RedisIntents(lambda: connection, name=NAME)
    await intents.put({"a:1": [Tag("card:1")]})
    assert await intents.all() == {"a:1": ["card:1"]}
    keys = [
        SharedKey(None, full.connection, name=NAME, random=random, clock=SystemClock())
        for random in (bytes, secrets.token_bytes)
    ]
    for key in keys:
        key.start()
        await until(lambda key=key: bool(key._key))  # type: ignore[misc]
    assert keys[0].get() == keys[1].get()
    for each in (one, other, connection):
        await each.close()


async def test_a_redis_that_evicts_everything_ends_no_term_and_is_seen(
    full: RealServer, shared_redis: RedisServer
) -> None:
    one, other, election = full.lease("A"), full.lease("B"), Election(0.0)
    term = await taken(one)
    with shared_redis.client() as client:
        client.config_set("maxmemory-policy", "allkeys-lru")
    for beat in range(1, 4):
        assert await one.renew(term, beat, ["B"], []) is not None
    election.looked(await other.look(), 1.0)
    record = await other.look()
    assert election.is_forgotten(record)
    election.looked(record, 9.0)
    assert election.wait_s(10.0) > 0
    await one.close()
    await other.close()
