"""After a change elsewhere: stale at once, never for the wait, and better than nothing."""

import asyncio
from collections.abc import AsyncIterator, Callable
from weakref import ref

import pytest

from proxy.clock import FakeClock
from proxy.config import load
from proxy.demo.faults import Fault
from proxy.demo.standin import StandIn
from proxy.edge.plan import HitPlan, Tools
from proxy.edge.record import RequestIds
from proxy.errors import NotStored
from proxy.flow.ask import Answer, Ask
from proxy.flow.exchange import Exchange
from proxy.flow.identity import Partitions, StoredIdentity
from proxy.flow.invalidate import Invalidate
from proxy.flow.outlook import Outlook
from proxy.flow.read_through import ReadThrough
from proxy.flow.sending import Sending
from proxy.flow.turns import Turns
from proxy.flow.watch import Watch
from proxy.log import Log
from proxy.memory_budget import MemoryBudget
from proxy.metrics import Metrics
from proxy.model import Credential, StoredResponse
from proxy.policy.cache_key import key_of
from proxy.policy.directives import NONE, Directives
from proxy.policy.invalidation import board_touched
from proxy.policy.routes import RouteTable
from proxy.policy.scrub import Scrubber
from proxy.store.epochs import Epochs
from proxy.store.memory import Memory
from proxy.store.responses import Responses
from proxy.upstream.client import Upstream
from tests.flow.conftest import KEY, TOKEN, until

_TABLE = RouteTable()


def _ask(*segments: str, wanted: Directives = NONE) -> Ask:
    match = _TABLE.classify("GET", segments)
    return Ask(
        means="GET",
        method="GET",
        target="/1/" + "/".join(segments),
        match=match,
        query_names=frozenset(),
        key=key_of("", "/1/" + "/".join(match.segments)),
        credential=Credential(KEY, TOKEN),
        own=True,
        directives=wanted,
    )


def _told(answer: Answer) -> tuple[bool, str | None, bool, str | None]:
    outcome = answer.outcome
    return outcome.hit, outcome.fwd, outcome.stored, outcome.detail


class Flow:
    """Reading and outdating, and nothing around them."""

    def __init__(self, standin: StandIn, clock: FakeClock) -> None:
        self.lines: list[bytes] = []
        self.metrics = Metrics()
        self.log = Log(self.lines.append, clock, "debug")
        self.upstream = Upstream(connect_timeout_s=5, read_timeout_s=5)
        self.responses = Responses(Memory(1 << 20), None, Epochs(100))
        limits = load("", "proxy.yaml", {}, str).limits
        turns = Turns(limits, clock, bytes, self.metrics)
        stored = StoredIdentity(Credential(KEY, TOKEN), Partitions(b"key", ""))
        outlook = Outlook(stored, clock, self.log, bytes)
        sending = Sending(self.upstream, turns, outlook, self.metrics, clock)
        cleaning = Scrubber([TOKEN]), None
        self.memory = MemoryBudget(1 << 20)
        accounts = self.metrics, self.memory
        exchange = Exchange(sending, standin.url, "test", cleaning, accounts, clock)
        self.invalidate = Invalidate(self.responses, self.metrics, self.log)
        self.watch = Watch(exchange, self.invalidate, clock, self.log, None)
        self.reads = ReadThrough(
            self.responses, exchange, "http://proxy", self.metrics, clock, self.watch
        )


@pytest.fixture
async def flow(standin: StandIn, clock: FakeClock) -> AsyncIterator[Flow]:
    made = Flow(standin, clock)
    yield made
    await made.reads.flights.stop()
    await made.upstream.close()


async def test_the_next_reader_is_told_what_trello_says_now_and_waits_for_it(
    flow: Flow, standin: StandIn, clock: FakeClock, board: str
) -> None:
    ask = _ask("boards", board)
    before = await flow.reads.serve(ask)
    standin.trello.edit("PUT", f"/1/boards/{board}", {"name": "Renamed"})
    assert (await flow.reads.serve(ask)).body == before.body
    clock.advance(40)  # into stale-while-revalidate
    flow.invalidate.outdate(board_touched(board), "watch")
    after = await flow.reads.serve(ask)
    assert _told(after) == (False, "stale", True, None)
    assert after.body != before.body
    assert _told(await flow.reads.serve(ask)) == (True, None, False, None)


