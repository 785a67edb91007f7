"""What is read again and again of a board is asked again as soon as the board has moved.

One batch brings it all: it costs one question where each reader's own would have been one more,
and nobody waits. An answer that was not used since it came is not asked again.
"""

from collections import OrderedDict
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import replace
from functools import partial

from proxy.errors import ProxyError
from proxy.flow.ask import Ask
from proxy.flow.batch import Batch
from proxy.flow.collapse import Collapse
from proxy.flow.read_through import ReadThrough
from proxy.model import CacheKey, StoredResponse
from proxy.policy.batch import MOST_PARTS, may_be_part
from proxy.policy.directives import NONE
from proxy.policy.watching import boards_of

MOST_BOARDS = 1_000
"""Boards of which uses are remembered: those used last."""
MOST_AT_ONCE = 16
"""Boards of one look of the watcher's; of more, readers ask by themselves."""


class Renew:
    """Knows what was used since it came, and asks for it anew."""

    def __init__(self, reads: ReadThrough, batches: Batch, batch: Ask) -> None:
        """`batch`: any in the stored identity, in the background."""
        self.flights: Collapse[None] = Collapse(lambda _: False)  # nobody waits for one
        self._reads = reads
        self._batches = batches
        self._batch = batch
        self._used: OrderedDict[str, OrderedDict[CacheKey, Ask]] = OrderedDict()

    def used(self, ask: Ask, stored: StoredResponse) -> None:
        """A stored answer was given; only the stored identity's count, and plain reads."""
        if not ask.own or not may_be_part(ask.match, ask.query_names):
            return
        for board in boards_of(stored.tags):
            asks = self._used.pop(board, None) or OrderedDict()
            self._used[board] = asks
            asks.pop(ask.key, None)
            asks[ask.key] = replace(ask.in_background(), directives=NONE)
            if len(asks) > MOST_PARTS:
                asks.popitem(last=False)
        while len(self._used) > MOST_BOARDS:
            self._used.popitem(last=False)

    def moved(self, boards: Iterable[str]) -> None:
        """Ask for what is used of these boards; what was asked of them before is outdated."""
        popular = {board: self._used.pop(board) for board in boards if board in self._used}
        for board, asks in list(popular.items())[:MOST_AT_ONCE]:
            self.flights.start(board, partial(self._renew, list(asks.values())))

    async def _renew(self, asks: list[Ask]) -> None:
        for each in asks:  # counted first: what several want parts of is asked for whole
            self._reads.wider(each)
        wider = [self._reads.wider(each) for each in asks]
        # What shows a board's own lists and cards comes first: it tells whose the others are.
        wanted = {(each or own).key: each or own for each, own in zip(wider, asks, strict=True)}
        with suppress(ProxyError):  # whoever reads it next asks
            reads = sorted(wanted.values(), key=lambda each: each.match.segments[0] != "boards")
            await self._batches.renew(self._batch, reads)
