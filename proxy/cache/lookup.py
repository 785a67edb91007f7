"""Lookup: the stored response for a request, and whether it is usable (RFC 9211 §2.1)."""

from collections.abc import Callable
from dataclasses import dataclass

from proxy.cache.boards import WatchedBoards
from proxy.cache.policy import ABSENT, Absent, Fresh, Stale, Verdict, judge, lifetimes_for
from proxy.cache.store.store import ResponseStore
from proxy.model import Detail, Fwd, Lifetimes, Outcome, StoredResponse
from proxy.runtime.clock import Clock
from proxy.trello.message import ApiRequest, missing_key

COLD_S = 600.0
"""Seconds after its lifetime for which a response counts as in use."""


@dataclass(frozen=True, slots=True)
class LookupResult:
    """The stored response for a request, if any, and whether it is usable."""

    request: ApiRequest
    stored: StoredResponse | None
    verdict: Verdict
    detail: Detail | None = None

    @property
    def outcome(self) -> Outcome:
        """A hit, fresh or stale; or why the request is forwarded."""
        match self.verdict:
            case Fresh(ttl_s):
                return Outcome(hit=True, ttl_s=int(ttl_s), detail=self.detail)
            case Stale(while_revalidate=True) as stale:
                return Outcome(hit=True, ttl_s=stale.ttl_s)
            case Stale() | Absent():
                return Outcome(fwd=self.forward_reason)

    @property
    def ttl_s(self) -> float:
        """Seconds for which it is fresh; not above 0 if it is not."""
        match self.verdict:
            case Fresh(ttl_s):
                return ttl_s
            case Stale(stale_for_s):
                return -stale_for_s
            case Absent():
                return 0.0

    @property
    def is_cold(self) -> bool:
        """Whether nothing is stored that was fresh within COLD_S."""
        return self.stored is None or self.ttl_s < -COLD_S

    @property
    def forward_reason(self) -> Fwd:
        """Why the request is forwarded; `request` if only because of the client's directives."""
        if self.stored is None:
            return Fwd.URI_MISS
        is_refused = isinstance(self.verdict, Stale) and self.verdict.refused
        return Fwd.REQUEST if is_refused else Fwd.STALE

    @property
    def stale_if_error(self) -> StoredResponse | None:
        """The stored response where it may replace an upstream failure (RFC 5861 §4)."""
        return self.stored if isinstance(self.verdict, Stale) and self.verdict.if_error else None


class StoredLookup:
    """Finds stored responses and judges them by route table, watched boards, tags and clock."""

    def __init__(
        self,
        responses: ResponseStore,
        watched: WatchedBoards,
        clock: Clock,
        on_future: Callable[[float], None],
    ) -> None:
        """`on_future` gets the time, in POSIX seconds, of a stored response from the future."""
        self._responses = responses
        self._watched = watched
        self._clock = clock
        self._on_future = on_future

    async def find(self, request: ApiRequest) -> LookupResult:
        """The stored 200, of the object or under the spelling used; or a 404 that came later."""
        stored = await self._stored_200(request)
        verdict = self.judge(request, stored)
        if isinstance(verdict, Fresh):
            return LookupResult(request, stored, verdict)
        missing = await self._responses.get(missing_key(request.spelling_key))
        missing_verdict = self.judge(request, missing)
        is_missing = stored is None or (
            missing is not None
            and isinstance(missing_verdict, Fresh)
            and missing.requested >= stored.requested
        )
        if is_missing:
            return LookupResult(request, missing, missing_verdict)
        return LookupResult(request, stored, verdict)

    def judge(self, request: ApiRequest, stored: StoredResponse | None) -> Verdict:
        """What may be done with `stored` now, by the route's lifetimes and client's directives."""
        if stored is None:
            return ABSENT
        now = self._clock.now()
        lifetimes, directives = self.lifetimes(request, stored), request.directives
        if stored.requested_at > now and not self._responses.is_stale_by_tag(stored):
            self._on_future(stored.requested_at)
        marked_stale = self._responses.is_stale_by_tag(stored)
        return judge(stored.requested_at, lifetimes, now, directives, marked_stale=marked_stale)

    def lifetimes(self, request: ApiRequest, stored: StoredResponse) -> Lifetimes:
        """The route's; with the stored credential, longer ones while its boards are watched."""
        plain = lifetimes_for(stored.status, request.match.route.lifetimes)
        return self._watched.lifetimes(stored, plain) if request.uses_stored_credential else plain

    async def _stored_200(self, request: ApiRequest) -> StoredResponse | None:
        """The object's response; the spelling's own, if that was requested later."""
        stored = await self._responses.get(request.key)
        if request.spelled_key is None:
            return stored
        spelled = await self._responses.get(request.spelled_key)
        if stored is None or (spelled is not None and spelled.requested > stored.requested):
            return spelled
        return stored
