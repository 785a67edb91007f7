"""Prepared hits of a near cache: each is repeated only while the near cache is trusted."""

from weakref import ref

import pytest

from proxy.fleet.near import Near
from proxy.fleet.protocol import Invalidation
from proxy.observability.log import Log
from proxy.observability.metrics import Metrics
from proxy.runtime.clock import FakeClock
from proxy.runtime.memory_budget import MemoryBudget
from proxy.server.fast_path import FastPath
from proxy.server.hit_log import HitLabels, HitLog
from proxy.server.prepared_hit import PreparedHit
from proxy.server.request_context import RequestIdGenerator, ServerDeps
from tests.fleet.test_near import CARD, FIRST, KEY, STORED, given, trust, trusted

STEP_S = 0.05


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def near(clock: FakeClock) -> Near:
    return trusted(clock)


@pytest.fixture
def hit(near: Near, clock: FakeClock) -> PreparedHit:
    """Of a response that is fresh for longer than it may be used without the leader."""
    log, metrics = Log(lambda lines: None, clock), Metrics()
    deps = ServerDeps(
        clock=clock,
        log=log,
        metrics=metrics,
        memory=MemoryBudget(1_000_000),
        request_ids=RequestIdGenerator("test"),
        redact=str,
    )
    hits = HitLog(log, metrics)
    path = FastPath(deps, hits, store=near.store, watched=near.watch, digest_key=b"key")
    path.use_near(near)
    kept = near.keep(KEY, STORED, given(), 0.0)
    counter = metrics.request_counter("/cards/{id}", "GET", 200, "hit")
    return PreparedHit(
        source=path.source,
        stored=ref(kept),
        body=ref(kept),
        lifetime_s=kept.lifetime_s,
        is_watched=kept.is_watched,
        status=200,
        head=b"",
        labels=HitLabels(template=("",) * 6, address="", client="test", counter=counter, usages=()),
        sent_bytes=0,
        request_ids=deps.request_ids,
        hit_log=hits,
    )


def test_a_hit_is_repeated_exactly_as_long_as_the_ordinary_path_would_serve_it(
    near: Near, clock: FakeClock, hit: PreparedHit
) -> None:
    """Whatever the seconds for which it is prepared: a process that was stopped looks again."""
    served = 0
    while near.find(KEY) is not None:
        assert hit.respond("peer") is not None
        clock.advance(STEP_S)
        served += 1
    assert served > 50
    assert hit.respond("peer") is None
    trust(near, 2)
    assert hit.respond("peer") is not None


def test_a_hit_that_was_prepared_just_before_a_pause_is_not_repeated_after_it(
    near: Near, clock: FakeClock, hit: PreparedHit
) -> None:
    clock.advance(near.trusted_s - STEP_S)
    assert hit.respond("peer") is not None
    clock.advance(2 * STEP_S)
    assert hit.respond("peer") is None


def test_a_hit_is_not_repeated_once_its_invalidation_is_applied(
    near: Near, clock: FakeClock, hit: PreparedHit
) -> None:
    clock.advance(STEP_S)
    assert hit.respond("peer") is not None
    near.apply(Invalidation(FIRST + 1, (CARD,)))
    assert hit.respond("peer") is None
