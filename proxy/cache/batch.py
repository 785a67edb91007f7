"""A client's batch: each part from the store, and one question for those that are not there.

Every part is stored as a read of its own is, under the same key, and asks for the same directives.
A part that alone is wanting is read by itself: so it joins whoever reads it already. Several are
one batch, which is joined by whoever wants the same ones while the store's `seq` has not moved.
"""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial

from proxy.cache.collapsing import RequestCollapser
from proxy.cache.freshness import (
    ABSENT,
    Absent,
    Fresh,
    Stale,
    Verdict,
)
from proxy.cache.read_through import (
    ReadThrough,
    may_serve_stale_if_error,
)
from proxy.cache.results import (
    Prediction,
    Stored,
    TooLarge,
    forward_reason,
    response_from_buffered,
    response_from_stored,
)
from proxy.cache.storability import (
    why_unusable,
)
from proxy.cache.store.store import ResponseStore
from proxy.errors import InvalidResponse, UpstreamError
from proxy.errors import NotInCache as NothingStored
from proxy.http_semantics.conditional import etag_of
from proxy.http_semantics.content import gzipped, identity_length
from proxy.model import (
    CacheKey,
    Detail,
    FetchedParts,
    Fwd,
    Kind,
    Outcome,
    StoredResponse,
)
from proxy.observability.metrics import Metrics, count
from proxy.runtime.clock import Clock
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
from proxy.upstream.exchange import (
    MAX_BUFFERED_BYTES,
    BufferedResponse,
    StreamedResponse,
    UpstreamExchange,
)


@dataclass(frozen=True, slots=True)
class PartLookup:
    """One read of a batch, and what is known of it."""

    request: ApiRequest
    stored: StoredResponse | None
    verdict: Verdict

    @property
    def may_revalidate_later(self) -> bool:
        """Whether it can be answered before Trello is asked."""
        return isinstance(self.verdict, Fresh) or (
            isinstance(self.verdict, Stale) and self.verdict.while_revalidate
        )

    @property
    def ttl_s(self) -> int:
        """What remains of its life, in RFC 9211's sense; 0 where there is none."""
        return 0 if isinstance(self.verdict, Absent) else int(self.verdict.ttl_s)

    def fresher_than(self, piece: "PartResult") -> bool:
        """Whether what is stored is to be used, because Trello is in trouble with this part."""
        return (
            isinstance(piece, Item)
            and may_serve_stale_if_error(self.verdict)
            and is_upstream_failure(
                piece.status, piece.raw, own=self.request.uses_stored_credential
            )
        )


PartResult = StoredResponse | Item
"""What a part got: it is stored now, or it is this asker's alone."""


def batch_forward_reason(wanted: Sequence[PartLookup]) -> Fwd:
    """The weightiest of their reasons (RFC 9211 §2.2)."""
    reasons = {forward_reason(part.stored, part.verdict) for part in wanted}
    return next(fwd for fwd in (Fwd.URI_MISS, Fwd.STALE, Fwd.REQUEST) if fwd in reasons)


_OFFLOAD_BYTES = 64 * 1024
"""Longer answers are cut, packed and put together beside the loop: it takes milliseconds."""
_COMPRESSED_OFFLOAD_BYTES = 1024
"""Shorter parts are kept as they are."""
_INVALIDATING_STATUSES = frozenset({401, 403, 410})
"""After these what was stored is no longer this member's to see."""


BatchResult = Mapping[CacheKey, PartResult] | BufferedResponse | TooLarge
"""What a flight brought: its parts, or an answer that has none."""


