"""Batch requests: each part from the store, and one upstream request for the missing ones (D31).

Every part is stored as a read of its own is, under the same key. If one part is missing it is
fetched by itself, and so collapsed onto other requests for it. Several are one batch, onto which
others for the same parts are collapsed while the store's `seq` has not moved.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial

from proxy.cache.collapsing import RequestCollapser
from proxy.cache.lookup import LookupResult
from proxy.cache.policy import ABSENT, Fresh, why_unusable
from proxy.cache.read_through import ReadThrough
from proxy.cache.response_storing import ResponseStorer
from proxy.cache.results import Stored, TooLarge, response_from_buffered
from proxy.errors import InvalidResponse, NotInCache, UpstreamError
from proxy.http_semantics.conditional import etag_of
from proxy.http_semantics.content import gzipped, identity_length
from proxy.model import (
    CacheKey,
    Detail,
    FetchedParts,
    Fwd,
    Kind,
    Outcome,
    RequestTime,
    StoredResponse,
)
from proxy.runtime.tasks import run_if_large
from proxy.trello.batch_codec import (
    JSON_HEAD,
    Item,
    batch_target,
    compose_body,
    make_item,
    split_items,
)
from proxy.trello.failures import is_upstream_failure
from proxy.trello.message import ApiRequest, ApiResponse
from proxy.trello.routes import Match
from proxy.upstream.exchange import (
    MAX_BUFFERED_BYTES,
    BufferedResponse,
    StreamedResponse,
    UpstreamExchange,
)

_GZIP_BYTES = 1024
"""Shorter parts are stored uncompressed."""

PartResult = StoredResponse | Item
"""A part as it is stored now; an item is for the request that fetched it alone."""
BatchResult = Mapping[CacheKey, PartResult] | BufferedResponse | TooLarge
"""The parts by key; or a response to the batch that has none."""


class BatchService:
    """Serves batches from the store and from Trello."""

    def __init__(
        self, reads: ReadThrough, storer: ResponseStorer, exchange: UpstreamExchange, match: Match
    ) -> None:
        """`match`: that of a batch."""
        self._match = match
        self._reads = reads
        self._storer = storer
        self._exchange = exchange
        self._flights: RequestCollapser[BatchResult] = RequestCollapser(exchange.limiter.is_queued)

    async def serve(self, batch: ApiRequest, reads: Sequence[ApiRequest]) -> ApiResponse:
        """The response to all of `reads`, which `batch` lists.

        NotInCache for an `only-if-cached` that cannot be served, or UpstreamError.
        """
        parts = [await self._reads.lookup(each) for each in reads]
        wanted = _not_fresh(parts)
        if all(part.outcome.hit for part in parts):
            await self._revalidate(batch, wanted)
            return await self._compose(batch, parts, {}, _hit(parts))
        if batch.directives.only_if_cached:
            raise NotInCache("Ask again without only-if-cached.")
        if len(wanted) == 1:
            return await self._fetch_one(batch, parts, wanted[0])
        return await self._fetch_many(batch, parts, wanted)

    async def predict(self, reads: Sequence[ApiRequest]) -> tuple[list[LookupResult], Outcome]:
        """The lookup of each part, and the outcome `serve` would have; no request is sent."""
        parts = [await self._reads.predict(each) for each in reads]
        if all(part.outcome.hit for part in parts):
            return parts, _hit(parts)
        return parts, Outcome(fwd=_forward_reason(_not_fresh(parts)))

    async def refresh(self, batch: ApiRequest, reads: Sequence[ApiRequest]) -> None:
        """Fetch and store `reads`, whatever is stored; UpstreamError."""
        if len(reads) == 1:
            await self._reads.refresh(reads[0])
        elif reads:
            parts = [LookupResult(each, None, ABSENT) for each in reads]
            await self._flights.run(self._flight_key(parts), partial(self._fetch, batch, parts))

    async def fetch_parts(
        self, request: ApiRequest, parts: Sequence[ApiRequest]
    ) -> Mapping[CacheKey, StoredResponse]:
        """Fetch and store `parts` in a batch for one client; what was stored. UpstreamError."""
        batch = replace(request, match=self._match)
        wanted = [LookupResult(each, None, ABSENT) for each in parts]
        result = await self._fetch(batch, wanted)
        found = result if isinstance(result, Mapping) else {}
        return {key: each for key, each in found.items() if isinstance(each, StoredResponse)}

    async def stop(self) -> None:
        """Cancel the requests in progress."""
        await self._flights.stop()

    async def _revalidate(self, batch: ApiRequest, stale: Sequence[LookupResult]) -> None:
        """Fetch the stale parts in the background, while they are served."""
        if len(stale) == 1:
            await self._reads.serve(stale[0].request)
        elif stale:
            fetch = partial(self._fetch, batch.in_background(), stale)
            self._flights.start(self._flight_key(stale), fetch)

    async def _fetch_one(
        self, batch: ApiRequest, parts: Sequence[LookupResult], part: LookupResult
    ) -> ApiResponse:
        response = await self._reads.serve(part.request)
        if not isinstance(response.body, bytes):
            await response.body.aclose()
            return await self._reads.bypass(batch)
        if response.stored is None and is_upstream_failure(
            response.status, response.body, own=batch.uses_stored_credential
        ):
            return response
        if response.outcome.hit:  # stored since it was looked up
            return await self.serve(batch, [each.request for each in parts])
        item = Item(response.status, make_item(response.status, response.body))
        detail = response.outcome.detail or FetchedParts(1, len(parts))
        fetched = {part.request.key: response.stored or item}
        return await self._compose(batch, parts, fetched, replace(response.outcome, detail=detail))

    async def _fetch_many(
        self, batch: ApiRequest, parts: Sequence[LookupResult], wanted: Sequence[LookupResult]
    ) -> ApiResponse:
        parts_fetched = FetchedParts(len(wanted), len(parts))
        outcome = Outcome(fwd=_forward_reason(wanted), detail=parts_fetched)
        may_serve_stale = all(part.stale_if_error for part in wanted)
        try:
            result, collapsed = await self._fetch_collapsed(batch, wanted)
        except UpstreamError as error:
            if not may_serve_stale:
                raise
            outcome = replace(outcome, fwd_status=error.status, detail=Detail.STALE_IF_ERROR)
            return await self._compose(batch, parts, {}, outcome)
        if isinstance(result, TooLarge):
            return await self._reads.bypass(batch)
        outcome = replace(outcome, collapsed=collapsed)
        if isinstance(result, BufferedResponse):
            outcome = replace(outcome, fwd_status=result.status)
            own = batch.uses_stored_credential
            if may_serve_stale and is_upstream_failure(result.status, result.plain, own=own):
                outcome = replace(outcome, detail=Detail.STALE_IF_ERROR)
                return await self._compose(batch, parts, {}, outcome)
            return response_from_buffered(result, replace(outcome, detail=Detail.STATUS_NOT_STORED))
        fetched = {
            part.request.key: result[part.request.key]
            for part in wanted
            if not _is_stale_better(part, result[part.request.key])
        }
        outcome = replace(
            outcome,
            fwd_status=200,
            stored=all(isinstance(each, StoredResponse) for each in result.values()),
            detail=parts_fetched if len(fetched) == len(result) else Detail.STALE_IF_ERROR,
        )
        return await self._compose(batch, parts, fetched, outcome)

    async def _fetch_collapsed(
        self, batch: ApiRequest, wanted: Sequence[LookupResult]
    ) -> tuple[BatchResult, bool]:
        """The result, and whether it was collapsed; what is not stored is never shared."""
        if batch.directives.no_store or batch.directives.no_cache:
            return await self._fetch(batch, wanted), False
        flight = self._flight_key(wanted)
        if flight in self._flights:
            self._exchange.limiter.raise_priority(_upstream_batch(batch, wanted))
        result, joined = await self._flights.run(flight, partial(self._fetch, batch, wanted))
        if joined and isinstance(result, Mapping) and any(map(_is_private, result.values())):
            return await self._fetch(batch, wanted), False
        return result, joined

    def _flight_key(self, wanted: Sequence[LookupResult]) -> tuple[frozenset[CacheKey], int]:
        return frozenset(part.request.key for part in wanted), self._storer.seq

    async def _fetch(self, batch: ApiRequest, wanted: Sequence[LookupResult]) -> BatchResult:
        requested = self._storer.now()
        fetched = await self._exchange.fetch(_upstream_batch(batch, wanted), gzip=True)
        if isinstance(fetched, StreamedResponse):
            await fetched.body.aclose()
            self._storer.count_not_stored(Detail.TOO_LARGE)
            return TooLarge()
        if fetched.status != 200:
            self._storer.count_not_stored(Detail.STATUS_NOT_STORED)
            return fetched
        with self._exchange.body_errors(batch):
            split = await run_if_large(len(fetched.plain), _split, fetched, len(wanted))
        results: dict[CacheKey, PartResult] = {}
        for part, (item, single) in zip(wanted, split, strict=True):
            results[part.request.key] = await self._store(part.request, item, single, requested)
        return results

    async def _store(
        self, request: ApiRequest, item: Item, single: BufferedResponse, requested: RequestTime
    ) -> PartResult:
        """The part as it is stored now; the item where it is not: a failure never is."""
        if item.status == 200:
            result = await self._storer.store(request, single, requested)
            return result.stored if isinstance(result, Stored) else item
        await self._storer.apply_refusal(request, item.status, item.raw, requested)
        self._storer.count_not_stored(Detail.STATUS_NOT_STORED)
        return item

    async def _compose(
        self,
        batch: ApiRequest,
        parts: Sequence[LookupResult],
        fetched: Mapping[CacheKey, PartResult],
        outcome: Outcome,
    ) -> ApiResponse:
        """The response of all parts, as old as the oldest; from the store what was not fetched.

        A batch that is too long to be buffered is sent to Trello, and the response streamed.
        """
        results: dict[CacheKey, PartResult] = {
            part.request.key: part.stored for part in parts if part.stored is not None
        }
        results.update(fetched)
        used = [results[part.request.key] for part in parts]
        stored = [each for each in used if isinstance(each, StoredResponse)]
        pieces = [each if isinstance(each, StoredResponse) else each.raw for each in used]
        size = sum(map(_identity_length, stored))
        if size > MAX_BUFFERED_BYTES:
            return await self._reads.bypass(batch)
        body = await run_if_large(size, compose_body, pieces)
        now = self._storer.now()
        composed = StoredResponse(
            key=batch.key,
            status=200,
            head=JSON_HEAD,
            body=body,
            gzip=False,
            etag=etag_of(body),
            requested_at=min((each.requested_at for each in stored), default=now.at),
            requested_seq=now.seq,
            tags=(),
        )
        return ApiResponse.from_stored(composed, outcome)


def _not_fresh(parts: Sequence[LookupResult]) -> list[LookupResult]:
    """The parts to fetch, each once however often it is listed."""
    wanted = {part.request.key: part for part in parts if not isinstance(part.verdict, Fresh)}
    return list(wanted.values())


def _hit(parts: Sequence[LookupResult]) -> Outcome:
    """A hit of which the part with the fewest seconds left decides."""
    return Outcome(hit=True, ttl_s=min(part.outcome.ttl_s or 0 for part in parts))


def _forward_reason(wanted: Sequence[LookupResult]) -> Fwd:
    """The weightiest of their reasons (RFC 9211 §2.2)."""
    reasons = {part.forward_reason for part in wanted}
    return next(fwd for fwd in (Fwd.URI_MISS, Fwd.STALE, Fwd.REQUEST) if fwd in reasons)


def _is_stale_better(part: LookupResult, result: PartResult) -> bool:
    """Whether a part failed at Trello, and what is stored may replace the failure."""
    if not isinstance(result, Item) or part.stale_if_error is None:
        return False
    own = part.request.uses_stored_credential
    return is_upstream_failure(result.status, result.raw, own=own)


def _upstream_batch(batch: ApiRequest, wanted: Sequence[LookupResult]) -> ApiRequest:
    """The batch of these parts; its key identifies the collapsed request, in any order."""
    target = batch_target([part.request.target for part in wanted])
    key = CacheKey(" ".join(sorted(part.request.key for part in wanted)))
    return replace(batch.derive(target=target), key=key)


def _split(batch: BufferedResponse, count: int) -> list[tuple[Item, BufferedResponse]]:
    """The items, each with the response a read of its own gets; InvalidResponse if unusable."""
    reason = why_unusable(Kind.BATCH, batch.content_type, batch.plain)
    items = None if reason else split_items(batch.plain, count)
    if items is None:
        raise InvalidResponse("Trello sent no list of what was asked for; try again later.")
    return [(item, _single_response(batch, item.body)) for item in items]


def _single_response(batch: BufferedResponse, plain: bytes) -> BufferedResponse:
    gzip = batch.gzip and len(plain) > _GZIP_BYTES
    return replace(batch, body=gzipped(plain) if gzip else plain, plain=plain, gzip=gzip)


def _is_private(result: PartResult) -> bool:
    return isinstance(result, Item) and result.status == 200


def _identity_length(stored: StoredResponse) -> int:
    return identity_length(stored.body) if stored.gzip else len(stored.body)
