"""The log of sent requests in a real Redis: what a leader used, as the next one counts it."""

import hashlib
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack

import pytest

from proxy.cache.store.redis_connection import RedisConnection
from proxy.cache.store.redis_inspection import stored_values
from proxy.config.schema import load
from proxy.errors import RateLimited
from proxy.fleet.redis_sends import RedisSends
from proxy.model import Credential, Fields, Priority
from proxy.observability.metrics import Metrics
from proxy.ratelimit import send_log
from proxy.ratelimit.limiter import Permit, RateLimiter
from proxy.runtime.clock import FakeClock, SystemClock
from tests.ratelimit.test_limiter import STORED, make_request
from tests.redis_server import RedisServer, needs_redis

pytestmark = needs_redis
NAME = "fleet-test"
LIMITS = "limits: {token: 100/10s, members: 5/900s, search: 3/10s, wait: 0s}"
SEARCH, MEMBER, CARD = "search", "members/x", "cards/x"
OTHER = Credential(key=STORED.key, token="o" * 64)
SHARED: Fields = (
    ("X-Rate-Limit-Api-Token-Interval-Ms", "10000"),
    ("X-Rate-Limit-Api-Token-Max", "100"),
    ("X-Rate-Limit-Api-Token-Remaining", "50"),
)


def digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:32]


class Leader:
    """A limiter and its log, with a clock of its own."""

    def __init__(self, url: str, term: int, now: float, digest: Callable[[str], str]) -> None:
        limits = load(LIMITS, "test", {}, str).limits
        self.clock = FakeClock(now)
        self.clock.advance(now / 1000)
        self.connection = RedisConnection(url, SystemClock())
        self.limiter = RateLimiter(limits, self.clock, lambda count: b"\0" * count, Metrics())
        self._limits = limits
        self.sends = RedisSends(
            lambda: self.connection, self.clock, name=NAME, term=term, digest=digest
        )

    async def take_over(self, *, is_trusted: bool = True) -> None:
        await self.connection.open()
        self.limiter.succeed(*await self.sends.open(self._limits, is_trusted=is_trusted))

    async def begin(self, path: str, credential: Credential = STORED) -> Permit:
        request = make_request(path=path, credential=credential, priority=Priority.INTERACTIVE)
        return await self.limiter.acquire(request)

    async def send(self, *paths: str, credential: Credential = STORED, fields: Fields = ()) -> None:
        for path in paths:
            (await self.begin(path, credential)).end(fields)

    def left(self, path: str, credential: Credential = STORED) -> dict[str, int]:
        quotas = self.limiter.quotas(make_request(path=path, credential=credential))
        return {name: quota.remaining for name, quota in quotas.items() if name != "key"}

    async def is_doubted(self, path: str, credential: Credential = STORED) -> bool:
        """Whether a second request waits for the response to the first."""
        first = await self.begin(path, credential)
        try:
            (await self.begin(path, credential)).end(())
        except RateLimited:
            return True
        finally:
            first.end(())
        return False

    async def stop(self) -> None:
        await self.sends.stop()
        await self.limiter.stop()
        await self.connection.close()


MakeLeader = Callable[..., Awaitable[Leader]]


@pytest.fixture
async def lead(shared_redis: RedisServer) -> AsyncIterator[MakeLeader]:
    """The next leader; what the one before it logged is written first."""
    made: list[Leader] = []
    async with AsyncExitStack() as stack:

        async def make(*, is_trusted: bool = True, digest: Callable[[str], str] = digest) -> Leader:
            if made:
                await made[-1].sends.flush()
            term = len(made) + 1
            leader = Leader(shared_redis.url, term, 1_000_000.0 * term, digest)
            stack.push_async_callback(leader.stop)
            await leader.take_over(is_trusted=is_trusted)
            made.append(leader)
            return leader

        yield make


async def test_the_next_leader_sends_none_beyond_what_the_last_one_left(lead: MakeLeader) -> None:
    await lead()
    one = await lead()
    await one.send(SEARCH, SEARCH, SEARCH, MEMBER, MEMBER)
    other = await lead()
    assert other.left(SEARCH) == {"token": 92, "search": 0}
    assert other.left(MEMBER) == {"token": 92, "members": 3}
    with pytest.raises(RateLimited):
        await other.begin(SEARCH)
    other.clock.advance(10.1)
    await other.send(SEARCH, SEARCH, SEARCH)
    third = await lead()
    assert third.left(SEARCH)["search"] == 0
    assert third.left(MEMBER)["members"] == 3


async def test_requests_are_as_old_for_the_next_leader_as_they_were_for_the_last(
    lead: MakeLeader,
) -> None:
    await lead()
    one = await lead()
    await one.send(SEARCH)
    await one.sends.stop()
    one.clock.advance(8.0)
    other = await lead()
    other.clock.advance(1.5)
    assert other.left(SEARCH)["search"] == 2
    other.clock.advance(0.7)
    assert other.left(SEARCH)["search"] == 3


