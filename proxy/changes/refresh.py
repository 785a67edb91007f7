"""What is read again and again of a board is asked again as soon as the board has moved.

One batch brings it all: it costs one question where each reader's own would have been one more,
and nobody waits. An answer that was not used since it came is not asked again.
"""

from collections import OrderedDict
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import replace
from functools import partial

from proxy.cache.batch import BatchService
from proxy.cache.collapsing import RequestCollapser
from proxy.cache.read_through import ReadThrough
from proxy.changes.poll_diff import boards_of
from proxy.errors import ProxyError
from proxy.http_semantics.cache_control import NONE
from proxy.model import CacheKey, StoredResponse
from proxy.trello.batch_codec import MAX_PARTS, is_cacheable_part
from proxy.trello.message import ApiRequest

MAX_BOARDS = 1_000
"""Boards of which uses are remembered: those used last."""
MAX_PER_BATCH = 16
"""Boards of one look of the watcher's; of more, readers ask by themselves."""


class ActiveRefresher:
    """Knows what was used since it came, and asks for it anew."""

    def __init__(self, reads: ReadThrough, batches: BatchService, batch: ApiRequest) -> None:
        """`batch`: any in the stored identity, in the background."""
        self.flights: RequestCollapser[None] = RequestCollapser(
            lambda _: False
        )  # nobody waits for one
        self._reads = reads
        self._batches = batches
        self._batch = batch
        self._recently_hit: OrderedDict[str, OrderedDict[CacheKey, ApiRequest]] = OrderedDict()

    def on_hit(self, request: ApiRequest, stored: StoredResponse) -> None:
        """A stored answer was given; only the stored identity's count, and plain reads."""
        if not request.uses_stored_credential or not is_cacheable_part(
            request.match, request.query_names
        ):
            return
        for board in boards_of(stored.tags):
            asks = self._recently_hit.pop(board, None) or OrderedDict()
            self._recently_hit[board] = asks
            asks.pop(request.key, None)
            asks[request.key] = replace(request.in_background(), directives=NONE)
            if len(asks) > MAX_PARTS:
                asks.popitem(last=False)
        while len(self._recently_hit) > MAX_BOARDS:
            self._recently_hit.popitem(last=False)

    def on_change(self, boards: Iterable[str]) -> None:
        """Ask for what is used of these boards; what was asked of them before is outdated."""
        popular = {
            board: self._recently_hit.pop(board) for board in boards if board in self._recently_hit
        }
        for board, asks in list(popular.items())[:MAX_PER_BATCH]:
            self.flights.start(board, partial(self._refresh, list(asks.values())))

    async def _refresh(self, asks: list[ApiRequest]) -> None:
        for each in asks:  # counted first: what several want parts of is asked for whole
            self._reads.widened_request(each)
        wider = [self._reads.widened_request(each) for each in asks]
        # What shows a board's own lists and cards comes first: it tells whose the others are.
        wanted = {(each or own).key: each or own for each, own in zip(wider, asks, strict=True)}
        with suppress(ProxyError):  # whoever reads it next asks
            reads = sorted(wanted.values(), key=lambda each: each.match.segments[0] != "boards")
            await self._batches.refresh(self._batch, reads)
