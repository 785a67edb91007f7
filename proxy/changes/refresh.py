"""Active refresh: responses in use are refetched as soon as they were invalidated (D66).

Boards that changed at once share batches: one upstream request instead of one for each client that
reads next, and no client waits. What is not read any more is not refetched, nor what can be cut out
of a response that is.
"""

from collections.abc import Sequence, Set
from contextlib import suppress
from dataclasses import dataclass, field, replace
from functools import partial
from math import ceil

from proxy.cache.batch import BatchService
from proxy.cache.collapsing import RequestCollapser
from proxy.cache.read_through import ReadThrough
from proxy.cache.recent_reads import RecentRead, RecentReads
from proxy.errors import ProxyError
from proxy.http_semantics.cache_control import NONE
from proxy.model import CacheKey, Tag
from proxy.trello.batch_codec import MAX_PARTS
from proxy.trello.message import ApiRequest

MAX_BATCHES = 16
"""Batches after one poll; what does not fit, clients fetch for themselves."""
MAX_READS = 2 * MAX_BATCHES * MAX_PARTS
"""Reads considered after one poll."""


@dataclass(slots=True)
class _Refresh:
    """A request, and the reads whose responses it brings."""

    request: ApiRequest
    reads: list[RecentRead] = field(default_factory=list)


class ActiveRefresher:
    """Refetches recent reads of boards that changed; owns the tasks."""

    def __init__(
        self, recent: RecentReads, reads: ReadThrough, batches: BatchService, batch: ApiRequest
    ) -> None:
        """`batch`: any batch request with the stored credential, at background priority."""
        self._recent = recent
        self._reads = reads
        self._batches = batches
        self._batch = batch
        # No caller waits for a refresh, so none is cancelled for want of callers.
        self._refreshes: RequestCollapser[None] = RequestCollapser(lambda _: False)

    def refresh(self, tags: Set[Tag]) -> None:
        """Start to refetch the reads in use that carry these tags, just invalidated.

        Reads that were not repeated since their last refresh fill batches, and begin none.
        """
        wanted = list(self._requests_for(self._recent.with_tags(tags)[:MAX_READS]).values())
        repeated = sum(not each.reads[0].unread for each in wanted)
        count = min(ceil(repeated / MAX_PARTS), MAX_BATCHES - len(self._refreshes))
        chosen = wanted[: max(0, count) * MAX_PARTS]
        for read in (read for each in chosen for read in each.reads):
            read.unread += 1
        # Lists and cards of a board come first: they show which board other objects are on.
        requests = sorted(
            (each.request for each in chosen), key=lambda each: each.match.segments[0] != "boards"
        )
        for at in range(0, len(requests), MAX_PARTS):
            batch = requests[at : at + MAX_PARTS]
            key = frozenset(each.key for each in batch)
            self._refreshes.start(key, partial(self._refresh, batch))

    async def stop(self) -> None:
        """Cancel the refreshes in progress."""
        await self._refreshes.stop()

    def _requests_for(self, found: Sequence[RecentRead]) -> dict[CacheKey, _Refresh]:
        """The fewest requests whose responses contain those of all reads, by key."""
        requests = [replace(read.request.in_background(), directives=NONE) for read in found]
        for each in requests:  # counted first: fields that several of them choose are widened
            self._reads.widened_request(each)
        requests = [self._reads.widened_request(each) or each for each in requests]
        holders = self._reads.holders_among(requests)
        wanted: dict[CacheKey, _Refresh] = {}
        for read, request in zip(found, requests, strict=True):
            holder = holders.get(request.key, request)
            wanted.setdefault(holder.key, _Refresh(holder)).reads.append(read)
        return wanted

    async def _refresh(self, requests: Sequence[ApiRequest]) -> None:
        with suppress(ProxyError):  # the next client fetches
            await self._batches.refresh(self._batch, requests)
