"""Read-through cache: a GET is looked up, then served from the store or fetched once for all.

A response requested before a write and stored after it would show the old state for a lifetime; a
client that reads after the write would be collapsed onto that request and see the old state too. So
every upstream request knows the store's `seq` when it was sent: others are collapsed onto it only
while `seq` has not moved, and its response is stored only if none of its tags was invalidated
since.
"""

from collections.abc import (
    Awaitable,
    Callable,
    Coroutine,
    Hashable,
    Iterable,
    Mapping,
    Sequence,
)
from contextlib import suppress
from dataclasses import replace
from functools import partial
from typing import Any, assert_never

from proxy.cache.aliases import AliasResolver
from proxy.cache.boards import WatchedBoards
from proxy.cache.collapsing import RequestCollapser
from proxy.cache.lookup import LookupResult, StoredLookup
from proxy.cache.policy import Absent, Fresh, Stale
from proxy.cache.projection.projector import Projector
from proxy.cache.recent_reads import RecentReads
from proxy.cache.response_storing import ResponseStorer
from proxy.cache.results import (
    FetchResult,
    NotStored,
    Stored,
    TooLarge,
    is_refusal,
    is_refusal_of,
    response_from_buffered,
    response_from_stream,
)
from proxy.errors import NotInCache, UpstreamError
from proxy.http_semantics.cache_control import NONE
from proxy.model import CacheKey, Detail, Fwd, Outcome, Priority, StoredResponse
from proxy.runtime.tasks import run_if_large
from proxy.trello.batch_codec import MAX_PARTS, is_cacheable_part
from proxy.trello.failures import is_upstream_failure
from proxy.trello.message import ApiRequest, ApiResponse
from proxy.upstream.exchange import BufferedResponse, StreamedResponse, UpstreamExchange

BARRIER_S = 0.1
"""A response requested after an invalidation waits so long for the other nodes of a fleet, so that
reads at several nodes do not go back in time while all is well (D72)."""

Parts = Mapping[CacheKey, StoredResponse]


