"""After a change elsewhere: stale at once, never for the wait, and better than nothing."""

import asyncio
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from weakref import ref

import pytest

from proxy.cache.aliases import AliasResolver
from proxy.cache.boards import WatchedBoards
from proxy.cache.invalidation import Invalidator
from proxy.cache.lookup import StoredLookup
from proxy.cache.projection.projector import Projector
from proxy.cache.read_through import ReadThrough
from proxy.cache.recent_reads import RecentReads
from proxy.cache.response_storing import ResponseStorer
from proxy.cache.store.store import MemoryTier, ResponseStore
from proxy.cache.store.tag_epochs import TagEpochs
from proxy.config.schema import load
from proxy.credentials.identity import CachePartitions, StoredCredential
from proxy.credentials.redaction import Redactor
from proxy.errors import NotInCache
from proxy.fake_trello.faults import Fault
from proxy.fake_trello.server import FakeTrello
from proxy.http_semantics.cache_control import NONE, Directives
from proxy.model import Credential, Detail, FetchedParts, Fwd, StoredResponse
from proxy.observability.log import Log
from proxy.observability.metrics import Metrics
from proxy.ratelimit.limiter import RateLimiter
from proxy.runtime.clock import FakeClock
from proxy.runtime.memory_budget import MemoryBudget
from proxy.server.fast_path import FastPath
from proxy.server.hit_log import HitLabels, HitLog
from proxy.server.prepared_hit import PreparedHit
from proxy.server.request_context import RequestIdGenerator, ServerDeps
from proxy.trello.message import ApiRequest, ApiResponse, key_of
from proxy.trello.routes import RouteTable
from proxy.trello.write_effects import board_tags
from proxy.upstream.availability import CircuitBreakers
from proxy.upstream.client import UpstreamClient
from proxy.upstream.exchange import UpstreamExchange
from proxy.upstream.transport import Transport
from tests.scenarios.conftest import KEY, TOKEN, until

_TABLE = RouteTable()


def _ask(*segments: str, wanted: Directives = NONE) -> ApiRequest:
    match = _TABLE.classify("GET", segments)
    return ApiRequest(
        effective_method="GET",
        method="GET",
        target="/1/" + "/".join(segments),
        match=match,
        query_names=frozenset(),
        key=key_of("", "/1/" + "/".join(match.segments)),
        credential=Credential(KEY, TOKEN),
        uses_stored_credential=True,
        directives=wanted,
    )


def _told(response: ApiResponse) -> tuple[bool, Fwd | None, bool, Detail | FetchedParts | None]:
    outcome = response.outcome
    return outcome.hit, outcome.fwd, outcome.stored, outcome.detail


class Flow:
    """Lookup and invalidation, and nothing around them."""

    def __init__(self, fake_trello: FakeTrello, clock: FakeClock) -> None:
        self.lines: list[bytes] = []
        self.in_future: list[float] = []
        self.stored: list[StoredResponse] = []
        self.metrics = Metrics()
        self.log = Log(self.lines.append, clock, "debug")
        self.upstream = Transport(connect_timeout_s=5, read_timeout_s=5)
        self.responses = ResponseStore(MemoryTier(1 << 20), None, TagEpochs(100))
        limits = load("", "proxy.yaml", {}, str).limits
        limiter = RateLimiter(limits, clock, bytes, self.metrics)
        stored = StoredCredential(Credential(KEY, TOKEN), CachePartitions(b"key", ""))
        availability = CircuitBreakers(stored, clock, self.log, bytes)
        client = UpstreamClient(
            self.upstream,
            limiter=limiter,
            availability=availability,
            metrics=self.metrics,
            clock=clock,
            random_bytes=bytes,
        )
        self.memory = MemoryBudget(1 << 20)
        exchange = UpstreamExchange(
            client,
            origin=fake_trello.url,
            via="test",
            redactor=Redactor([TOKEN]),
            link_rewriter=None,
            metrics=self.metrics,
            memory=self.memory,
            clock=clock,
        )
        self.invalidator = Invalidator(self.responses, self.metrics, self.log)
        self.watched = WatchedBoards(clock)
        aliases = AliasResolver(self.responses, clock)
        lookup = StoredLookup(self.responses, self.watched, clock, on_future=self.in_future.append)
        projector = Projector(self.responses, lookup, aliases, clock)
        storer = ResponseStorer(
            responses=self.responses,
            aliases=aliases,
            projector=projector,
            public_url="http://proxy",
            on_stored=lambda _, stored: self.stored.append(stored),
            clock=clock,
            metrics=self.metrics,
        )
        self.reads = ReadThrough(
            lookup=lookup,
            aliases=aliases,
            projector=projector,
            storer=storer,
            exchange=exchange,
            watched=self.watched,
            recent=RecentReads(clock),
        )


@pytest.fixture
async def flow(standin: FakeTrello, clock: FakeClock) -> AsyncIterator[Flow]:
    made = Flow(standin, clock)
    yield made
    await made.reads.stop()
    await made.upstream.close()


async def test_the_next_reader_is_told_what_trello_says_now_and_waits_for_it(
    flow: Flow, standin: FakeTrello, clock: FakeClock, board: str
) -> None:
    request = _ask("boards", board)
    before = await flow.reads.serve(request)
    standin.trello.edit("PUT", f"/1/boards/{board}", {"name": "Renamed"})
    assert (await flow.reads.serve(request)).body == before.body
    clock.advance(40)  # into stale-while-revalidate
    flow.invalidator.mark_stale(board_tags(board), "poll")
    after = await flow.reads.serve(request)
    assert _told(after) == (False, "stale", True, None)
    assert after.body != before.body
    assert _told(await flow.reads.serve(request)) == (True, None, False, None)


