"""A large board: what reads of all its cards cost, and for how long they hold the event loop.

Each read is made alone, for its CPU time, and again while another process repeats a short hit: the
longest that it waits shows how long the event loop was held, or the machine busy; hence the median
of these over all reads. Run as `python -m tests.bench.boards [--quick | --smoke]`.
"""

import argparse
import platform
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from functools import partial
from itertools import combinations, count
from statistics import median

from tests.bench.blocking_client import BlockingClient, Reply
from tests.bench.figures import verdict
from tests.bench.large_board import board_id, card_id, cards_of
from tests.bench.servers import Bench, Server

MAX_STALL_MS = 20.0
MAX_PROJECTION_MS = 2.0
"""CPU for 100 cards."""
PROJECTION = "three fields of each"
SETTLE_S = 0.05
PARTS = ("name", "due", "idList", "pos", "closed", "dueComplete", "idShort", "url")


@dataclass(frozen=True, slots=True)
class Plan:
    """How much is measured."""

    rounds: int
    cards: int


PLANS = {"full": Plan(9, 10_000), "quick": Plan(3, 10_000), "smoke": Plan(1, 50)}


def main(arguments: list[str] | None = None) -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench.boards")
    parser.add_argument("--quick", action="store_const", const="quick", dest="plan")
    parser.add_argument("--smoke", action="store_const", const="smoke", dest="plan")
    plan = PLANS[parser.parse_args(arguments).plan or "full"]
    print(f"Python {platform.python_version()}, {sys.executable}")
    with Bench() as bench:
        proxy = bench.proxy(bench.large_boards(plan.cards), memory="512MiB")
        before = proxy.peak_bytes()
        with closing(BlockingClient(proxy.port)) as client:
            _measure(proxy, client, plan)
        print(f"  peak memory: {before / 2**20:.0f} MiB before, {proxy.peak_bytes() / 2**20:.0f}")


def _measure(proxy: Server, client: BlockingClient, plan: Plan) -> None:
    size = len(cards_of(1, plan.cards))
    print(f"{plan.cards:,} cards, {size / 1e6:.1f} MB; {plan.rounds} reads of each kind")
    client.get(f"/1/boards/{board_id(0)}/cards?fields=all")
    idle_ms = 1e3 * _longest_wait_s(proxy, lambda: time.sleep(1))
    print(f"  nothing: longest wait of another client {idle_ms:.1f} ms")
    for name, reads in _kinds(client, plan).items():
        pairs = [(_alone(proxy, read), _longest_wait_s(proxy, read)) for read in reads]
        replies, waits_s = zip(*pairs, strict=True)
        cpu_ms = 1e3 * median(cpu_s for _, cpu_s in replies)
        first_ms = 1e3 * median(reply.first_byte_s for reply, _ in replies)
        last_ms = 1e3 * median(reply.duration_s for reply, _ in replies)
        print(
            f"  {name:22} CPU {cpu_ms:6.1f} ms, {cpu_ms / (size / 1e6):5.2f} a MB;"
            f" first byte {first_ms:6.1f} ms, last {last_ms:6.1f} ms"
        )
        print(
            verdict("longest wait of another client in ms", 1e3 * max(waits_s), most=MAX_STALL_MS)
        )
        if name == PROJECTION:
            per_100 = 100 * cpu_ms / plan.cards
            print(verdict("CPU in ms for 100 cards", per_100, most=MAX_PROJECTION_MS))


def _kinds(client: BlockingClient, plan: Plan) -> dict[str, list[Callable[[], Reply]]]:
    """Reads by what they are; each checks the response."""
    boards, cards = count(1), count()
    parts = combinations(PARTS, 3)
    gzip, identity = "Accept-Encoding: gzip", "Accept-Encoding: identity"

    def all_cards(board: int, *fields: str, says: bytes, status: int = 200) -> Reply:
        return client.checked(f"/1/boards/{board_id(board)}/cards?fields=all", fields, says, status)

    etag = all_cards(next(boards), gzip, says=b"stored").etag

    def repeat(read: Callable[[], Reply]) -> list[Callable[[], Reply]]:
        return [read] * plan.rounds

    def projected() -> Reply:
        fields = ",".join(next(parts))
        target = f"/1/boards/{board_id(1)}/cards?fields={fields}"
        return client.checked(target, (gzip,), b"projected", 200)

    def one_card() -> Reply:
        target = f"/1/cards/{card_id(1, next(cards) % plan.cards)}?fields=name,desc"
        return client.checked(target, (gzip,), b"projected", 200)

    return {
        "hit, gzip": repeat(partial(all_cards, 1, gzip, says=b"hit")),
        "hit, identity": repeat(partial(all_cards, 1, identity, says=b"hit")),
        "304": repeat(
            partial(all_cards, 1, gzip, f"If-None-Match: {etag}", says=b"hit", status=304)
        ),
        PROJECTION: [projected] * plan.rounds,
        "one card": repeat(one_card),
        "stored miss, gzip": repeat(lambda: all_cards(next(boards), gzip, says=b"stored")),
        "stored miss, identity": repeat(lambda: all_cards(next(boards), identity, says=b"stored")),
    }


def _alone(proxy: Server, read: Callable[[], Reply]) -> tuple[Reply, float]:
    """A read, and the CPU seconds that it cost."""
    before = proxy.cpu_s()
    reply = read()
    time.sleep(SETTLE_S)
    return reply, proxy.cpu_s() - before


def _longest_wait_s(proxy: Server, read: Callable[[], object]) -> float:
    """How long another client waits for a short hit beside a read, at most."""
    target = f"/1/boards/{board_id(0)}/cards?fields=all"
    command = [sys.executable, "-m", "tests.bench.blocking_client", str(proxy.port), target]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as probe:
        assert probe.stdin is not None
        assert probe.stdout is not None
        probe.stdout.readline()
        read()
        time.sleep(SETTLE_S)
        probe.stdin.close()
        return float(probe.stdout.readline())


if __name__ == "__main__":
    main()
