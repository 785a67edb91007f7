"""Why a read was or was not a hit: what would become of it now. It asks nothing upstream.

It says what the flows themselves foresee, each of what it would do.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from proxy.attachments.service import AttachmentService
from proxy.cache.batch import BatchService
from proxy.cache.freshness import age_of
from proxy.cache.read_through import ReadThrough
from proxy.cache.results import Prediction
from proxy.cache.store.store import ResponseStore
from proxy.http_semantics.cache_control import cache_status
from proxy.http_semantics.target import target_of
from proxy.model import (
    Fwd,
    Lifetimes,
    Outcome,
    Tag,
)
from proxy.ratelimit.limiter import RateLimiter, WaitPrediction
from proxy.runtime.clock import Clock
from proxy.trello.message import ApiRequest
from proxy.trello.routes import Handling, handling_of
from proxy.trello.tags import (
    stored_tags,
)


@dataclass(frozen=True, slots=True)
class StoredInfo:
    """What is stored for a read."""

    status: int
    since: float
    """POSIX seconds when Trello was asked for it."""
    age_s: float
    size_bytes: int
    lifetimes: Lifetimes
    remaining_s: float
    """Of its lifetime; negative: it is over since then."""
    is_watched: bool
    """Whether it lives longer because its boards are watched."""
    is_outdated: bool
    """Whether something it shows was changed in Trello itself."""


@dataclass(frozen=True, slots=True)
class Explanation:
    """One request, and what would become of it now."""

    label: str
    """What it is, where there are several."""
    route: str
    handling: Handling
    key: str
    cache_status: str
    """As its answer would say; empty where there is none."""
    stored: StoredInfo | None
    tags: tuple[Tag, ...]
    wait: WaitPrediction | None = None
    """None: Trello would not be asked first."""
    parts: tuple["Explanation", ...] = ()


class Explainer:
    """Answers for one Ask what the next request like it would be told."""

    def __init__(
        self,
        services: tuple[ReadThrough, BatchService, AttachmentService],
        limiter: RateLimiter,
        responses: ResponseStore,
        clock: Clock,
    ) -> None:
        self._read_through, self._batches, self._attachments = services
        self._limiter = limiter
        self._responses = responses
        self._clock = clock

    async def explain(self, request: ApiRequest, parts: Sequence[ApiRequest]) -> Explanation:
        """`parts`: the reads that a batch lists, where they are plain."""
        match handling_of(request.match, request.query_names):
            case Handling.CACHED_READ as way:
                prediction = await self._read_through.predict(request)
                return self._predicted(request, way, prediction.outcome, prediction)
            case Handling.ATTACHMENT as way:
                prediction, outcome = await self._attachments.predict(request)
                return self._predicted(request, way, outcome, prediction)
            case Handling.BATCH as way if parts:
                each, outcome = await self._batches.predict(parts)
                told = [
                    self._predicted(one.request, Handling.CACHED_READ, one.outcome, one)
                    for one in each
                ]
                return self._predicted(request, way, outcome, None, told)
            case Handling.WRITE as way:
                return self._predicted(request, way, Outcome(fwd=Fwd.METHOD))
            case Handling.AUTH_NOTICE as way:
                return self._predicted(request, way, None)
            case Handling.EXPORT | Handling.BATCH | Handling.BYPASS as way:
                return self._predicted(request, way, Outcome(fwd=Fwd.BYPASS))

    def _predicted(
        self,
        request: ApiRequest,
        way: Handling,
        outcome: Outcome | None,
        prediction: Prediction | None = None,
        parts: Sequence[Explanation] = (),
    ) -> Explanation:
        kept = self._stored_info(prediction) if prediction is not None else None
        return Explanation(
            label=f"{request.effective_method} {target_of(request.match.segments, '')}",
            route=request.match.route.template,
            handling=way,
            key=prediction.request.key if prediction is not None else "",
            cache_status=cache_status(outcome) if outcome is not None else "",
            stored=kept,
            tags=self._tags(prediction) if prediction is not None else (),
            wait=self._limiter.predict_wait(request)
            if outcome is not None and outcome.fwd
            else None,
            parts=tuple(parts),
        )

    def _stored_info(self, prediction: Prediction) -> StoredInfo | None:
        request, stored = prediction.request, prediction.lookup.stored
        if stored is None:
            return None
        age_s = age_of(stored.requested_at, self._clock.now())
        lifetimes = self._read_through.lifetimes(request, stored)
        return StoredInfo(
            status=stored.status,
            since=stored.requested_at,
            age_s=age_s,
            size_bytes=len(stored.body),
            lifetimes=lifetimes,
            remaining_s=lifetimes.lifetime_s - age_s,
            is_watched=lifetimes.lifetime_s > request.match.route.lifetimes.lifetime_s,
            is_outdated=self._responses.is_stale_by_tag(stored),
        )

    def _tags(self, prediction: Prediction) -> tuple[Tag, ...]:
        """Those of what is stored; else those that its answer will have at least."""
        request, stored = prediction.request, prediction.lookup.stored
        if stored is not None:
            return stored.tags
        return stored_tags(
            request.match, request.query_names, b"", self._read_through.aliases.lookup(request)
        )
