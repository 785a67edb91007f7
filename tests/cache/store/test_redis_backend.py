"""A Redis that is slow, full, emptied, restarted or rolled back: misses, and never an old response.

Versions of a response are told apart by their bodies.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from proxy.cache.store import disk_tier, redis_backend, redis_connection
from proxy.cache.store.backend import WriteBatch
from proxy.cache.store.redis_scripts import BATCH, CHAIN, PRUNE, PUT
from proxy.errors import StoreError
from proxy.model import NEVER_EXPIRES, AliasEntry, Tag
from tests.cache.store.conftest import BEGAN, BOARD, answer, key
from tests.cache.store.redis_node import ANSWERED_AT, MAX_LATE_S, ROOM, RedisNode
from tests.redis_server import RedisServer, needs_redis
from tests.scenarios.conftest import until

pytestmark = needs_redis

StartNode = Callable[..., Awaitable[RedisNode]]
NAME = AliasEntry("card:abc", ("5f" * 12,), 1_800_000_000.0, BEGAN, NEVER_EXPIRES)


@pytest.fixture(autouse=True)
def _patience(monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine under load is no Redis that hangs."""
    monkeypatch.setattr(redis_connection, "TIMEOUT_S", 10.0)


@pytest.fixture
async def start_node(tmp_path: Path) -> AsyncIterator[StartNode]:
    async with AsyncExitStack() as stack:

        async def start(server: RedisServer, **options: Any) -> RedisNode:
            node = RedisNode(server.url, tmp_path, **options)
            stack.push_async_callback(node.stop)
            await node.start()
            return node

        yield start


@pytest.fixture
async def node(start_node: StartNode, shared_redis: RedisServer) -> RedisNode:
    made = await start_node(shared_redis)
    assert made.tier.is_working
    return made


async def test_a_response_expires_in_redis_when_nothing_may_use_it_any_more(
    node: RedisNode, shared_redis: RedisServer
) -> None:
    await node.keep(replace(answer(1), usable_s=90.0))
    with shared_redis.client() as client:
        (name,) = client.keys("{test}:r:*")
        assert 80_000 < client.pttl(name) <= 90_000


async def test_what_has_expired_leaves_the_account(
    node: RedisNode, shared_redis: RedisServer
) -> None:
    await node.keep(answer(1, bytes(50_000)))
    with shared_redis.client() as client:
        client.delete(*client.keys("{test}:r:*"))
    await node.keep(answer(2, bytes(50_000)))
    assert 50_000 < node.tier.stats.used_bytes < 60_000
    with shared_redis.client() as client:
        assert client.zcard(client.keys("{test}:order:*")[0]) == 1


async def test_a_response_too_large_for_redis_leaves_no_older_one_there(node: RedisNode) -> None:
    await node.keep(answer(1, b"old"))
    await node.keep(answer(1, bytes(1 << 20)))
    assert await node.get(1) is None
    assert node.connection.stats.dropped == 1
    assert node.tier.is_working


async def test_the_next_process_goes_on_where_the_last_one_ended(
    node: RedisNode, start_node: StartNode, shared_redis: RedisServer
) -> None:
    await node.keep(answer(1), answer(2, tags=(Tag("card:2"),)))
    node.store.add_aliases([NAME])
    node.tier.save_identity("identity")
    await node.invalidate(BOARD)
    await node.stop()
    later = await start_node(shared_redis)
    assert await later.get(1) is None
    assert await later.has(answer(2, tags=(Tag("card:2"),)))
    assert later.store.aliases.get("card:abc") is not None
    assert later.tier.identity == "identity"
    assert later.epochs.seq >= node.epochs.seq
    assert not node.connection.stats.reasserts


