"""The rate limiter on a fake clock: order and time of permits; nothing is sent."""

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine
from typing import Any

import pytest

from proxy.access.client import Client
from proxy.config.schema import Limits, load
from proxy.errors import RateLimited
from proxy.http_semantics.cache_control import NONE
from proxy.model import (
    CacheKey,
    Credential,
    Priority,
    Rate,
)
from proxy.observability.metrics import Metrics
from proxy.ratelimit import limiter
from proxy.ratelimit.limiter import MAX_QUEUED, Permit, RateLimiter
from proxy.ratelimit.token_limits import (
    LOCKOUT_GUARD,
    MAX_TOKENS,
    TokenLimitsTable,
)
from proxy.runtime.clock import FakeClock
from proxy.trello.message import ApiRequest
from proxy.trello.routes import RouteTable
from tests.scenarios.conftest import turns as settle

STORED = Credential(key="k" * 32, token="t" * 64)
TABLE = RouteTable()
API, INTERACTIVE = Priority.API, Priority.INTERACTIVE


def make_request(
    client: str = "client",
    priority: Priority = API,
    path: str = "cards/x",
    credential: Credential = STORED,
    key: str = "",
    limit: Rate | None = None,
) -> ApiRequest:
    return ApiRequest(
        effective_method="GET",
        method="GET",
        target=f"/1/{path}",
        match=TABLE.classify("GET", path.split("/")),
        query_names=frozenset(),
        key=CacheKey(key),
        credential=credential,
        uses_stored_credential=True,
        directives=NONE,
        priority=priority,
        queue_key=client,
        client_id=client,
        client=Client(name=client, limit=limit),
    )


class Clients:
    """Clients that acquire permits, and the order in which they were served."""

    def __init__(self, limits: str, clock: FakeClock) -> None:
        config: Limits = load(f"limits: {{{limits}}}", "test", {}, str).limits
        self.clock = clock
        self.metrics = Metrics()
        self.limiter = RateLimiter(config, clock, lambda count: b"\0" * count, self.metrics)
        self.tasks: set[asyncio.Task[Any]] = set()
        self.served: list[str] = []

    def start(self, work: Coroutine[Any, Any, Any]) -> "asyncio.Task[Any]":
        task = asyncio.create_task(work)  # noqa: TID251 — ended in the fixture
        self.tasks.add(task)
        return task

    async def use(self, request: ApiRequest) -> None:
        permit = await self.limiter.acquire(request)
        self.served.append(request.queue_key)
        permit.end(())

    async def spend(self, count: int, request: ApiRequest | None = None) -> None:
        """Use so many permits at once."""
        for _ in range(count):
            await self.use(request or make_request("before"))
        self.served.clear()

    async def wait(self, *requests: ApiRequest) -> list["asyncio.Task[Any]"]:
        """Queue these requests."""
        tasks = [self.start(self.use(request)) for request in requests]
        await settle(5)
        return tasks

    async def pass_time(self, seconds: float, step_s: float = 0.1) -> None:
        for _ in range(round(seconds / step_s)):
            self.clock.advance(step_s)
            await settle(5)


MakeClients = Callable[[str], Clients]


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
async def make_clients(clock: FakeClock) -> AsyncIterator[MakeClients]:
    made: list[Clients] = []

    def make(limits: str) -> Clients:
        made.append(Clients(limits, clock))
        return made[-1]

    yield make
    for clients in made:
        await clients.limiter.stop()
        for task in clients.tasks:
            task.cancel()
        await asyncio.gather(*clients.tasks, return_exceptions=True)


@pytest.fixture
def clients(make_clients: MakeClients) -> Clients:
    """Ten requests in ten seconds, without a reserve for interactive ones."""
    return make_clients("token: 10/10s")


async def test_below_the_limit_a_permit_needs_no_wait_and_no_task(clients: Clients) -> None:
    for _ in range(5):
        taking = clients.limiter.acquire(make_request())
        with pytest.raises(StopIteration):  # without having waited once
            taking.send(None)
    assert not clients.limiter.queued


async def test_a_queued_request_is_sent_when_the_limit_allows(clients: Clients) -> None:
    await clients.spend(5)
    await clients.wait(*[make_request("a")] * 6)
    await clients.pass_time(9.9)
    assert clients.served == ["a"] * 5
    await clients.pass_time(0.2)
    assert clients.served == ["a"] * 6


async def test_interactive_requests_are_first_and_clients_are_served_round_robin(
    clients: Clients,
) -> None:
    await clients.spend(5)
    await clients.wait(
        *[make_request("hog")] * 3, make_request("a"), make_request("person", INTERACTIVE)
    )
    await clients.pass_time(5.5)
    assert clients.served == ["person", "hog", "a", "hog", "hog"]


async def test_a_client_at_fifty_times_its_share_delays_the_others_imperceptibly(
    make_clients: MakeClients,
) -> None:
    clients = make_clients("token: 100/10s")
    await clients.spend(97, make_request(priority=INTERACTIVE))
    await clients.wait(*[make_request("hog")] * 60)
    await clients.pass_time(10)
    for number in range(10):
        since = clients.clock.monotonic()
        (light,) = await clients.wait(make_request(f"light {number % 3}"))
        while not light.done():
            await clients.pass_time(0.1)
        assert clients.clock.monotonic() - since < 0.35
        await clients.wait(*[make_request("hog")] * 3)
    assert clients.metrics.rate_limit_rejected == {}
    assert clients.served.count("hog") >= 10


