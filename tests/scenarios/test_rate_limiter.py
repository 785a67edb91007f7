"""Who gets a turn and when, on a clock that only the test moves; nothing is sent."""

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine
from typing import Any

import pytest

from proxy.config.schema import Limits, load
from proxy.errors import RateLimited
from proxy.http_semantics.cache_control import NONE
from proxy.model import (
    CacheKey,
    Credential,
    Priority,
)
from proxy.observability.metrics import Metrics
from proxy.ratelimit.account import (
    LOCKOUT_GUARD,
    MAX_TOKENS,
    TokenLimitsTable,
)
from proxy.ratelimit.limiter import MAX_QUEUED, Permit, RateLimiter
from proxy.runtime.clock import FakeClock
from proxy.trello.message import ApiRequest
from proxy.trello.routes import RouteTable
from tests.scenarios.conftest import turns as breathe

STORED = Credential(key="k" * 32, token="t" * 64)
TABLE = RouteTable()
TOOL, PERSON = Priority.API, Priority.INTERACTIVE


def ask_of(
    tool: str = "tool",
    priority: Priority = TOOL,
    path: str = "cards/x",
    credential: Credential = STORED,
    key: str = "",
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
        queue_key=tool,
    )


class Office:
    """Takes turns for many, and remembers who got one."""

    def __init__(self, limits: str, clock: FakeClock) -> None:
        config: Limits = load(f"limits: {{{limits}}}", "test", {}, str).limits
        self.clock = clock
        self.metrics = Metrics()
        self.turns = RateLimiter(config, clock, lambda count: b"\0" * count, self.metrics)
        self.tasks: set[asyncio.Task[Any]] = set()
        self.served: list[str] = []

    def start(self, work: Coroutine[Any, Any, Any]) -> "asyncio.Task[Any]":
        task = asyncio.create_task(work)  # noqa: TID251 — ended in the fixture
        self.tasks.add(task)
        return task

    async def use(self, request: ApiRequest) -> None:
        turn = await self.turns.acquire(request)
        self.served.append(request.queue_key)
        turn.end(())

    async def spend(self, count: int, request: ApiRequest | None = None) -> None:
        """So many turns at once."""
        for _ in range(count):
            await self.use(request or ask_of("before"))
        self.served.clear()

    async def wait(self, *asks: ApiRequest) -> list["asyncio.Task[Any]"]:
        """These wait in line."""
        tasks = [self.start(self.use(request)) for request in asks]
        await breathe(5)
        return tasks

    async def pass_time(self, seconds: float, step_s: float = 0.1) -> None:
        for _ in range(round(seconds / step_s)):
            self.clock.advance(step_s)
            await breathe(5)


MakeOffice = Callable[[str], Office]


@pytest.fixture
async def office_of(clock: FakeClock) -> AsyncIterator[MakeOffice]:
    made: list[Office] = []

    def make(limits: str) -> Office:
        made.append(Office(limits, clock))
        return made[-1]

    yield make
    for office in made:
        await office.turns.stop()
        for task in office.tasks:
            task.cancel()
        await asyncio.gather(*office.tasks, return_exceptions=True)


@pytest.fixture
def office(office_of: MakeOffice) -> Office:
    """Ten requests in ten seconds, none of them kept for people."""
    return office_of("token: 10/10s")


async def test_while_there_is_room_nobody_waits_and_nothing_else_runs(office: Office) -> None:
    for _ in range(5):
        taking = office.turns.acquire(ask_of())
        with pytest.raises(StopIteration):  # without having waited once
            taking.send(None)
    assert not office.turns.queued


async def test_who_has_to_wait_goes_when_there_is_room_again(office: Office) -> None:
    await office.spend(5)
    await office.wait(*[ask_of("a")] * 6)
    await office.pass_time(9.9)
    assert office.served == ["a"] * 5
    await office.pass_time(0.2)
    assert office.served == ["a"] * 6


async def test_people_go_before_tools_and_tools_take_turns(office: Office) -> None:
    await office.spend(5)
    await office.wait(*[ask_of("hog")] * 3, ask_of("a"), ask_of("person", PERSON))
    await office.pass_time(5.5)
    assert office.served == ["person", "hog", "a", "hog", "hog"]