async def test_what_is_in_flight_counts_from_now_and_what_was_not_sent_does_not(
    lead: MakeLeader,
) -> None:
    await lead()
    one = await lead()
    await one.begin(SEARCH)
    (await one.begin(SEARCH)).fail(sent=False)
    (await one.begin(SEARCH)).fail(sent=True)
    one.clock.advance(9.0)
    await one.begin(SEARCH)
    await one.sends.flush()
    one.clock.advance(60.0)
    other = await lead()
    assert other.left(SEARCH)["search"] == 0
    other.clock.advance(9.9)
    assert other.left(SEARCH)["search"] == 1
    other.clock.advance(0.2)
    assert other.left(SEARCH)["search"] == 3


async def test_tokens_of_clients_are_counted_and_none_is_in_redis(
    lead: MakeLeader, shared_redis: RedisServer
) -> None:
    await lead()
    one = await lead()
    await one.send(SEARCH, SEARCH, credential=OTHER)
    other = await lead()
    assert other.left(SEARCH, OTHER) == {"token": 95, "search": 1}
    assert other.left(SEARCH)["search"] == 3
    assert not await other.is_doubted(CARD, OTHER)
    values = stored_values(shared_redis.url, NAME, SystemClock())
    stored = b"".join([value async for _, value in values])
    assert digest(send_log.token_text(OTHER)).encode() in stored
    for secret in (OTHER.key, OTHER.token, STORED.token):
        assert secret.encode() not in stored


async def test_without_a_log_everything_is_doubted_at_first(
    lead: MakeLeader, shared_redis: RedisServer
) -> None:
    one = await lead()
    await one.send(SEARCH, SEARCH)
    await one.sends.flush()
    with shared_redis.client() as client:
        client.flushall()
    other = await lead()
    assert await other.is_doubted(SEARCH)
    assert await other.is_doubted(SEARCH, OTHER)
    assert not await other.is_doubted(SEARCH)


async def test_a_log_that_redis_lost_is_written_again(
    lead: MakeLeader, shared_redis: RedisServer
) -> None:
    await lead()
    one = await lead()
    await one.send(SEARCH, SEARCH)
    await one.sends.flush()
    with shared_redis.client() as client:
        client.flushall()
    await one.send(CARD)
    await one.sends.flush()
    await one.sends.flush()
    other = await lead()
    assert other.left(SEARCH) == {"token": 94, "search": 1}
    assert not await other.is_doubted(CARD)


@pytest.mark.parametrize("place", [1, 2, 3])
async def test_a_log_of_another_server_or_key_or_with_a_gap_is_doubted(
    lead: MakeLeader, shared_redis: RedisServer, place: int
) -> None:
    await lead()
    one = await lead()
    await one.send(SEARCH)
    await one.sends.flush()
    key = f"{{{NAME}}}:sends"
    with shared_redis.client() as client:
        (head,) = client.zrange(key, 0, 0)
        parts = head.split(b":")
        parts[place] = b"partial"
        client.zrem(key, head)
        client.zadd(key, {b":".join(parts): -1})
    other = await lead()
    assert await other.is_doubted(CARD)


async def test_a_log_that_may_lack_something_is_counted_and_doubted(lead: MakeLeader) -> None:
    await lead()
    one = await lead()
    await one.send(SEARCH, SEARCH)
    other = await lead(is_trusted=False)
    assert await other.is_doubted(CARD)
    await other.send(SEARCH)
    with pytest.raises(RateLimited):
        await other.begin(SEARCH)


async def test_a_token_that_other_programs_use_too_is_doubted(lead: MakeLeader) -> None:
    await lead()
    one = await lead()
    await one.send(CARD, fields=SHARED)
    await one.send(CARD, credential=OTHER)
    other = await lead()
    assert await other.is_doubted(CARD)
    assert not await other.is_doubted(CARD, OTHER)


async def test_an_earlier_leader_that_writes_late_changes_nothing(lead: MakeLeader) -> None:
    await lead()
    one = await lead()
    other = await lead()
    await one.send(SEARCH, SEARCH)
    await one.sends.flush()
    await other.send(SEARCH)
    assert (await lead()).left(SEARCH)["search"] == 2


async def test_a_log_that_is_too_long_is_bounded_and_says_so(
    lead: MakeLeader, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(send_log, "MAX_SENDS", 10)
    monkeypatch.setattr(send_log, "_TRIM_FROM", 5)
    await lead()
    one = await lead()
    await one.send(*[CARD] * 8)
    one.clock.advance(10.1)
    await one.send(*[CARD] * 8)
    assert one.sends._log.is_whole
    await one.send(*[CARD] * 8)
    assert len(one.sends._log.sends) <= 11
    assert await (await lead()).is_doubted(CARD)
