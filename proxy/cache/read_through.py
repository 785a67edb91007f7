"""A cached GET, and what a miss does: look up, judge, then answer, or ask once for everybody.

A fetch that began before a write and lands after it would store the old state for a lifetime; a
reader who comes after the write would join that flight and be told the old state. So every flight
knows the store's `seq` at which it began: it is joined only while `seq` has not moved, and what it
brings is stored only if none of its tags was invalidated since.
"""

from collections.abc import Callable
from functools import partial
from typing import assert_never

from proxy.cache.aliases import AliasResolver
from proxy.cache.collapsing import RequestCollapser
from proxy.cache.freshness import (
    ABSENT,
    Absent,
    Fresh,
    Stale,
    Verdict,
    judge,
)
from proxy.cache.projection.projector import Projector
from proxy.cache.response_storing import ResponseStorer, spelling_key
from proxy.cache.results import (
    FetchResult,
    LookupResult,
    NotStored,
    Prediction,
    Stored,
    TooLarge,
    forward_reason,
    is_refusal,
    is_refusal_of,
    outcome_for,
    response_from_buffered,
    response_from_stored,
    response_from_stream,
)
from proxy.cache.storability import (
    lifetimes_for,
)
from proxy.cache.store.store import ResponseStore
from proxy.cache.watched_boards import WatchedBoards
from proxy.errors import NotInCache as NothingStored
from proxy.errors import UpstreamError
from proxy.model import (
    Detail,
    Fwd,
    Lifetimes,
    Outcome,
    StoredResponse,
)
from proxy.observability.metrics import Metrics, count
from proxy.runtime.clock import Clock
from proxy.runtime.offload import run_if_large
from proxy.trello.failures import is_upstream_failure
from proxy.trello.message import ApiRequest, ApiResponse, missing_key
from proxy.upstream.exchange import (
    BufferedResponse,
    StreamedResponse,
    UpstreamExchange,
)