async def test_a_tool_at_fifty_times_its_share_delays_the_others_by_nothing_they_notice(
    office_of: MakeOffice,
) -> None:
    office = office_of("token: 100/10s")
    await office.spend(97, ask_of(priority=PERSON))
    await office.wait(*[ask_of("hog")] * 60)
    await office.pass_time(10)
    for number in range(10):
        since = office.clock.monotonic()
        (light,) = await office.wait(ask_of(f"light {number % 3}"))
        while not light.done():
            await office.pass_time(0.1)
        assert office.clock.monotonic() - since < 0.35
        await office.wait(*[ask_of("hog")] * 3)
    assert office.metrics.rate_limit_rejected == {}
    assert office.served.count("hog") >= 10


async def test_what_nobody_waits_for_goes_last_but_for_the_watcher(office: Office) -> None:
    await office.spend(5)
    last = [ask_of(each.label, each) for each in (Priority.PREFETCH, Priority.BACKGROUND)]
    await office.wait(*last, ask_of("tool"), ask_of("watch", Priority.POLLER))
    await office.pass_time(5)
    assert office.served == ["watch", "tool", "background", "prefetch"]


async def test_the_watcher_keeps_to_a_fifth(office_of: MakeOffice) -> None:
    office = office_of("token: 10/10s")
    await office.wait(*[ask_of("watch", Priority.POLLER)] * 3)
    await office.pass_time(9.5)
    assert office.served == ["watch"] * 2
    await office.pass_time(1)
    assert office.served == ["watch"] * 3


async def test_nobody_starves(office: Office) -> None:
    await office.spend(5)
    await office.wait(ask_of("renewal", Priority.BACKGROUND))
    for _ in range(200):
        if len(office.turns.queued) < 10:
            await office.wait(ask_of("tool"))
        await office.pass_time(0.1)
    assert "renewal" in office.served


async def test_a_limit_that_is_used_up_holds_up_nobody_else(office_of: MakeOffice) -> None:
    office = office_of("members: 1/900s, wait: 1000s")
    member = ask_of("members", path="members/x")
    await office.spend(1, member)
    await office.wait(member, ask_of("cards"), ask_of("nested", path="members/x/boards"))
    assert office.served == ["cards", "nested"]


async def test_search_and_members_have_limits_of_their_own(office_of: MakeOffice) -> None:
    office = office_of("members: 2/10s, search: 1/10s, wait: 0s")
    search, member = ask_of(path="search"), ask_of(path="members/x")
    await office.spend(1, search)
    await office.spend(1, member)
    with pytest.raises(RateLimited, match="/1/search") as refused:
        await office.turns.acquire(search)
    assert (refused.value.code, refused.value.retry_after_s) == ("RATE_LIMIT_EXCEEDED", 10)


async def test_tokens_of_one_key_have_budgets_of_their_own_and_share_the_keys(
    office_of: MakeOffice,
) -> None:
    office = office_of("token: 10/10s, key: 11/10s, wait: 0s")
    other = Credential(key=STORED.key, token="o" * 64)
    await office.spend(10, ask_of(priority=PERSON))
    with pytest.raises(RateLimited) as refused:
        await office.turns.acquire(ask_of(priority=PERSON))
    assert refused.value.code == "API_TOKEN_LIMIT_EXCEEDED"
    await office.spend(1, ask_of(priority=PERSON, credential=other))
    with pytest.raises(RateLimited) as refused:
        await office.turns.acquire(ask_of(priority=PERSON, credential=other))
    assert refused.value.code == "API_KEY_LIMIT_EXCEEDED"
    await office.spend(1, ask_of(credential=Credential(key="z" * 32, token="z" * 64)))


async def test_a_wait_that_would_be_too_long_is_refused_at_once(office_of: MakeOffice) -> None:
    office = office_of("token: 10/10s, wait: 6s")
    await office.spend(5)
    await office.wait(*[ask_of("a")] * 5)
    with pytest.raises(RateLimited) as refused:
        await office.turns.acquire(ask_of("a"))
    assert (refused.value.code, refused.value.retry_after_s) == ("API_TOKEN_LIMIT_EXCEEDED", 10)
    await office.wait(ask_of("b"))
    await office.pass_time(5.5)
    assert office.served == ["a", "b", "a", "a", "a"]


