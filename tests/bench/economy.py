"""How many questions does the proxy save, and how stale does it let answers be?

A day of an office in virtual time, played against the stand-in for Trello directly, through a cache
keyed by URL whose lifetime is the proxy's own bound, and through the proxy, with and without
webhooks. Every answer is held against what is true. Files themselves are left out:
`tests.bench.attachments` has them.
Run as `python -m tests.bench.economy [--quick] [--seed N]`.
"""

import argparse
import asyncio
import time
from collections.abc import Callable, Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import replace

from proxy.fake_trello.server import FakeTrello
from tests.bench.day import Day, Figures
from tests.bench.figures import verdict
from tests.bench.office import (
    HOUR_S,
    Office,
    Plan,
)
from tests.bench.office_boards import furnish
from tests.bench.servers import KEY, TOKEN
from tests.bench.truth import Oracle
from tests.bench.virtual import VirtualClock, VirtualLoop
from tests.bench.ways import (
    BOUND_S,
    Direct,
    direct,
    hooked,
    kept,
    proxied,
)

Opened = Callable[[FakeTrello, VirtualClock], AbstractAsyncContextManager[Direct]]
PLANS = {
    "full": Plan(seconds=24 * HOUR_S),
    "quick": Plan(seconds=HOUR_S, night_at_s=HOUR_S / 2),
    "smoke": Plan(seconds=120, boards=2, night_at_s=60),
}
_BUSY = 10
"""How many times as frequent edits are in the second table."""
_BUSY_S = HOUR_S
"""How long that is played at most."""
_MOST = {"full": 0.09, "quick": 0.15, "smoke": 0.50}
_MOST_BUSY = 0.30
_MOST_HOOKED = {"full": 0.05, "quick": 0.15, "smoke": 0.50}
"""Of the requests of the cache keyed by URL: by plan, in the second table, with webhooks."""


def main(arguments: list[str] | None = None) -> None:
    """Play and print; nothing is left running."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench.economy")
    parser.add_argument("--quick", action="store_const", const="quick", dest="plan")
    parser.add_argument("--smoke", action="store_const", const="smoke", dest="plan")
    parser.add_argument("--seed", type=int, default=1)
    given = parser.parse_args(arguments)
    name = given.plan or "full"
    plan, most = PLANS[name], _MOST[name]
    _compare("as ever", plan, given.seed, {proxied: most, hooked: _MOST_HOOKED[name]})
    night_at_s = min(plan.night_at_s, _BUSY_S / 2)
    seconds, often = min(plan.seconds, _BUSY_S), plan.edits_per_minute * _BUSY
    busy = replace(plan, seconds=seconds, edits_per_minute=often, night_at_s=night_at_s)
    _compare(f"{_BUSY} times as frequent", busy, given.seed, {proxied: max(most, _MOST_BUSY)})


def _compare(edits: str, plan: Plan, seed: int, most: Mapping[Opened, float]) -> None:
    print(
        f"\n{plan.seconds / HOUR_S:.3g} h, {plan.boards} boards, edits {edits}"
        f" ({plan.edits_per_minute:g} a minute on each), seed {seed}, bound {BOUND_S} s"
    )
    print(f"  {'':10} asked  to Trello   429  hits      MB   stale  p99 s  worst s  (took)")
    played: dict[Opened, Figures] = {}
    for opened in (direct, kept, *most):
        began = time.perf_counter()
        with asyncio.Runner(loop_factory=VirtualLoop) as runner:
            figures = runner.run(_played(opened, plan, seed))
        played[opened] = figures
        _print(figures, time.perf_counter() - began)
    for opened, ratio in most.items():
        _judge(played[kept], played[opened], ratio)


async def _played(opened: Opened, plan: Plan, seed: int) -> Figures:
    clock = VirtualClock()
    fake_trello = FakeTrello(clock, key=KEY, token=TOKEN, limits=True)
    boards = furnish(fake_trello.trello, plan.boards)
    oracle = Oracle(fake_trello.trello)
    began = clock.now() + 1
    day = Day(fake_trello, clock, oracle)
    oracle.follow(day.targets(Office(boards, plan, seed, began).events()))
    await fake_trello.start()
    async with opened(fake_trello, clock) as way:
        await day.play(way, Office(boards, plan, seed, began).events())
        figures = await day.figures(way)
    await fake_trello.stop()
    return figures


def _print(figures: Figures, took_s: float) -> None:
    print(
        f"  {figures.name:10}{figures.asked:8,} {figures.failed:8,} {figures.upstream:10,}"
        f" {figures.refused:6,} {figures.hits / figures.reads:5.0%}"
        f" {figures.received_bytes / 1e6:6.1f} {figures.stale:6,} {figures.p99_s:6.1f}"
        f" {figures.worst_s:8.1f}  ({took_s:.0f} s)"
    )


def _judge(cache: Figures, proxy: Figures, most: float) -> None:
    print(f"  {proxy.name}:")
    print(verdict("questions to the cache's", proxy.upstream / cache.upstream, most=most))
    print(verdict("s stale at most, where a signal is", proxy.worst_signalled_s, most=BOUND_S))
    print(verdict("answers stale after one's own write", proxy.stale_own, most=0))
    print(verdict("answers that never were true", proxy.untrue, most=0))
    print(f"  without a signal: {proxy.unsignalled} stale answers, {proxy.worst_s:.0f} s at most")
    print(f"  marked as stale, because there was no turn to ask: {proxy.marked}")
    print(f"  {proxy.told}; of all hits {proxy.stale_hits_ratio:.2%} were stale")


if __name__ == "__main__":
    main()
