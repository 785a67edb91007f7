"""Explainer: what the proxy would do with a request now, and why; sends nothing upstream (D42).

Each service predicts its own behaviour, so that an explanation agrees with the next response.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from proxy.access.client import ANONYMOUS, Client
from proxy.attachments.service import AttachmentService
from proxy.cache.aliases import AliasResolver
from proxy.cache.batch import BatchService
from proxy.cache.lookup import LookupResult, StoredLookup
from proxy.cache.policy import age_of
from proxy.cache.read_through import ReadThrough
from proxy.cache.scoping.scoping import scope_in_force
from proxy.cache.store.store import ResponseStore
from proxy.http_semantics.cache_control import cache_status
from proxy.http_semantics.target import target_of
from proxy.model import Fwd, Lifetimes, Outcome, Tag
from proxy.ratelimit.limiter import RateLimiter, WaitPrediction
from proxy.runtime.clock import Clock
from proxy.trello.message import ApiRequest
from proxy.trello.routes import Handling, handling_of
from proxy.trello.tags import stored_tags


@dataclass(frozen=True, slots=True)
class StoredInfo:
    """The stored response of a read."""

    status: int
    requested_at: float
    """POSIX seconds of the upstream request."""
    age_s: float
    size_bytes: int | None
    """None for a client that may not see all of it."""
    lifetimes: Lifetimes
    remaining_s: float
    """Of its freshness lifetime; negative: expired since then."""
    is_watched: bool
    """Whether its lifetime is longer because its boards are watched."""
    is_marked_stale: bool
    """Whether something it shows was changed at Trello."""


@dataclass(frozen=True, slots=True)
class Explanation:
    """What the proxy would do with one request."""

    label: str
    """Method and target."""
    route: str
    handling: Handling
    key: str
    cache_status: str
    """The value of the response's Cache-Status field; empty for none."""
    stored: StoredInfo | None
    tags: tuple[Tag, ...]
    wait: WaitPrediction | None = None
    """None where no upstream request would come first."""
    parts: tuple["Explanation", ...] = ()
    """One for each read of a batch."""
    client: Client = ANONYMOUS
    """Who would get the response."""
    is_admitted: bool = True
    """Whether that client may send requests at all."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Explainer:
    """Explains API requests."""

    reads: ReadThrough
    batches: BatchService
    attachments: AttachmentService
    lookup: StoredLookup
    aliases: AliasResolver
    responses: ResponseStore
    limiter: RateLimiter
    clock: Clock

    async def explain(self, request: ApiRequest, parts: Sequence[ApiRequest]) -> Explanation:
        """The explanation; `parts` are the reads of a batch that is cached part by part."""
        match handling_of(request.match, request.query_names):
            case Handling.CACHED_READ:
                prediction = await self.reads.predict(request)
                return self._explanation(request, prediction.outcome, prediction)
            case Handling.ATTACHMENT:
                prediction, outcome = await self.attachments.predict(request)
                return self._explanation(request, outcome, prediction)
            case Handling.BATCH if parts:
                predictions, outcome = await self.batches.predict(parts)
                explained = [self._explanation(p.request, p.outcome, p) for p in predictions]
                return self._explanation(request, outcome, parts=explained)
            case Handling.WRITE:
                return self._explanation(request, Outcome(fwd=Fwd.METHOD))
            case Handling.AUTH_NOTICE:
                return self._explanation(request, None)
            case Handling.EXPORT | Handling.BATCH | Handling.BYPASS:
                return self._explanation(request, Outcome(fwd=Fwd.BYPASS))

    def _explanation(
        self,
        request: ApiRequest,
        outcome: Outcome | None,
        prediction: LookupResult | None = None,
        parts: Sequence[Explanation] = (),
    ) -> Explanation:
        is_forwarded = outcome is not None and outcome.fwd is not None
        return Explanation(
            label=f"{request.effective_method} {target_of(request.match.segments, '')}",
            route=request.match.route.template,
            handling=handling_of(request.match, request.query_names),
            key=prediction.request.key if prediction is not None else "",
            cache_status=cache_status(outcome) if outcome is not None else "",
            stored=self._stored_info(prediction) if prediction is not None else None,
            tags=self._tags(prediction) if prediction is not None else (),
            wait=self.limiter.predict_wait(request) if is_forwarded else None,
            client=request.client,
            parts=tuple(parts),
        )

    def _stored_info(self, prediction: LookupResult) -> StoredInfo | None:
        request, stored = prediction.request, prediction.stored
        if stored is None:
            return None
        age_s = age_of(stored.requested_at, self.clock.now())
        lifetimes = self.lookup.lifetimes(request, stored)
        return StoredInfo(
            status=stored.status,
            requested_at=stored.requested_at,
            age_s=age_s,
            size_bytes=len(stored.body) if scope_in_force(request) is None else None,
            lifetimes=lifetimes,
            remaining_s=lifetimes.lifetime_s - age_s,
            is_watched=lifetimes.lifetime_s > request.match.route.lifetimes.lifetime_s,
            is_marked_stale=self.responses.is_stale_by_tag(stored),
        )

    def _tags(self, prediction: LookupResult) -> tuple[Tag, ...]:
        """The tags of the stored response, else the minimum that a response will have."""
        request, stored = prediction.request, prediction.stored
        if stored is not None:
            return stored.tags
        info = self.aliases.lookup(request)
        return stored_tags(request.match, request.query_names, b"", info)