async def test_who_was_let_in_waits_no_longer_than_that(office_of: MakeOffice) -> None:
    office = office_of("token: 10/10s, wait: 5s")
    turn = await office.turns.acquire(ask_of())
    await office.spend(4)
    (late,) = await office.wait(ask_of("a"))
    turn.throttled("token")
    await office.pass_time(5.1)
    assert isinstance(late.exception(), RateLimited)
    assert office.metrics.rate_limit_rejected == {"api": 1}


async def test_the_line_has_an_end(office_of: MakeOffice) -> None:
    office = office_of("token: 1000/10s, key: 1000/10s, wait: 1000s")
    await office.spend(500)
    await office.wait(*[ask_of(f"{number}") for number in range(MAX_QUEUED)])
    with pytest.raises(RateLimited):
        await office.turns.acquire(ask_of("one more"))


async def test_who_leaves_costs_nothing(office: Office) -> None:
    await office.spend(5)
    tasks = await office.wait(ask_of("a"), ask_of("b"), ask_of("c"))
    tasks[1].cancel()
    await office.pass_time(3)
    assert office.served == ["a", "c"]
    assert office.turns.remaining(STORED)["token"] == 3


async def test_who_leaves_as_the_turn_comes_gives_it_back(office: Office) -> None:
    await office.spend(5)
    (task,) = await office.wait(ask_of("a"))
    office.clock.advance(1.0)
    while office.turns.queued:  # noqa: ASYNC110 — the very moment is wanted
        await asyncio.sleep(0)
    task.cancel()
    await breathe(5)
    assert office.served == []
    assert office.turns.remaining(STORED)["token"] == 5


async def test_who_leaves_in_the_moment_of_a_turn_is_passed_over(office: Office) -> None:
    await office.spend(5)
    tasks = await office.wait(ask_of("a"), ask_of("b"))
    turn = await office.turns.acquire(ask_of(priority=PERSON))
    office.clock.advance(1.5)
    tasks[0].cancel()
    turn.end(())  # the turn is given before the task hears that it was cancelled
    await breathe(5)
    assert office.served == ["b"]


async def test_a_flight_that_somebody_joins_moves_up(office: Office) -> None:
    await office.spend(5)
    await office.wait(ask_of("renewal", Priority.BACKGROUND, key="k"), ask_of("a"))
    office.turns.raise_priority(ask_of("person", PERSON, key="k"))
    office.turns.raise_priority(ask_of("tool", TOOL, key="k"))
    await breathe(5)
    assert office.served == ["renewal"]


async def test_a_429_stops_its_limit_and_then_one_looks_first(office: Office) -> None:
    turn = await office.turns.acquire(ask_of())
    turn.throttled("token")
    turn.end(())
    await office.wait(ask_of("a"))
    await office.pass_time(9.9)
    assert office.served == []
    await office.pass_time(0.2)
    assert office.served == ["a"]
    assert office.metrics.upstream_throttled == {"token": 1}


async def test_many_429s_stop_the_key_long_before_trello_would(office_of: MakeOffice) -> None:
    office = office_of("wait: 0s")
    other = Credential(key=STORED.key, token="o" * 64)
    held: list[Permit] = [await office.turns.acquire(ask_of()) for _ in range(LOCKOUT_GUARD)]
    for turn in held:
        turn.throttled("member")
        turn.end(())
    with pytest.raises(RateLimited):
        await office.turns.acquire(ask_of(credential=other))


async def test_what_headers_tell_of_the_member_is_heeded(office_of: MakeOffice) -> None:
    office = office_of("wait: 0s")
    turn = await office.turns.acquire(ask_of())
    figures = (("interval-ms", "10000"), ("max", "375"), ("remaining", "0"))
    turn.end(tuple((f"x-rate-limit-member-{name}", value) for name, value in figures))
    with pytest.raises(RateLimited) as refused:
        await office.turns.acquire(ask_of())
    assert refused.value.retry_after_s == 10


def test_tokens_that_are_known_are_bounded() -> None:
    accounts = TokenLimitsTable(load("", "test", {}, str).limits)
    first = accounts.for_credential(STORED)
    for number in range(MAX_TOKENS + 5):
        assert accounts.for_credential(STORED) is first
        accounts.for_credential(Credential(key=f"{number}", token=f"{number}"))
    assert len(accounts) == MAX_TOKENS
