"""Active refresh: responses of a board that are in use are refetched as soon as it has changed.

One batch per board fetches them: one upstream request instead of one for each client that reads
next, and no client waits. A response that was not served since it was stored is not refetched.
"""

from collections.abc import Iterable
from contextlib import suppress
from dataclasses import replace
from functools import partial

from proxy.cache.batch import BatchService
from proxy.cache.boards import RecentHits
from proxy.cache.collapsing import RequestCollapser
from proxy.cache.read_through import ReadThrough
from proxy.errors import ProxyError
from proxy.http_semantics.cache_control import NONE
from proxy.trello.message import ApiRequest

MAX_BOARDS_PER_POLL = 16
"""Boards refreshed after one poll; of more, clients fetch for themselves."""


class ActiveRefresher:
    """Refetches recent hits of boards that changed; owns the tasks."""

    def __init__(
        self, hits: RecentHits, reads: ReadThrough, batches: BatchService, batch: ApiRequest
    ) -> None:
        """`batch`: any batch request with the stored credential, at background priority."""
        self._hits = hits
        self._reads = reads
        self._batches = batches
        self._batch = batch
        # No caller waits for a refresh, so none is cancelled for want of callers.
        self._refreshes: RequestCollapser[None] = RequestCollapser(lambda _: False)

    def on_change(self, boards: Iterable[str]) -> None:
        """Start to refetch the recent hits of these boards, which are stale now."""
        taken = {board: self._hits.take(board) for board in boards}
        in_use = [board for board, hits in taken.items() if hits]
        for board in in_use[:MAX_BOARDS_PER_POLL]:
            self._refreshes.start(board, partial(self._refresh, taken[board]))

    async def stop(self) -> None:
        """Cancel the refreshes in progress."""
        await self._refreshes.stop()

    async def _refresh(self, hits: list[ApiRequest]) -> None:
        requests = [replace(each.in_background(), directives=NONE) for each in hits]
        for each in requests:  # counted first: fields that several of them choose are widened
            self._reads.widened_request(each)
        wider = [self._reads.widened_request(each) for each in requests]
        wanted = {(wide or own).key: wide or own for wide, own in zip(wider, requests, strict=True)}
        # Lists and cards of a board come first: they show which board other objects are on.
        reads = sorted(wanted.values(), key=lambda each: each.match.segments[0] != "boards")
        with suppress(ProxyError):  # the next client fetches
            await self._batches.refresh(self._batch, reads)