async def test_while_trello_fails_the_old_answer_is_given_and_marked(
    flow: Flow, standin: StandIn, board: str
) -> None:
    ask = _ask("boards", board)
    before = await flow.reads.serve(ask)
    flow.invalidate.outdate(board_touched(board), "webhook")
    standin.faults.add(Fault("status", times=None))
    for wanted in (NONE, Directives(no_cache=True)):
        stale = await flow.reads.serve(_ask("boards", board, wanted=wanted))
        assert stale.body == before.body
        assert _told(stale) == (False, "stale", False, "stale-if-error")
    with pytest.raises(NotStored):
        await flow.reads.serve(_ask("boards", board, wanted=Directives(only_if_cached=True)))


async def test_a_removal_later_still_removes(flow: Flow, standin: StandIn, board: str) -> None:
    ask = _ask("boards", board)
    await flow.reads.serve(ask)
    flow.invalidate.outdate(board_touched(board), "watch")
    flow.invalidate.apply(board_touched(board), "write")
    standin.faults.add(Fault("status", times=None))
    assert (await flow.reads.serve(ask)).status == 503


async def test_an_answer_on_its_way_is_not_stored_and_not_joined(
    flow: Flow, standin: StandIn, clock: FakeClock, board: str
) -> None:
    ask = _ask("boards", board)
    standin.faults.add(Fault("late", applied=True))
    first = asyncio.ensure_future(flow.reads.serve(ask))
    await until(lambda: clock.sleepers > 0)
    flow.invalidate.outdate(board_touched(board), "watch")
    second = await flow.reads.serve(ask)
    assert _told(second) == (False, "uri-miss", True, None)
    clock.advance(1)
    assert _told(await first) == (False, "uri-miss", False, "invalidated-meanwhile")
    assert flow.responses.peek(ask.key) is second.stored


async def test_a_plan_made_before_says_nothing_any_more_and_one_of_another_board_goes_on(
    flow: Flow, clock: FakeClock, board: str, other_board: str
) -> None:
    plan = _planner(flow, clock)
    moved = plan((await flow.reads.serve(_ask("boards", board))).stored)
    other = plan((await flow.reads.serve(_ask("boards", other_board))).stored)
    assert moved.answer("peer")
    assert other.answer("peer")
    flow.invalidate.outdate(board_touched(board), "watch")
    assert [moved.answer("peer"), moved.answer("peer")] == [None, None]
    assert other.answer("peer")


def _planner(flow: Flow, clock: FakeClock) -> Callable[[StoredResponse | None], HitPlan]:
    ids, tally = RequestIds("test"), flow.metrics.tally
    tools = Tools(flow.responses, flow.watch, clock, flow.log, ids, str, tally, flow.memory)

    def plan(stored: StoredResponse | None) -> HitPlan:
        assert stored is not None
        cell = flow.metrics.cell("/boards/{id}", "GET", 200, "hit")
        return HitPlan(
            tools=tools,
            stored=ref(stored),
            lifetime_s=30,
            is_watched=False,
            status=200,
            is_inflated=False,
            start=b"",
            route="/boards/{id}",
            tool="test",
            asker="test",
            cell=cell,
        )

    return plan


async def test_one_line_and_one_metric_tell_of_it(flow: Flow, board: str) -> None:
    flow.invalidate.outdate(board_touched(board), "watch")
    flow.invalidate.outdate(board_touched(board), "webhook")
    assert flow.metrics.invalidations == {"watch": 1, "webhook": 1}
    flow.log.flush()
    text = b"".join(flow.lines).decode()
    assert text.count('"message": "invalidated"') == 2
    assert f"board:{board}" in text


async def test_what_is_outdated_gives_no_part(
    flow: Flow, standin: StandIn, board: str, card: str
) -> None:
    await flow.reads.serve(_ask("boards", board, "cards"))
    assert _told(await flow.reads.serve(_ask("cards", card, "name"))) == (
        True, None, False, "projected",
    )  # fmt: skip
    flow.invalidate.outdate(board_touched(board), "watch")
    for segments in (("cards", card, "name"), ("cards", card, "pos")):
        assert not (await flow.reads.serve(_ask(*segments))).outcome.hit