async def test_after_a_flush_everything_but_responses_is_written_again(
    node: RedisNode, start_node: StartNode, shared_redis: RedisServer
) -> None:
    node.store.add_aliases([NAME])
    node.tier.save_identity("identity")
    await node.keep(answer(1))
    await node.invalidate(Tag("card:1"))
    with shared_redis.client() as client:
        client.flushall()
    assert await node.get(1) is None
    await node.reopened()
    assert node.connection.stats.reasserts == 1
    assert "redis lost writes" in node.log
    await node.keep(answer(3))
    await node.stop()
    later = await start_node(shared_redis)
    assert later.epochs.last[Tag("card:1")] == BEGAN + 1
    assert later.store.aliases.get("card:abc") is not None
    assert later.tier.identity == "identity"
    assert await later.has(answer(3))


@pytest.mark.parametrize("lost", ["meta", "epochs:*", "order:*", "names:*", "r:*"])
async def test_what_redis_evicts_is_a_miss_or_written_again(
    node: RedisNode, start_node: StartNode, shared_redis: RedisServer, lost: str
) -> None:
    await node.keep(answer(1), answer(2, tags=(Tag("card:2"),)))
    await node.invalidate(BOARD)
    with shared_redis.client() as client:
        client.delete(*client.keys(f"{{test}}:{lost}") or ["none"])
    if await node.lost_something():
        await node.reopened()
    assert await node.get(1) is None
    kept = await node.get(2)
    assert (kept is not None) == (lost not in ("meta", "r:*"))
    await node.stop()
    later = await start_node(shared_redis)
    assert await later.get(1) is None
    assert later.epochs.last.get(BOARD) == BEGAN + 1


async def test_a_process_that_finds_no_epochs_begins_anew(
    node: RedisNode, start_node: StartNode, shared_redis: RedisServer
) -> None:
    await node.keep(answer(1))
    await node.stop()
    with shared_redis.client() as client:
        client.delete(*client.keys("{test}:epochs:*"))
    later = await start_node(shared_redis)
    assert await later.get(1) is None
    await later.keep(answer(2))
    assert await later.get(2) == answer(2)
    with shared_redis.client() as client:
        assert len(client.keys("{test}:r:*")) == 1