class ReadThrough:
    """Serves GETs from the store or from Trello; a stale response is always marked as such."""

    def __init__(
        self,
        *,
        lookup: StoredLookup,
        aliases: AliasResolver,
        projector: Projector,
        storer: ResponseStorer,
        exchange: UpstreamExchange,
        watched: WatchedBoards,
        recent: RecentReads,
    ) -> None:
        self._lookup = lookup
        self._aliases = aliases
        self._projector = projector
        self._storer = storer
        self._exchange = exchange
        self._watched = watched
        self._recent = recent
        self._flights: RequestCollapser[FetchResult] = RequestCollapser(exchange.limiter.is_queued)
        self.revalidate_in_batch: Callable[[ApiRequest], bool] = lambda _: False
        """Whether the request was sent in a batch with others that would be sent soon."""
        self.fetch_parts: Callable[[ApiRequest, Sequence[ApiRequest]], Awaitable[Parts]] = _nothing
        """Fetches reads in one batch; those that were stored, by key. UpstreamError."""
        self._batches: RequestCollapser[Parts] = RequestCollapser(exchange.limiter.is_queued)
        self._ahead: dict[Hashable, partial[Coroutine[Any, Any, tuple[Parts, bool]]]] = {}
        """What waits for the batch that brings a read, by the key of that read in progress."""

    async def serve(self, request: ApiRequest) -> ApiResponse:
        """The response; NotInCache for an `only-if-cached` without one, or UpstreamError."""
        found = await self.lookup(request)
        match found.verdict:
            case Fresh() if found.stored is not None:
                return ApiResponse.from_stored(found.stored, found.outcome)
            case Stale(while_revalidate=True) if found.stored is not None:
                self._revalidate(found.request.in_background())
                return ApiResponse.from_stored(found.stored, found.outcome)
            case Fresh() | Stale() | Absent():
                if request.directives.only_if_cached:
                    return _only_if_cached(found)
                return await self._fetch_or_stale(found)
            case never:
                assert_never(never)

    async def lookup(self, request: ApiRequest) -> LookupResult:
        """The stored response to a client's request, or a projection of a fresh, larger one."""
        self._watched.note_read()
        found = await self.predict(request)
        self._recent.note(found.request, found.stored, found.ttl_s)
        return found

    async def predict(self, request: ApiRequest) -> LookupResult:
        """The lookup alone: it does not count as a read, and sends no request."""
        found = await self._lookup.find(self._aliases.canonicalize(request))
        if isinstance(found.verdict, Fresh):
            return found
        return await self._projector.find(found.request) or found

    async def bypass(self, request: ApiRequest) -> ApiResponse:
        """The response to a read that is never stored, and so never shared; UpstreamError."""
        outcome = Outcome(fwd=Fwd.BYPASS)
        match await self._exchange.fetch(request):
            case StreamedResponse() as streamed:
                return response_from_stream(streamed, outcome)
            case BufferedResponse() as fetched:
                with self._exchange.body_errors(request):
                    await run_if_large(len(fetched.plain), self._storer.validate, request, fetched)
                return response_from_buffered(fetched, outcome)
            case never:
                assert_never(never)

    async def refresh(self, request: ApiRequest) -> None:
        """Fetch and store a response, whatever is stored; UpstreamError."""
        await self._fetch_collapsed(self._aliases.canonicalize(request))

    def widened_request(self, request: ApiRequest) -> ApiRequest | None:
        """The request for all fields or all cards, if several parts of it are in demand."""
        wider = self._projector.widened_request(request)
        return self._aliases.canonicalize(wider) if wider is not None else None

    def collection_of(self, request: ApiRequest) -> tuple[str, ...] | None:
        """As Projector.collection_of."""
        return self._projector.collection_of(request)

    def holders_among(self, requests: Sequence[ApiRequest]) -> dict[CacheKey, ApiRequest]:
        """Requests of these whose responses contain others, by the keys of those others."""
        return self._projector.holders_among(requests)

    async def stop(self) -> None:
        """Cancel the requests in progress."""
        await self._batches.stop()
        await self._flights.stop()

    async def _fetch_or_stale(self, found: LookupResult) -> ApiResponse:
        request, stale = found.request, found.stale_if_error
        try:
            result, collapsed = await self._fetch(request, is_cold=found.is_cold)
        except UpstreamError as error:
            if stale is None:
                raise
            return _stale_response(stale, found.forward_reason, error.status)
        outcome = Outcome(fwd=found.forward_reason, collapsed=collapsed)
        match result:
            case Stored(stored, detail):
                if found.stored is None:
                    self._recent.note_fetched(request, stored)
                status = stored.status
                outcome = replace(outcome, fwd_status=status, stored=True, detail=detail)
                return ApiResponse.from_stored(stored, outcome)
            case NotStored(fetched, reason):
                status, own = fetched.status, request.uses_stored_credential
                if stale is not None and is_upstream_failure(status, fetched.plain, own=own):
                    return _stale_response(stale, found.forward_reason, status)
                outcome = replace(outcome, fwd_status=status, detail=reason)
                return response_from_buffered(fetched, outcome)
            case TooLarge():
                return await self.bypass(request)
            case never:
                assert_never(never)

    def _revalidate(self, request: ApiRequest) -> None:
        """Fetch in the background, unless that is in progress."""
        if self.revalidate_in_batch(request):
            return
        flight = "revalidate", *self._flight_key(request)

        async def fetch() -> FetchResult:
            result, _ = await self._fetch(request)
            return result

        self._flights.start(flight, fetch)

    async def _fetch(
        self, request: ApiRequest, *, is_cold: bool = False
    ) -> tuple[FetchResult, bool]:
        """The result, of a wider request if parts are in demand; and whether it was collapsed."""
        wider = self.widened_request(request)
        result = await self._fetch_wider(request, wider) if wider is not None else None
        if result is None and is_cold:
            await self._read_ahead(request)
        return result or await self._fetch_collapsed(request)

    async def _fetch_wider(
        self, request: ApiRequest, wider: ApiRequest
    ) -> tuple[FetchResult, bool] | None:
        """The projection of the wider request's response; None if there is none."""
        seq = self._storer.seq
        result, collapsed = await self._fetch_collapsed(wider)
        match result:
            case Stored(stored):
                part = await self._projector.from_widened(request, wider, stored)
                if part is not None:
                    return Stored(part, Detail.PROJECTED), collapsed
            case NotStored(fetched) if is_upstream_failure(
                fetched.status, fetched.plain, own=request.uses_stored_credential
            ):
                return result, collapsed
        if self._storer.seq == seq:  # else an invalidation may have come between
            self._projector.reject_widened(wider)
        return None

    async def _read_ahead(self, request: ApiRequest) -> None:
        """In a crawl, begin a batch for this and the next objects of the collection (D80)."""
        collection = self._projector.collection_of(request)
        if collection is None or not self._may_read_ahead(request):
            return
        if not self._recent.is_crawl(request, (request.partition, collection)):
            return
        parts = [request]
        for sibling in await self._projector.siblings(request, collection):
            each = self._aliases.canonicalize(sibling)
            key = self._flight_key(each)
            if key not in self._flights and key not in self._ahead:
                found = await self._lookup.find(each)
                parts += [each] if found.is_cold else []
            if len(parts) == MAX_PARTS:
                break
        if len(parts) > 1:
            keys = frozenset(map(self._flight_key, parts))
            fetch = partial(self._batches.run, keys, partial(self._fetch_ahead, parts, keys))
            self._ahead.update(dict.fromkeys(keys, fetch))

    def _may_read_ahead(self, request: ApiRequest) -> bool:
        is_awaited = request.priority < Priority.BACKGROUND
        is_whole = request.directives == NONE and is_cacheable_part(
            request.match, request.query_names
        )
        return request.uses_stored_credential and is_awaited and is_whole

    async def _fetch_ahead(self, parts: Sequence[ApiRequest], keys: Iterable[Hashable]) -> Parts:
        found: Parts = {}
        try:
            found = await self.fetch_parts(parts[0], parts)
        finally:
            for key in keys:
                self._ahead.pop(key, None)
            if not found:
                self._recent.end_crawls()
        return found

    async def _from_batch(self, request: ApiRequest) -> StoredResponse | None:
        """The response of a batch in progress; None if there is none, or it brought nothing."""
        fetch = self._ahead.get(self._flight_key(request))
        if fetch is None:
            return None
        with suppress(UpstreamError):
            parts, _ = await fetch()
            return parts.get(request.key)
        return None

    async def _fetch_collapsed(self, request: ApiRequest) -> tuple[FetchResult, bool]:
        """The result, and whether it was collapsed onto another request (RFC 9211 §2.6).

        Requests with no-store or no-cache are never collapsed: a response that was requested
        earlier is not what they ask for. A follower fetches for itself when the leader's response
        must not be shared, and by its own spelling when the leader's was refused.
        """
        if request.directives.no_store or request.directives.no_cache:
            return await self._fetch_alone(request), False
        stored = await self._from_batch(request)
        if stored is not None:
            return Stored(stored), True
        flight = self._flight_key(request)
        if flight in self._flights:
            self._exchange.limiter.raise_priority(request)
        fetch = partial(self._fetch_alone, request)
        result, joined = await self._flights.run(flight, fetch)
        if joined and isinstance(result, NotStored) and result.response.status < 400:
            return await fetch(), False
        if joined and is_refusal(result) and not is_refusal_of(result, request.spelling_key):
            flight = request.spelling_key, self._storer.seq
            return await self._flights.run(("spelling", *flight), fetch)
        return result, joined

    def _flight_key(self, request: ApiRequest) -> tuple[str, int]:
        return request.key, self._storer.seq

    async def _fetch_alone(self, request: ApiRequest) -> FetchResult:
        requested = self._storer.now()
        barrier = self._storer.barrier
        number = barrier.number if barrier is not None else 0
        fetched = await self._exchange.fetch(request, gzip=True)
        if isinstance(fetched, StreamedResponse):
            await fetched.body.aclose()
            self._storer.count_not_stored(Detail.TOO_LARGE)
            return TooLarge()
        with self._exchange.body_errors(request):
            size = len(fetched.plain)
            usable = await run_if_large(size, self._storer.validate, request, fetched)
        if barrier is not None:
            with suppress(TimeoutError):
                await barrier.passed(number, BARRIER_S)
        return await self._storer.store(request, usable, requested)


async def _nothing(_request: ApiRequest, _parts: Sequence[ApiRequest]) -> Parts:
    return {}


def _only_if_cached(found: LookupResult) -> ApiResponse:
    """The response without a request to Trello, where none is fresh; NotInCache."""
    stale = found.stale_if_error
    if stale is None or not found.request.directives.max_stale:
        raise NotInCache("Ask again without only-if-cached.")
    return _stale_response(stale, found.forward_reason, None)


def _stale_response(stored: StoredResponse, fwd: Fwd, status: int | None) -> ApiResponse:
    """A stale response in place of an upstream failure with `status`; None: not sent again."""
    outcome = Outcome(fwd=fwd, fwd_status=status, detail=Detail.STALE_IF_ERROR)
    return ApiResponse.from_stored(stored, outcome)