class ReadThrough:
    """GETs answered from the store or from Trello, never both stale and unlabelled."""

    def __init__(
        self,
        responses: ResponseStore,
        exchange: UpstreamExchange,
        public_url: str,
        metrics: Metrics,
        clock: Clock,
        watched: WatchedBoards,
    ) -> None:
        self.responses = responses
        self._exchange = exchange
        self._metrics = metrics
        self._clock = clock
        self._watched = watched
        self.aliases = AliasResolver(responses, clock)
        self._projector = Projector(responses, self.judge, self.aliases.lookup, clock)
        self.flights: RequestCollapser[FetchResult] = RequestCollapser(exchange.limiter.is_queued)
        self.on_hit: list[Callable[[ApiRequest, StoredResponse], None]] = []
        """Told of every stored answer that is given while it is fresh, but by a planned hit."""
        self.on_lookup: list[Callable[[], None]] = []
        """Called before every lookup that a client waits for."""
        self.on_future: list[Callable[[float], None]] = []
        """Called with the time of a stored response that is in the future, in POSIX seconds."""
        self.storer = ResponseStorer(responses, self.aliases, self._projector, public_url, metrics)

    def judge(self, request: ApiRequest, stored: StoredResponse | None) -> Verdict:
        """What may be done with `stored`, by today's route table and the client's directives."""
        if stored is None:
            return ABSENT
        lifetimes, now = self.lifetimes(request, stored), self._clock.now()
        if stored.requested_at > now and not self.responses.is_stale_by_tag(stored):
            for notify in self.on_future:
                notify(stored.requested_at)
        outdated = self.responses.is_stale_by_tag(stored)
        return judge(stored.requested_at, lifetimes, now, request.directives, outdated=outdated)

    async def lookup(self, request: ApiRequest) -> LookupResult:
        """What is stored, or is cut out of what is when that alone is fresh."""
        for notify in self.on_lookup:
            notify()
        return await self._lookup(request)

    async def predict(self, request: ApiRequest) -> Prediction:
        """What `serve` would do now; nobody is answered, and Trello is not asked."""
        request = self.aliases.canonicalize(request)
        found = await self._lookup(request)
        return Prediction(request, found, outcome_for(found))

    async def _lookup(self, request: ApiRequest) -> LookupResult:
        stored, verdict = await self._get(request)
        if isinstance(verdict, Fresh) and stored is not None:
            for tell in self.on_hit:
                tell(request, stored)
        projected = None if isinstance(verdict, Fresh) else await self._projector.serve(request)
        if projected is None:
            return LookupResult(stored, verdict)
        return LookupResult(projected.stored, Fresh(projected.ttl_s), Detail.PROJECTED)

    def lifetimes(self, request: ApiRequest, stored: StoredResponse) -> Lifetimes:
        """The route's; in the stored identity longer ones while its boards are watched."""
        plain = lifetimes_for(stored.status, request.match.route.lifetimes)
        return self._watched.lifetimes(stored, plain) if request.uses_stored_credential else plain

    async def serve(self, request: ApiRequest) -> ApiResponse:
        """The answer; NothingStored for an unanswerable `only-if-cached`, else UpstreamError."""
        request = self.aliases.canonicalize(request)
        found = await self.lookup(request)
        stored, verdict = found.stored, found.verdict
        match verdict:
            case Fresh() if stored is not None:
                return response_from_stored(stored, outcome_for(found))
            case Stale(while_revalidate=True) if stored is not None:
                self._revalidate_in_background(request.in_background())
                return response_from_stored(stored, outcome_for(found))
            case Fresh() | Stale() | Absent():
                if request.directives.only_if_cached:
                    raise NothingStored("Ask again without only-if-cached.")
                return await self._fetch_or_stale(request, stored, verdict)
            case never:
                assert_never(never)

    async def bypass(self, request: ApiRequest) -> ApiResponse:
        """A read that is never stored, and so never shared: asked, and handed on."""
        outcome = Outcome(fwd=Fwd.BYPASS)
        match await self._exchange.fetch(request):
            case StreamedResponse() as streamed:
                return response_from_stream(streamed, outcome)
            case BufferedResponse() as whole:
                with self._exchange.body_errors(request):
                    await run_if_large(len(whole.plain), self.storer.validate, request, whole)
                return response_from_buffered(whole, outcome)
            case never:
                assert_never(never)

    async def _get(self, request: ApiRequest) -> tuple[StoredResponse | None, Verdict]:
        """What is stored, and what may be done with it; a fresh 404 that is later goes first."""
        stored = await self._stored_200(request)
        verdict = self.judge(request, stored)
        if isinstance(verdict, Fresh):
            return stored, verdict
        missing = await self.responses.get(missing_key(spelling_key(request)))
        verdict_404 = self.judge(request, missing)
        is_used = stored is None or (
            missing is not None and isinstance(verdict_404, Fresh) and missing.asked >= stored.asked
        )
        return (missing, verdict_404) if is_used else (stored, verdict)

    async def _stored_200(self, request: ApiRequest) -> StoredResponse | None:
        """What is stored of the object; under its spelling, if that was asked for later."""
        stored = await self.responses.get(request.key)
        if request.spelled_key is None:
            return stored
        spelled = await self.responses.get(request.spelled_key)
        if stored is None or (spelled is not None and spelled.asked > stored.asked):
            return spelled
        return stored

    async def _fetch_or_stale(
        self, request: ApiRequest, stored: StoredResponse | None, verdict: Verdict
    ) -> ApiResponse:
        fwd = forward_reason(stored, verdict)
        try:
            result, joined = await self._fetch_widened(request) or await self._fetch_collapsed(
                request
            )
        except UpstreamError as error:
            if stored is None or not may_serve_stale_if_error(verdict):
                raise
            return self._stale_response(stored, fwd, error.status)
        match result:
            case Stored(kept, detail):
                outcome = Outcome(
                    fwd=fwd, fwd_status=kept.status, stored=True, collapsed=joined, detail=detail
                )
                return response_from_stored(kept, outcome)
            case NotStored(whole, reason):
                trouble = is_upstream_failure(
                    whole.status, whole.plain, own=request.uses_stored_credential
                )
                if trouble and stored is not None and may_serve_stale_if_error(verdict):
                    return self._stale_response(stored, fwd, whole.status)
                outcome = Outcome(fwd=fwd, fwd_status=whole.status, collapsed=joined, detail=reason)
                return response_from_buffered(whole, outcome)
            case TooLarge():
                return await self.bypass(request)
            case never:
                assert_never(never)

    def widened_request(self, request: ApiRequest) -> ApiRequest | None:
        """The question that answers several that are in demand, this one among them."""
        wide = self._projector.widened_request(request)
        return self.aliases.canonicalize(wide) if wide is not None else None

    async def refresh(self, request: ApiRequest) -> None:
        """Have it asked for, and stored; UpstreamError."""
        await self._fetch_collapsed(self.aliases.canonicalize(request))

    def _revalidate_in_background(self, request: ApiRequest) -> None:
        """Ask in the background."""
        flight = self._flight_key(request)
        if self.widened_request(request) is None:
            self.flights.start(flight, partial(self._fetch, request))
        else:
            self.flights.start(("wider", *flight), partial(self._revalidate, request))

    async def _revalidate(self, request: ApiRequest) -> FetchResult:
        return (await self._fetch_widened(request) or await self._fetch_collapsed(request))[0]

    async def _fetch_widened(self, request: ApiRequest) -> tuple[FetchResult, bool] | None:
        """What came of asking for more, to answer others too; None to ask for this alone."""
        wide = self.widened_request(request)
        if wide is None:
            return None
        seq = self.responses.seq
        result, joined = await self._fetch_collapsed(wide)
        match result:
            case Stored(stored):
                part = await self._projector.from_widened(request, wide, stored)
                if part is not None:
                    return Stored(part, Detail.PROJECTED), joined
            case NotStored(whole) if is_upstream_failure(
                whole.status, whole.plain, own=request.uses_stored_credential
            ):
                return result, joined
        if self.responses.seq == seq:  # else an invalidation may have come between
            self._projector.reject_widened(wide)
        return None

    async def _fetch_collapsed(self, request: ApiRequest) -> tuple[FetchResult, bool]:
        """A flight's result, and whether it was shared.

        Who will not have it stored, or has just refused what is stored, flies alone: an answer
        that somebody else asked for earlier is not what they want. So does a follower whose
        leader's answer turned out to be the leader's alone. Whom another spelling was refused
        asks by their own.
        """
        if request.directives.no_store or request.directives.no_cache:
            return await self._fetch(request), False
        flight = self._flight_key(request)
        if flight in self.flights:
            self._exchange.limiter.raise_priority(request)
        result, joined = await self.flights.run(flight, partial(self._fetch, request))
        if joined and isinstance(result, NotStored) and result.response.status < 400:
            return await self._fetch(request), False
        if joined and is_refusal(result) and not is_refusal_of(result, spelling_key(request)):
            again = (spelling_key(request), self.responses.seq, "by this spelling")
            return await self.flights.run(again, partial(self._fetch, request))
        return result, joined

    def _flight_key(self, request: ApiRequest) -> tuple[str, int]:
        return request.key, self.responses.seq

    async def _fetch(self, request: ApiRequest) -> FetchResult:
        seq, requested_at = self.responses.seq, self._clock.now()
        fetched = await self._exchange.fetch(request, gzip=True)
        if isinstance(fetched, StreamedResponse):
            await fetched.body.aclose()
            count(self._metrics.not_stored, Detail.TOO_LARGE)
            return TooLarge()
        with self._exchange.body_errors(request):
            size = len(fetched.plain)
            whole = await run_if_large(size, self.storer.validate, request, fetched)
        return await self.storer.store(request, whole, requested_at, seq)

    @staticmethod
    def _stale_response(stored: StoredResponse, fwd: Fwd, status: int) -> ApiResponse:
        outcome = Outcome(fwd=fwd, fwd_status=status, detail=Detail.STALE_IF_ERROR)
        return response_from_stored(stored, outcome)


def may_serve_stale_if_error(verdict: Verdict) -> bool:
    """Whether what is stored is better than an error."""
    return isinstance(verdict, Stale) and verdict.if_error