async def test_background_requests_are_last_and_polls_first(clients: Clients) -> None:
    await clients.spend(5)
    last = [make_request(each.label, each) for each in (Priority.PREFETCH, Priority.BACKGROUND)]
    await clients.wait(*last, make_request("client"), make_request("watch", Priority.POLLER))
    await clients.pass_time(5)
    assert clients.served == ["watch", "client", "background", "prefetch"]


async def test_polls_use_a_fifth_of_the_limit(make_clients: MakeClients) -> None:
    clients = make_clients("token: 10/10s")
    await clients.wait(*[make_request("watch", Priority.POLLER)] * 3)
    await clients.pass_time(9.5)
    assert clients.served == ["watch"] * 2
    await clients.pass_time(1)
    assert clients.served == ["watch"] * 3


async def test_no_request_starves(clients: Clients) -> None:
    await clients.spend(5)
    await clients.wait(make_request("renewal", Priority.BACKGROUND))
    for _ in range(200):
        if len(clients.limiter.queued) < 10:
            await clients.wait(make_request("client"))
        await clients.pass_time(0.1)
    assert "renewal" in clients.served


async def test_an_exhausted_limit_blocks_no_other_route(make_clients: MakeClients) -> None:
    clients = make_clients("members: 1/900s, wait: 1000s")
    member = make_request("members", path="members/x")
    await clients.spend(1, member)
    await clients.wait(
        member, make_request("cards"), make_request("nested", path="members/x/boards")
    )
    assert clients.served == ["cards", "nested"]


async def test_search_and_members_have_their_own_limits(make_clients: MakeClients) -> None:
    clients = make_clients("members: 2/10s, search: 1/10s, wait: 0s")
    search, member = make_request(path="search"), make_request(path="members/x")
    await clients.spend(1, search)
    await clients.spend(1, member)
    with pytest.raises(RateLimited, match="/1/search") as refused:
        await clients.limiter.acquire(search)
    assert (refused.value.code, refused.value.retry_after_s) == ("RATE_LIMIT_EXCEEDED", 10)


async def test_tokens_of_one_key_have_their_own_limits_and_share_that_of_the_key(
    make_clients: MakeClients,
) -> None:
    clients = make_clients("token: 10/10s, key: 11/10s, wait: 0s")
    other = Credential(key=STORED.key, token="o" * 64)
    await clients.spend(10, make_request(priority=INTERACTIVE))
    with pytest.raises(RateLimited) as refused:
        await clients.limiter.acquire(make_request(priority=INTERACTIVE))
    assert refused.value.code == "API_TOKEN_LIMIT_EXCEEDED"
    await clients.spend(1, make_request(priority=INTERACTIVE, credential=other))
    with pytest.raises(RateLimited) as refused:
        await clients.limiter.acquire(make_request(priority=INTERACTIVE, credential=other))
    assert refused.value.code == "API_KEY_LIMIT_EXCEEDED"
    await clients.spend(1, make_request(credential=Credential(key="z" * 32, token="z" * 64)))


async def test_a_wait_that_would_be_too_long_is_refused_at_once(make_clients: MakeClients) -> None:
    clients = make_clients("token: 10/10s, wait: 6s")
    await clients.spend(5)
    await clients.wait(*[make_request("a")] * 5)
    with pytest.raises(RateLimited) as refused:
        await clients.limiter.acquire(make_request("a"))
    assert (refused.value.code, refused.value.retry_after_s) == ("API_TOKEN_LIMIT_EXCEEDED", 10)
    await clients.wait(make_request("b"))
    await clients.pass_time(5.5)
    assert clients.served == ["a", "b", "a", "a", "a"]


async def test_an_admitted_request_is_rejected_after_limits_wait(make_clients: MakeClients) -> None:
    clients = make_clients("token: 10/10s, wait: 5s")
    permit = await clients.limiter.acquire(make_request())
    await clients.spend(4)
    (late,) = await clients.wait(make_request("a"))
    permit.throttled("token")
    await clients.pass_time(5.1)
    assert isinstance(late.exception(), RateLimited)
    assert clients.metrics.rate_limit_rejected == {"api": 1}


async def test_the_queue_is_bounded(make_clients: MakeClients) -> None:
    clients = make_clients("token: 1000/10s, key: 1000/10s, wait: 1000s")
    await clients.spend(500)
    await clients.wait(*[make_request(f"{number}") for number in range(MAX_QUEUED)])
    with pytest.raises(RateLimited):
        await clients.limiter.acquire(make_request("one more"))


async def test_a_cancelled_request_costs_nothing(clients: Clients) -> None:
    await clients.spend(5)
    tasks = await clients.wait(make_request("a"), make_request("b"), make_request("c"))
    tasks[1].cancel()
    await clients.pass_time(3)
    assert clients.served == ["a", "c"]
    assert clients.limiter.remaining(STORED)["token"] == 3


