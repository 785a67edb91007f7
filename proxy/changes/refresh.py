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
        wanted = self._requests_for(self._recent.with_tags(tags)[:MAX_READS])
        repeated = sum(not each.reads[0].unread for each in wanted)
        count = min(ceil(repeated / MAX_PARTS), MAX_BATCHES - len(self._refreshes))
        if count > 0:
            self._start(wanted, count)

    def revalidate(self, request: ApiRequest) -> bool:
        """Start to refetch a read that expired, with others that would expire soon.

        False if there are none, or enough batches in progress; True also if it is in one of these.
        """
        read = self._recent.find(request.key)
        if read is None:
            return False
        if not read.is_pending:
            if len(self._refreshes) >= MAX_BATCHES or not self._recent.ageing(1):
                return False
            self._start(self._requests_for([read]), count=1)
        return True

    def _start(self, wanted: Sequence[_Refresh], count: int) -> None:
        """Start `count` batches of these at most, and fill the last one with ageing reads (D69)."""
        chosen = wanted[: count * MAX_PARTS]
        free = count * MAX_PARTS - len(chosen)
        if free:
            reads = [read for each in chosen for read in each.reads]
            ageing = self._recent.ageing(2 * MAX_PARTS)
            known = {read.request.key for read in reads}
            others = [each for each in ageing if each.request.key not in known]
            chosen = self._requests_for([*reads, *others])[: count * MAX_PARTS]
        for read in (read for each in chosen for read in each.reads):
            read.unread += 1
        # Lists and cards of a board come first: they show which board other objects are on.
        chosen = sorted(chosen, key=lambda each: each.request.match.segments[0] != "boards")
        for at in range(0, len(chosen), MAX_PARTS):
            batch = chosen[at : at + MAX_PARTS]
            key = frozenset(each.request.key for each in batch)
            self._refreshes.start(key, partial(self._refresh, batch))

    async def stop(self) -> None:
        """Cancel the refreshes in progress."""
        await self._refreshes.stop()

    def _requests_for(self, found: Sequence[RecentRead]) -> list[_Refresh]:
        """The fewest requests whose responses contain those of all reads, in their order."""
        requests = [replace(read.request.in_background(), directives=NONE) for read in found]
        for each in requests:  # counted first: fields that several of them choose are widened
            self._reads.widened_request(each)
        requests = [self._reads.widened_request(each) or each for each in requests]
        holders = self._reads.holders_among(requests)
        wanted: dict[CacheKey, _Refresh] = {}
        for read, request in zip(found, requests, strict=True):
            holder = holders.get(request.key, request)
            wanted.setdefault(holder.key, _Refresh(holder)).reads.append(read)
        return list(wanted.values())

    async def _refresh(self, batch: Sequence[_Refresh]) -> None:
        reads = [read for each in batch for read in each.reads]
        for read in reads:
            read.is_pending = True
        try:
            with suppress(ProxyError):  # the next client fetches
                await self._batches.refresh(self._batch, [each.request for each in batch])
        finally:
            for read in reads:
                read.is_pending = False
