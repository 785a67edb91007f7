"""Cutting responses: what it costs beside reading the same text with Python's JSON parser.

Fields of 65 cards out of a list of 200 kB, the items of a batch of it, and what it teaches of
names. Run as `python -m tests.bench.cutting [--smoke]`.
"""

import argparse
import json
import time
from collections.abc import Callable
from typing import Any

from proxy.cache.projection.query_shape import QueryShape, Source, parse_shape, project
from proxy.fake_trello.samples import fill
from proxy.fake_trello.service import Trello
from proxy.model import RequestTime
from proxy.runtime.clock import FakeClock
from proxy.trello.alias_learning import extract_aliases
from proxy.trello.batch_codec import split_items
from proxy.trello.routes import Match, RouteTable
from tests.bench.figures import Ratio

CARDS = 65
BATCH_ITEMS = 10
ROUNDS = 60
PATH = f"boards/{'a' * 24}/cards"


def main(arguments: list[str] | None = None) -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench.cutting")
    parser.add_argument("--smoke", action="store_true")
    rounds = 2 if parser.parse_args(arguments).smoke else ROUNDS
    body, match = _cards(), RouteTable().classify("GET", PATH.split("/"))
    wide, narrow = _shape(match, "fields=all"), _shape(match, "fields=name,idList,due")
    batch = b"[%b]" % b",".join([b'{"200":%b}' % body] * BATCH_ITEMS)
    print(f"{CARDS} cards of {len(body) / 1e3:.0f} kB")
    _compare("three fields of each", lambda: project(body, Source(wide), narrow), body, rounds)
    _compare(
        "aliases", lambda: extract_aliases(match, None, "", body, RequestTime(0, 0.0)), body, rounds
    )
    _compare("a batch of ten", lambda: split_items(batch, BATCH_ITEMS), batch, rounds)


def _cards() -> bytes:
    trello = Trello(FakeClock(), key="key", token="token")  # noqa: S106 — made up
    fill(trello)
    cards: list[dict[str, Any]] = trello.request(f"/1/boards/{trello.example_board}/cards")
    some = [
        {**cards[each % len(cards)], "desc": "What is to be done. " * 75} for each in range(CARDS)
    ]
    return json.dumps(some, separators=(",", ":")).encode()


def _shape(match: Match, query: str) -> QueryShape:
    shape = parse_shape(match, query)
    assert shape is not None
    return shape


def _compare(what: str, cut: Callable[[], object], body: bytes, rounds: int) -> None:
    assert cut()
    pairs = [(_seconds(cut), _seconds(lambda: json.loads(body))) for _ in range(rounds)]
    cutting, parsing = zip(*pairs, strict=True)
    print(f"  {what:22}{min(cutting) * 1e3:6.2f} ms, {Ratio(cutting, parsing)} of json.loads")


def _seconds(work: Callable[[], object]) -> float:
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


if __name__ == "__main__":
    main()