async def test_a_request_cancelled_after_its_permit_gives_it_back(clients: Clients) -> None:
    await clients.spend(5)
    (task,) = await clients.wait(make_request("a"))
    clients.clock.advance(1.0)
    while clients.limiter.queued:  # noqa: ASYNC110 — the very moment is wanted
        await asyncio.sleep(0)
    task.cancel()
    await settle(5)
    assert clients.served == []
    assert clients.limiter.remaining(STORED)["token"] == 5


async def test_a_request_cancelled_just_before_its_permit_is_skipped(clients: Clients) -> None:
    await clients.spend(5)
    tasks = await clients.wait(make_request("a"), make_request("b"))
    permit = await clients.limiter.acquire(make_request(priority=INTERACTIVE))
    clients.clock.advance(1.5)
    tasks[0].cancel()
    permit.end(())  # the permit is issued before the cancelled task runs
    await settle(5)
    assert clients.served == ["b"]


async def test_a_joined_request_gets_the_higher_priority(clients: Clients) -> None:
    await clients.spend(5)
    await clients.wait(make_request("renewal", Priority.BACKGROUND, key="k"), make_request("a"))
    clients.limiter.raise_priority(make_request("person", INTERACTIVE, key="k"))
    clients.limiter.raise_priority(make_request("client", API, key="k"))
    await settle(5)
    assert clients.served == ["renewal"]


async def test_a_client_with_a_limit_waits_and_others_do_not(clients: Clients) -> None:
    slow = make_request("slow", limit=Rate(2, 10.0))
    await clients.use(slow)
    await clients.wait(slow, slow, make_request("other"))
    assert clients.served == ["slow", "other"]
    await clients.pass_time(6)
    assert clients.served == ["slow", "other", "slow"]


async def test_a_client_beyond_its_limit_is_rejected_at_once(clients: Clients) -> None:
    slow = make_request("slow", limit=Rate(1, 60.0))
    await clients.use(slow)
    with pytest.raises(RateLimited):
        await clients.limiter.acquire(slow)
    await clients.limiter.acquire(make_request("other", limit=Rate(1, 60.0)))
    await clients.limiter.acquire(make_request("slow", limit=Rate(100, 60.0)))


async def test_a_request_that_another_joins_waits_for_the_wider_limit(clients: Clients) -> None:
    slow = Rate(1, 10.0)
    await clients.use(make_request("slow", limit=slow))
    await clients.wait(make_request("slow", key="k", limit=slow))
    assert clients.served == ["slow"]
    clients.limiter.raise_priority(make_request("other", key="k"))
    await clients.pass_time(1.5)
    assert clients.served == ["slow", "slow"]


async def test_one_client_has_half_of_the_queue(
    make_clients: MakeClients, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limiter, "MAX_QUEUED_PER_CLIENT", 3)
    clients = make_clients("token: 10/10s, wait: 1000s")
    await clients.spend(5)
    await clients.wait(*[make_request("a") for _ in range(3)])
    with pytest.raises(RateLimited):
        await clients.limiter.acquire(make_request("a"))
    await clients.wait(make_request("b"))
    await clients.pass_time(5)
    assert clients.served == ["a", "b", "a", "a"]


async def test_a_429_blocks_its_limit_and_then_one_request_goes_first(clients: Clients) -> None:
    permit = await clients.limiter.acquire(make_request())
    permit.throttled("token")
    permit.end(())
    await clients.wait(make_request("a"))
    await clients.pass_time(9.9)
    assert clients.served == []
    await clients.pass_time(0.2)
    assert clients.served == ["a"]
    assert clients.metrics.upstream_throttled == {"token": 1}


async def test_many_429s_block_the_key_long_before_trello_locks_it(
    make_clients: MakeClients,
) -> None:
    clients = make_clients("wait: 0s")
    other = Credential(key=STORED.key, token="o" * 64)
    held: list[Permit] = [
        await clients.limiter.acquire(make_request()) for _ in range(LOCKOUT_GUARD)
    ]
    for permit in held:
        permit.throttled("member")
        permit.end(())
    with pytest.raises(RateLimited):
        await clients.limiter.acquire(make_request(credential=other))


async def test_the_members_limit_in_headers_is_respected(make_clients: MakeClients) -> None:
    clients = make_clients("wait: 0s")
    permit = await clients.limiter.acquire(make_request())
    figures = (("interval-ms", "10000"), ("max", "375"), ("remaining", "0"))
    permit.end(tuple((f"x-rate-limit-member-{name}", value) for name, value in figures))
    with pytest.raises(RateLimited) as refused:
        await clients.limiter.acquire(make_request())
    assert refused.value.retry_after_s == 10


def test_the_number_of_known_tokens_is_bounded() -> None:
    table = TokenLimitsTable(load("", "test", {}, str).limits)
    first = table.for_credential(STORED)
    for number in range(MAX_TOKENS + 5):
        assert table.for_credential(STORED) is first
        table.for_credential(Credential(key=f"{number}", token=f"{number}"))
    assert len(table) == MAX_TOKENS