class BatchService:
    """Batches answered from the store and from Trello."""

    def __init__(
        self,
        reads: ReadThrough,
        responses: ResponseStore,
        exchange: UpstreamExchange,
        metrics: Metrics,
        clock: Clock,
    ) -> None:
        self._reads = reads
        self._responses = responses
        self._exchange = exchange
        self._metrics = metrics
        self._clock = clock
        self.flights: RequestCollapser[BatchResult] = RequestCollapser(exchange.limiter.is_queued)

    async def serve(self, request: ApiRequest, reads: Sequence[ApiRequest]) -> ApiResponse:
        """The answer to all; NothingStored for an unanswerable `only-if-cached`, or UpstreamError.

        `reads` are what `ask` lists.
        """
        parts = [await self._lookup(self._reads.aliases.canonicalize(each)) for each in reads]
        wanted = {part.request.key: part for part in parts if not isinstance(part.verdict, Fresh)}
        if all(part.may_revalidate_later for part in parts):
            await self._refresh(request, [*wanted.values()])
            outcome = Outcome(hit=True, ttl_s=min(part.ttl_s for part in parts))
            return await self._compose(request, parts, {}, outcome)
        if request.directives.only_if_cached:
            raise NothingStored("Ask again without only-if-cached.")
        if len(wanted) == 1:
            return await self._fetch_one(request, parts, *wanted.values())
        return await self._fetch_many(request, parts, [*wanted.values()])

    async def predict(self, reads: Sequence[ApiRequest]) -> tuple[list[Prediction], Outcome]:
        """What `serve` would say of each part and of all, without asking Trello."""
        prediction = [await self._reads.predict(each) for each in reads]
        parts = [
            PartLookup(each.request, each.lookup.stored, each.lookup.verdict) for each in prediction
        ]
        if all(part.may_revalidate_later for part in parts):
            return prediction, Outcome(hit=True, ttl_s=min(part.ttl_s for part in parts))
        wanted = [part for part in parts if not isinstance(part.verdict, Fresh)]
        return prediction, Outcome(fwd=batch_forward_reason(wanted))

    async def refresh(self, request: ApiRequest, reads: Sequence[ApiRequest]) -> None:
        """Have these asked for, and stored; UpstreamError."""
        if len(reads) == 1:
            await self._reads.refresh(reads[0])
        elif reads:
            parts = [PartLookup(each, None, ABSENT) for each in reads]
            await self.flights.run(self._flight_key(parts), partial(self._fetch, request, parts))

    async def _lookup(self, request: ApiRequest) -> PartLookup:
        found = await self._reads.lookup(request)
        return PartLookup(request, found.stored, found.verdict)

    async def _refresh(self, request: ApiRequest, stale: Sequence[PartLookup]) -> None:
        """Have what is stale asked for, while it is used."""
        if len(stale) == 1:
            await self._reads.serve(stale[0].request)
        elif stale:
            renewal = request.in_background()
            self.flights.start(self._flight_key(stale), partial(self._fetch, renewal, stale))

    async def _fetch_one(
        self, request: ApiRequest, parts: Sequence[PartLookup], part: PartLookup
    ) -> ApiResponse:
        response = await self._reads.serve(part.request)
        if not isinstance(response.body, bytes):
            await response.body.aclose()
            return await self._reads.bypass(request)
        if response.stored is None and is_upstream_failure(
            response.status, response.body, own=request.uses_stored_credential
        ):
            return response
        if response.outcome.hit:  # stored since it was looked up
            return await self.serve(request, [each.request for each in parts])
        item = Item(response.status, make_item(response.status, response.body))
        outcome = replace(
            response.outcome, detail=response.outcome.detail or FetchedParts(1, len(parts))
        )
        return await self._compose(
            request, parts, {part.request.key: response.stored or item}, outcome
        )

    async def _fetch_many(
        self, request: ApiRequest, parts: Sequence[PartLookup], wanted: Sequence[PartLookup]
    ) -> ApiResponse:
        fetched = FetchedParts(len(wanted), len(parts))
        outcome = Outcome(fwd=batch_forward_reason(wanted), detail=fetched)
        is_all_stored = all(may_serve_stale_if_error(part.verdict) for part in wanted)
        try:
            result, joined = await self._fetch_collapsed(request, wanted)
        except UpstreamError as error:
            if not is_all_stored:
                raise
            outcome = replace(outcome, fwd_status=error.status, detail=Detail.STALE_IF_ERROR)
            return await self._compose(request, parts, {}, outcome)
        if isinstance(result, TooLarge):
            return await self._reads.bypass(request)
        outcome = replace(outcome, collapsed=joined)
        if isinstance(result, BufferedResponse):
            outcome = replace(outcome, fwd_status=result.status)
            if is_all_stored and is_upstream_failure(
                result.status, result.plain, own=request.uses_stored_credential
            ):
                outcome = replace(outcome, detail=Detail.STALE_IF_ERROR)
                return await self._compose(request, parts, {}, outcome)
            return response_from_buffered(result, replace(outcome, detail=Detail.STATUS_NOT_STORED))
        got = {
            part.request.key: result[part.request.key]
            for part in wanted
            if not part.fresher_than(result[part.request.key])
        }
        outcome = replace(
            outcome,
            fwd_status=200,
            stored=all(isinstance(piece, StoredResponse) for piece in result.values()),
            detail=outcome.detail if len(got) == len(result) else Detail.STALE_IF_ERROR,
        )
        return await self._compose(request, parts, got, outcome)

    async def _fetch_collapsed(
        self, request: ApiRequest, wanted: Sequence[PartLookup]
    ) -> tuple[BatchResult, bool]:
        """A flight's result, and whether it was shared; what is not stored is never shared."""
        if request.directives.no_store or request.directives.no_cache:
            return await self._fetch(request, wanted), False
        flight = self._flight_key(wanted)
        if flight in self.flights:
            self._exchange.limiter.raise_priority(_upstream_target(request, wanted))
        result, joined = await self.flights.run(flight, partial(self._fetch, request, wanted))
        if joined and isinstance(result, Mapping) and any(map(_is_private, result.values())):
            return await self._fetch(request, wanted), False
        return result, joined

    def _flight_key(self, wanted: Sequence[PartLookup]) -> tuple[frozenset[CacheKey], int]:
        return frozenset(part.request.key for part in wanted), self._responses.seq

    async def _fetch(self, request: ApiRequest, wanted: Sequence[PartLookup]) -> BatchResult:
        seq, requested_at = self._responses.seq, self._clock.now()
        fetched = await self._exchange.fetch(_upstream_target(request, wanted), gzip=True)
        if isinstance(fetched, StreamedResponse):
            await fetched.body.aclose()
            count(self._metrics.not_stored, Detail.TOO_LARGE)
            return TooLarge()
        if fetched.status != 200:
            count(self._metrics.not_stored, Detail.STATUS_NOT_STORED)
            return fetched
        with self._exchange.body_errors(request):
            if len(fetched.plain) > _OFFLOAD_BYTES:
                cut = await asyncio.to_thread(_split_items, fetched, len(wanted))
            else:
                cut = _split_items(fetched, len(wanted))
        return {
            part.request.key: await self._stored_parts(part.request, item, whole, requested_at, seq)
            for part, (item, whole) in zip(wanted, cut, strict=True)
        }

    async def _stored_parts(
        self,
        request: ApiRequest,
        item: Item,
        whole: BufferedResponse,
        requested_at: float,
        seq: int,
    ) -> PartResult:
        """The part as it is stored now; the item where it is not: a failure never is."""
        if item.status != 200:
            if item.status == 404:
                await self._reads.storer.mark_missing(request, (seq, requested_at))
            elif item.status in _INVALIDATING_STATUSES and not is_upstream_failure(
                item.status, item.raw, own=request.uses_stored_credential
            ):
                self._reads.storer.forget(request)
            count(self._metrics.not_stored, Detail.STATUS_NOT_STORED)
            return item
        result = await self._reads.storer.store(request, whole, requested_at, seq)
        return result.stored if isinstance(result, Stored) else item

    async def _compose(
        self,
        request: ApiRequest,
        parts: Sequence[PartLookup],
        got: Mapping[CacheKey, PartResult],
        outcome: Outcome,
    ) -> ApiResponse:
        """The whole, as old as its oldest part; from the store what was not got.

        What is too long to be put together here Trello is asked for, as it came.
        """
        have: dict[CacheKey, PartResult] = {
            p.request.key: p.stored for p in parts if p.stored is not None
        }
        have.update(got)
        used = [have[part.request.key] for part in parts]
        stored = [each for each in used if isinstance(each, StoredResponse)]
        pieces = [each if isinstance(each, StoredResponse) else each.raw for each in used]
        size = sum(map(_plain_length, stored))
        if size > MAX_BUFFERED_BYTES:
            return await self._reads.bypass(request)
        if size > _OFFLOAD_BYTES:
            body = await asyncio.to_thread(compose_body, pieces)
        else:
            body = compose_body(pieces)
        whole = StoredResponse(
            key=request.key,
            status=200,
            head=JSON_HEAD,
            body=body,
            gzip=False,
            etag=etag_of(body),
            requested_at=min((each.requested_at for each in stored), default=self._clock.now()),
            requested_seq=self._responses.seq,
            tags=(),
        )
        return response_from_stored(whole, outcome)