async def test_while_trello_fails_the_old_answer_is_given_and_marked(
    flow: Flow, standin: FakeTrello, board: str
) -> None:
    request = _ask("boards", board)
    before = await flow.reads.serve(request)
    flow.invalidator.mark_stale(board_tags(board), "webhook")
    standin.faults.add(Fault("status", times=None))
    for wanted in (NONE, Directives(no_cache=True)):
        stale = await flow.reads.serve(_ask("boards", board, wanted=wanted))
        assert stale.body == before.body
        assert _told(stale) == (False, "stale", False, "stale-if-error")
    with pytest.raises(NotInCache):
        await flow.reads.serve(_ask("boards", board, wanted=Directives(only_if_cached=True)))


async def test_a_removal_later_still_removes(flow: Flow, standin: FakeTrello, board: str) -> None:
    request = _ask("boards", board)
    await flow.reads.serve(request)
    flow.invalidator.mark_stale(board_tags(board), "poll")
    flow.invalidator.purge(board_tags(board), "write")
    standin.faults.add(Fault("status", times=None))
    assert (await flow.reads.serve(request)).status == 503


async def test_an_answer_on_its_way_is_not_stored_and_not_joined(
    flow: Flow, standin: FakeTrello, clock: FakeClock, board: str
) -> None:
    request = _ask("boards", board)
    standin.faults.add(Fault("late", applied=True))
    first = asyncio.ensure_future(flow.reads.serve(request))
    await until(lambda: clock.sleepers > 0)
    flow.invalidator.mark_stale(board_tags(board), "poll")
    second = await flow.reads.serve(request)
    assert _told(second) == (False, "uri-miss", True, None)
    clock.advance(1)
    assert _told(await first) == (False, "uri-miss", False, "invalidated-during-fetch")
    assert flow.responses.peek(request.key) is second.stored


async def test_a_plan_made_before_says_nothing_any_more_and_one_of_another_board_goes_on(
    flow: Flow, clock: FakeClock, board: str, other_board: str
) -> None:
    plan = _planner(flow, clock)
    moved = plan((await flow.reads.serve(_ask("boards", board))).stored)
    other = plan((await flow.reads.serve(_ask("boards", other_board))).stored)
    clock.advance(0.25)
    assert moved.respond("peer")
    assert other.respond("peer")
    flow.invalidator.mark_stale(board_tags(board), "poll")
    assert [moved.respond("peer"), moved.respond("peer")] == [None, None]
    assert other.respond("peer")


async def test_a_response_that_was_replaced_or_dropped_is_not_repeated_though_it_is_in_use(
    flow: Flow, clock: FakeClock, board: str, other_board: str
) -> None:
    plan = _planner(flow, clock)
    replaced = (await flow.reads.serve(_ask("boards", board))).stored
    dropped = (await flow.reads.serve(_ask("boards", other_board))).stored
    assert replaced is not None
    assert dropped is not None
    hits = plan(replaced), plan(dropped)
    clock.advance(0.25)
    assert all(hit.respond("peer") for hit in hits)
    flow.responses.put(replace(replaced))
    flow.responses.drop(dropped.key)
    assert [hit.respond("peer") for hit in hits] == [None, None]


def _planner(flow: Flow, clock: FakeClock) -> Callable[[StoredResponse | None], PreparedHit]:
    deps = ServerDeps(
        clock=clock,
        log=flow.log,
        metrics=flow.metrics,
        memory=flow.memory,
        request_ids=RequestIdGenerator("test"),
        redact=str,
    )
    fast_path = FastPath(
        deps,
        HitLog(flow.log, flow.metrics),
        store=flow.responses,
        watched=flow.watched,
        digest_key=b"key",
    )

    def plan(stored: StoredResponse | None) -> PreparedHit:
        assert stored is not None
        cell = flow.metrics.request_counter("/boards/{id}", "GET", 200, "hit")
        return PreparedHit(
            source=fast_path.source,
            stored=ref(stored),
            body=ref(stored),
            lifetime_s=30,
            is_watched=False,
            status=200,
            head=b"",
            labels=HitLabels(
                template=("",) * 6, address="", client="test", counter=cell, usages=()
            ),
            sent_bytes=0,
            request_ids=deps.request_ids,
            hit_log=fast_path.hit_log,
        )

    return plan


async def test_one_line_and_one_metric_tell_of_it(flow: Flow, board: str) -> None:
    flow.invalidator.mark_stale(board_tags(board), "poll")
    flow.invalidator.mark_stale(board_tags(board), "webhook")
    assert flow.metrics.invalidations == {"poll": 1, "webhook": 1}
    flow.log.flush()
    text = b"".join(flow.lines).decode()
    assert text.count('"message":"invalidated"') == 2
    assert f"board:{board}" in text


async def test_a_stale_response_gives_no_part(
    flow: Flow, standin: FakeTrello, board: str, card: str
) -> None:
    await flow.reads.serve(_ask("boards", board, "cards"))
    assert _told(await flow.reads.serve(_ask("cards", card, "name"))) == (
        True, None, False, "projected",
    )  # fmt: skip
    flow.invalidator.mark_stale(board_tags(board), "poll")
    for segments in (("cards", card, "name"), ("cards", card, "pos")):
        assert not (await flow.reads.serve(_ask(*segments))).outcome.hit