async def test_a_redis_that_hangs_is_a_miss_and_what_it_does_later_is_harmless(
    start_node: StartNode, own_redis: RedisServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    node = await start_node(own_redis)
    await node.keep(answer(1, b"1"), answer(2, b"2", tags=(Tag("card:2"),)))
    monkeypatch.setattr(redis_connection, "TIMEOUT_S", 0.05)
    own_redis.pause()
    began = asyncio.get_running_loop().time()
    assert await node.get(2) is None
    assert asyncio.get_running_loop().time() - began < 2
    assert not node.connection.stats.is_up
    node.store.put(answer(1, b"1 again"))
    await node.invalidate(BOARD)
    own_redis.resume()
    monkeypatch.setattr(redis_connection, "TIMEOUT_S", 10.0)
    await node.reopened()
    assert node.connection.stats.is_up
    assert await node.get(1) is None
    assert (await node.get(2) or answer(2)).body == b"2"
    assert not node.connection.stats.reasserts


async def test_a_batch_that_arrives_late_is_refused_or_counted(
    start_node: StartNode, own_redis: RedisServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The batch lies in the socket of a paused server, which carries it out on waking."""
    node = await start_node(own_redis)
    await node.keep(answer(1, b"old"))
    monkeypatch.setattr(redis_connection, "TIMEOUT_S", 0.05)
    own_redis.pause()
    await node.keep(answer(1, b"late"))
    node.store.drop(key(1))
    own_redis.resume()
    monkeypatch.setattr(redis_connection, "TIMEOUT_S", 10.0)
    await node.reopened()
    assert await node.get(1) is None
    await node.keep(answer(1, b"new"))
    assert (await node.get(1) or answer(1)).body == b"new"


async def test_a_script_that_comes_too_late_changes_nothing(
    node: RedisNode, shared_redis: RedisServer
) -> None:
    await node.keep(answer(1))
    with shared_redis.client() as client:
        meta = client.hgetall("{test}:meta")
        holder, gen, late = meta[b"holder"], meta[b"gen"], int(meta[b"n"]) - 1
        keys = [f"{{test}}:{name}".encode() for name in ("meta", "lease")]
        keys += [b"{test}:epochs:" + gen, b"{test}:order:" + gen]
        keys += [b"{test}:names:a", b"{test}:names:b", b"{test}:identity"]
        prefix = b"{test}:r:" + gen + b":"
        before = {name: client.dump(name) for name in client.keys("*")}
        for n, by in ((late, holder), (late + 1, b"other"), (late + 2, holder)):
            fence = by, gen, n, "complete", 3_000, prefix
            put = client.eval(PUT, len(keys), *keys, *fence, 1 << 20, 0, "1", "late", 1_000)
            batch = client.eval(
                BATCH, len(keys), *keys, *fence, 9, "x", 9, 1, 1, key(1), 2, "a", 1, 0
            )
            pruned = client.eval(PRUNE, len(keys), *keys, *fence, 0, 1 << 50)
            assert put[0] == batch[0] == pruned[0] == CHAIN
        assert {name: client.dump(name) for name in client.keys("*")} == before


async def test_a_redis_that_was_killed_is_missed_and_found_again(
    start_node: StartNode, own_redis: RedisServer
) -> None:
    node = await start_node(own_redis)
    await node.keep(answer(1))
    own_redis.kill()
    assert await node.get(1) is None
    await node.invalidate(BOARD)
    assert not node.connection.stats.is_up
    await own_redis.restart()
    await node.reopened()
    assert node.connection.stats.is_up
    await node.keep(answer(2, seq=node.epochs.seq))
    assert await node.get(2) is not None


async def test_a_redis_that_lost_its_newest_writes_gives_no_old_response(
    start_node: StartNode, own_redis: RedisServer
) -> None:
    node = await start_node(own_redis)
    await node.keep(answer(1, b"old"), answer(2, b"kept"))
    with own_redis.client() as client:
        client.save()
    node.store.drop(key(1))
    await node.store.flush()
    await own_redis.restart()
    assert await node.get(2) is None
    await node.reopened()
    assert await node.get(1) is None
    assert node.connection.stats.reasserts == 1


async def test_a_redis_that_was_restarted_without_a_loss_is_used_on(
    start_node: StartNode, own_redis: RedisServer
) -> None:
    node = await start_node(own_redis)
    await node.keep(answer(1))
    with own_redis.client() as client:
        client.save()
    await own_redis.restart()
    await node.get(1)
    await node.reopened()
    assert await node.get(1) == answer(1)
    assert not node.connection.stats.reasserts
    await node.stop()
    assert await (await start_node(own_redis)).has(answer(1))


async def test_a_new_process_trusts_no_redis_that_was_restarted_meanwhile(
    start_node: StartNode, own_redis: RedisServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(redis_backend, "LEASE_MS", 30)
    node = await start_node(own_redis)
    await node.keep(answer(1))
    with own_redis.client() as client:
        client.save()
    await node.invalidate(BOARD)
    await node.stop()
    await own_redis.restart()
    later = await start_node(own_redis)
    await later.reopened()
    assert await later.get(1) is None


async def test_a_full_redis_stores_no_response_and_every_invalidation(
    node: RedisNode, start_node: StartNode, shared_redis: RedisServer
) -> None:
    await node.keep(*(answer(number) for number in range(100, 200)))
    await node.keep(answer(1, b"old", tags=(Tag("card:1"),)))
    with shared_redis.client() as client:
        client.config_set("maxmemory", 1 << 20)
        client.script_flush()
    await node.keep(answer(1, b"new", tags=(Tag("card:1"),)), answer(2))
    await node.invalidate(BOARD)
    assert node.tier.is_working
    assert await node.get(1) is None
    assert node.connection.stats.dropped == 2
    assert node.connection.stats.errors == 1
    assert "redis full" in node.log
    assert node.tier.stats.evictions == 64
    await node.stop()
    later = await start_node(shared_redis)
    assert later.epochs.last[BOARD] == BEGAN + 1
    with shared_redis.client() as client:
        client.config_set("maxmemory", 0)
    await later.keep(answer(2, seq=later.epochs.seq))
    assert await later.get(2) is not None


async def test_a_redis_that_evicts_by_itself_gives_the_newest_version_or_none(
    node: RedisNode, shared_redis: RedisServer
) -> None:
    with shared_redis.client() as client:
        client.config_set("maxmemory", client.info("memory")["used_memory"] + 600_000)
        client.config_set("maxmemory-policy", "allkeys-lru")
    hits = 0
    for version in range(150):
        await node.keep(answer(version % 10, str(version).encode() * 5_000, seq=node.epochs.seq))
        if not version % 20:
            await node.invalidate(BOARD)
        stored = await node.get(version % 10)
        hits += stored is not None
        body = stored and stored.body
        assert body in (None, str(version).encode() * 5_000)
        if await node.lost_something():
            await node.reopened()
    assert hits > 10


async def test_a_second_process_waits_until_the_first_has_gone(
    node: RedisNode, start_node: StartNode, shared_redis: RedisServer
) -> None:
    await node.keep(answer(1))
    second = await start_node(shared_redis)
    assert second.tier.taken
    await second.invalidate(BOARD)
    assert await node.get(1) == answer(1)
    await node.stop()
    await second.reopened()
    assert not second.tier.taken
    assert await second.get(1) is None


async def test_a_process_whose_lease_was_taken_uses_nothing_of_the_others(
    start_node: StartNode, shared_redis: RedisServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(redis_backend, "LEASE_MS", 30)
    node = await start_node(shared_redis)
    await node.keep(answer(1, b"1"))
    await asyncio.sleep(0.05)
    monkeypatch.setattr(redis_backend, "LEASE_MS", 60_000)
    second = await start_node(shared_redis)
    assert second.tier.is_working
    await second.keep(answer(2, b"of the second"))
    with pytest.raises(StoreError):
        await node.backend.get(key(2))
    await node.invalidate(BOARD)
    assert not node.tier.is_working
    await until(lambda: bool(node.clock.sleepers))
    node.clock.advance(disk_tier.REOPEN_AFTER_S)
    await until(lambda: bool(node.tier.taken))
    assert (await second.get(2) or answer(2)).body == b"of the second"


async def test_the_process_after_one_that_was_killed_keeps_what_is_valid(
    node: RedisNode, start_node: StartNode, shared_redis: RedisServer
) -> None:
    await node.keep(answer(1), answer(2, tags=(Tag("card:2"),)))
    await node.invalidate(BOARD)
    with shared_redis.client() as client:
        client.delete("{test}:lease")
    later = await start_node(shared_redis)
    assert await later.get(1) is None
    assert await later.get(2) is not None


async def test_the_process_after_one_that_was_killed_behind_redis_begins_anew(
    start_node: StartNode, own_redis: RedisServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(redis_backend, "LEASE_MS", 30)
    node = await start_node(own_redis)
    await node.keep(answer(1))
    monkeypatch.setattr(redis_connection, "TIMEOUT_S", 0.05)
    own_redis.pause()
    assert await node.get(1) is None
    await node.invalidate(BOARD)
    own_redis.resume()
    monkeypatch.setattr(redis_connection, "TIMEOUT_S", 10.0)
    later = await start_node(own_redis)
    await later.reopened()
    assert await later.get(1) is None
    await later.keep(answer(2, seq=later.epochs.seq))
    await later.stop()
    last = await start_node(own_redis)
    assert await last.get(2) is not None


async def test_a_write_that_is_cancelled_is_carried_out(node: RedisNode) -> None:
    for attempt in range(20):
        stored = answer(attempt, bytes(50_000))
        writing = asyncio.ensure_future(node.backend.write(WriteBatch({stored.key: stored})))
        for _ in range(attempt):
            await asyncio.sleep(0)
        writing.cancel()
        await asyncio.gather(writing, return_exceptions=True)
    await node.backend.write(WriteBatch(epochs={BOARD: 1}))
    assert await node.backend.get(key(19)) is not None


async def test_a_read_that_is_cancelled_leaves_no_reply_to_the_next(node: RedisNode) -> None:
    await node.keep(*(answer(number, str(number).encode()) for number in range(30)))
    for number in range(29):
        reading = asyncio.ensure_future(node.get(number))
        for _ in range(number):
            await asyncio.sleep(0)
        reading.cancel()
        stored = await node.get(number + 1)
        assert stored is not None
        assert stored.body == str(number + 1).encode()


async def test_more_reads_than_can_wait_are_misses(
    node: RedisNode, monkeypatch: pytest.MonkeyPatch
) -> None:
    await node.keep(answer(1))
    monkeypatch.setattr(redis_connection, "MAX_COMMANDS", 20)
    found = await asyncio.gather(*(node.backend.get(key(1)) for _ in range(100)))
    assert 20 <= len(found) - found.count(None) < 100
    assert node.tier.is_working


async def test_nothing_is_left_of_an_earlier_generation(
    node: RedisNode, start_node: StartNode, shared_redis: RedisServer
) -> None:
    await node.keep(*(answer(number) for number in range(600)))
    await node.stop()
    with shared_redis.client() as client:
        client.hset("{test}:meta", "run_id", "of another server")
        later = await start_node(shared_redis)
        await later.keep(answer(1))
        assert await later.get(2) is None
        while len(client.keys("{test}:r:*")) > 1:  # noqa: ASYNC110 - another process
            await asyncio.sleep(0.01)
        assert len(client.keys("{test}:order:*")) == len(client.keys("{test}:epochs:*")) == 1


async def test_room_is_bounded_by_the_configuration(
    node: RedisNode, shared_redis: RedisServer
) -> None:
    for start in range(0, 1_000, 50):
        await node.keep(*(answer(number, bytes(20_000)) for number in range(start, start + 50)))
    with shared_redis.client() as client:
        rows = client.keys("{test}:r:*")
        assert sum(client.strlen(row) for row in rows) <= ROOM
    assert await node.get(999) is not None
    assert await node.get(0) is None
    assert node.tier.stats.evictions == 1_000 - len(rows)


async def test_a_server_that_is_no_master_is_refused(
    start_node: StartNode, own_redis: RedisServer
) -> None:
    with own_redis.client() as client:
        client.replicaof("127.0.0.1", "1")
    node = await start_node(own_redis)
    assert not node.tier.is_working
    assert "store failed" in node.log
    with own_redis.client() as client:
        client.replicaof("NO", "ONE")
    await node.reopened()


async def test_every_failure_is_a_store_error(
    start_node: StartNode, own_redis: RedisServer
) -> None:
    node = await start_node(own_redis)
    own_redis.kill()
    batch = WriteBatch({key(1): answer(1)}, epochs={BOARD: 1})
    for attempt in (
        node.backend.open(),
        node.backend.get(key(1)),
        node.backend.write(batch),
        node.backend.check(),
        node.backend.close(),
    ):
        with pytest.raises(StoreError):
            await attempt


@pytest.mark.parametrize("ahead_s", [3_600.0, -3_600.0])
async def test_a_node_whose_clock_differs_finds_everything_as_old_as_it_is(
    node: RedisNode, start_node: StartNode, shared_redis: RedisServer, ahead_s: float
) -> None:
    stored = replace(answer(1), missing_since=ANSWERED_AT + 10.0)
    await node.keep(stored)
    await node.stop()
    other = await start_node(shared_redis, now=ANSWERED_AT + ahead_s)
    found = await other.get(1)
    assert found is not None
    assert found.missing_since is not None
    assert found.requested_at - ahead_s == pytest.approx(stored.requested_at, abs=MAX_LATE_S)
    assert found.missing_since - found.requested_at == pytest.approx(10.0)
    assert other.tier.newest_at == pytest.approx(found.requested_at)


async def test_ages_stay_as_they_are_whatever_the_clocks_do_meanwhile(node: RedisNode) -> None:
    stored = answer(1)
    await node.keep(stored)
    node.clock.advance(500.0)
    await node.connection.open()
    assert await node.get(1) == stored
    await node.backend.open()
    assert await node.get(1) == stored