def _upstream_target(request: ApiRequest, wanted: Sequence[PartLookup]) -> ApiRequest:
    """The batch of these parts; its key is that of their flight, whatever their order."""
    target = batch_target([part.request.target for part in wanted])
    key = CacheKey(" ".join(sorted(part.request.key for part in wanted)))
    return replace(request.derive(target=target), key=key)


def _split_items(batch: BufferedResponse, count: int) -> list[tuple[Item, BufferedResponse]]:
    """The items, each with the answer that a read of its own gets; Unusable if they are not so."""
    reason = why_unusable(Kind.BATCH, batch.content_type, batch.plain)
    items = None if reason else split_items(batch.plain, count)
    if items is None:
        raise InvalidResponse("Trello sent no list of what was asked for; try again later.")
    return [(item, _single_response(batch, item.body)) for item in items]


def _single_response(batch: BufferedResponse, plain: bytes) -> BufferedResponse:
    gzip = batch.gzip and len(plain) > _COMPRESSED_OFFLOAD_BYTES
    return replace(batch, body=gzipped(plain) if gzip else plain, plain=plain, gzip=gzip)


def _is_private(piece: PartResult) -> bool:
    return isinstance(piece, Item) and piece.status == 200


def _plain_length(stored: StoredResponse) -> int:
    return identity_length(stored.body) if stored.gzip else len(stored.body)
