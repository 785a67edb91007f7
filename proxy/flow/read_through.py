"""A cached GET, and what a miss does: look up, judge, then answer, or ask once for everybody.

A fetch that began before a write and lands after it would store the old state for a lifetime; a
reader who comes after the write would join that flight and be told the old state. So every flight
knows the store's `seq` at which it began: it is joined only while `seq` has not moved, and what it
brings is stored only if none of its tags was invalidated since.
"""

from collections.abc import Callable
from functools import partial
from typing import assert_never

from proxy.clock import Clock
from proxy.errors import NotStored as NothingStored
from proxy.errors import UpstreamError
from proxy.flow.answers import from_store, from_stream, from_whole
from proxy.flow.ask import Answer, Ask
from proxy.flow.collapse import Collapse
from proxy.flow.exchange import Exchange, Streamed, Whole
from proxy.flow.foresight import Foreseen, outcome_of, reason_of
from proxy.flow.keep import Keep, own_key
from proxy.flow.landed import Found, Kept, Landed, Passed, TooLong, is_refusal, is_refusal_of
from proxy.flow.naming import Naming
from proxy.flow.project import PROJECTED, Project
from proxy.flow.watch import Watch
from proxy.metrics import Metrics, count
from proxy.model import Fwd, Lifetimes, Outcome, StoredResponse
from proxy.policy.cache_key import missing_key
from proxy.policy.freshness import ABSENT, Absent, Fresh, Stale, Verdict, judge
from proxy.policy.storability import (
    Reason,
    lifetimes_for,
)
from proxy.policy.trouble import is_trouble
from proxy.store.responses import Responses

STALE_IF_ERROR = "stale-if-error"
"""The `detail` of an answer that is stale because Trello gives none."""


class ReadThrough:
    """GETs answered from the store or from Trello, never both stale and unlabelled."""

    def __init__(
        self,
        responses: Responses,
        exchange: Exchange,
        public_url: str,
        metrics: Metrics,
        clock: Clock,
        watch: Watch,
    ) -> None:
        self.responses = responses
        self._exchange = exchange
        self._metrics = metrics
        self._clock = clock
        self._watch = watch
        self.naming = Naming(responses, clock)
        self._project = Project(responses, self.judge, self.naming.known, clock)
        self.flights: Collapse[Landed] = Collapse(exchange.turns.holds)
        self.on_used: list[Callable[[Ask, StoredResponse], None]] = []
        """Told of every stored answer that is given while it is fresh, but by a planned hit."""
        self.on_future: list[Callable[[float], None]] = []
        """Called with the time of a stored response that is in the future, in POSIX seconds."""
        self.keep = Keep(responses, self.naming, self._project, public_url, metrics)

    def judge(self, ask: Ask, stored: StoredResponse | None) -> Verdict:
        """What may be done with `stored`, by today's route table and the client's directives."""
        if stored is None:
            return ABSENT
        lifetimes, now = self.lifetimes(ask, stored), self._clock.now()
        if stored.asked_at > now and not self.responses.is_outdated(stored):
            for notify in self.on_future:
                notify(stored.asked_at)
        outdated = self.responses.is_outdated(stored)
        return judge(stored.asked_at, lifetimes, now, ask.directives, outdated=outdated)

    async def find(self, ask: Ask) -> Found:
        """What is stored, or is cut out of what is when that alone is fresh."""
        self._watch.read()  # whoever asks this is about to answer somebody
        return await self._found(ask)

    async def foresee(self, ask: Ask) -> Foreseen:
        """What `serve` would do now; nobody is answered, and Trello is not asked."""
        ask = self.naming.keyed(ask)
        found = await self._found(ask)
        return Foreseen(ask, found, outcome_of(found))

    async def _found(self, ask: Ask) -> Found:
        stored, verdict = await self._stored(ask)
        if isinstance(verdict, Fresh) and stored is not None:
            for tell in self.on_used:
                tell(ask, stored)
        projected = None if isinstance(verdict, Fresh) else await self._project.serve(ask)
        if projected is None:
            return Found(stored, verdict)
        return Found(projected.stored, Fresh(projected.ttl_s), PROJECTED)

    def lifetimes(self, ask: Ask, stored: StoredResponse) -> Lifetimes:
        """The route's; in the stored identity longer ones while its boards are watched."""
        plain = lifetimes_for(stored.status, ask.match.route.lifetimes)
        return self._watch.lifetimes(stored, plain) if ask.own else plain

    async def serve(self, ask: Ask) -> Answer:
        """The answer; NothingStored for an unanswerable `only-if-cached`, else UpstreamError."""
        ask = self.naming.keyed(ask)
        found = await self.find(ask)
        stored, verdict = found.stored, found.verdict
        match verdict:
            case Fresh() if stored is not None:
                return from_store(stored, outcome_of(found))
            case Stale(while_revalidate=True) if stored is not None:
                self._refresh(ask.in_background())
                return from_store(stored, outcome_of(found))
            case Fresh() | Stale() | Absent():
                if ask.directives.only_if_cached:
                    raise NothingStored("Ask again without only-if-cached.")
                return await self._forward_for(ask, stored, verdict)
            case never:
                assert_never(never)

    async def bypass(self, ask: Ask) -> Answer:
        """A read that is never stored, and so never shared: asked, and handed on."""
        outcome = Outcome(fwd=Fwd.BYPASS)
        match await self._exchange.fetch(ask):
            case Streamed() as streamed:
                return from_stream(streamed, outcome)
            case Whole() as whole:
                with self._exchange.reading(ask):
                    self.keep.checked(ask, whole)
                return from_whole(whole, outcome)
            case never:
                assert_never(never)

    async def _stored(self, ask: Ask) -> tuple[StoredResponse | None, Verdict]:
        """What is stored, and what may be done with it; a fresh 404 that is later goes first."""
        stored = await self._stored_200(ask)
        verdict = self.judge(ask, stored)
        if isinstance(verdict, Fresh):
            return stored, verdict
        missing = await self.responses.get(missing_key(own_key(ask)))
        verdict_404 = self.judge(ask, missing)
        is_used = stored is None or (
            missing is not None and isinstance(verdict_404, Fresh) and missing.asked >= stored.asked
        )
        return (missing, verdict_404) if is_used else (stored, verdict)

    async def _stored_200(self, ask: Ask) -> StoredResponse | None:
        """What is stored of the object; under its spelling, if that was asked for later."""
        stored = await self.responses.get(ask.key)
        if ask.spelled_key is None:
            return stored
        spelled = await self.responses.get(ask.spelled_key)
        if stored is None or (spelled is not None and spelled.asked > stored.asked):
            return spelled
        return stored

    async def _forward_for(
        self, ask: Ask, stored: StoredResponse | None, verdict: Verdict
    ) -> Answer:
        fwd = reason_of(stored, verdict)
        try:
            landed, joined = await self._widened(ask) or await self._land(ask)
        except UpstreamError as error:
            if stored is None or not may_serve_error(verdict):
                raise
            return self._stale(stored, fwd, error.status)
        match landed:
            case Kept(kept, detail):
                outcome = Outcome(
                    fwd=fwd, fwd_status=kept.status, stored=True, collapsed=joined, detail=detail
                )
                return from_store(kept, outcome)
            case Passed(whole, reason):
                trouble = is_trouble(whole.status, whole.plain, own=ask.own)
                if trouble and stored is not None and may_serve_error(verdict):
                    return self._stale(stored, fwd, whole.status)
                outcome = Outcome(fwd=fwd, fwd_status=whole.status, collapsed=joined, detail=reason)
                return from_whole(whole, outcome)
            case TooLong():
                return await self.bypass(ask)
            case never:
                assert_never(never)

    def wider(self, ask: Ask) -> Ask | None:
        """The question that answers several that are in demand, this one among them."""
        wide = self._project.wider(ask)
        return self.naming.keyed(wide) if wide is not None else None

    async def renew(self, ask: Ask) -> None:
        """Have it asked for, and stored; UpstreamError."""
        await self._land(self.naming.keyed(ask))

    def _refresh(self, ask: Ask) -> None:
        """Ask in the background."""
        flight = self._flight(ask)
        if self.wider(ask) is None:
            self.flights.start(flight, partial(self._forward, ask))
        else:
            self.flights.start(("wider", *flight), partial(self._refreshed, ask))

    async def _refreshed(self, ask: Ask) -> Landed:
        return (await self._widened(ask) or await self._land(ask))[0]

    async def _widened(self, ask: Ask) -> tuple[Landed, bool] | None:
        """What came of asking for more, to answer others too; None to ask for this alone."""
        wide = self.wider(ask)
        if wide is None:
            return None
        seq = self.responses.seq
        landed, joined = await self._land(wide)
        match landed:
            case Kept(stored):
                part = await self._project.of_wider(ask, wide, stored)
                if part is not None:
                    return Kept(part, PROJECTED), joined
            case Passed(whole) if is_trouble(whole.status, whole.plain, own=ask.own):
                return landed, joined
        if self.responses.seq == seq:  # else an invalidation may have come between
            self._project.refuse(wide)
        return None

    async def _land(self, ask: Ask) -> tuple[Landed, bool]:
        """A flight's result, and whether it was shared.

        Who will not have it stored, or has just refused what is stored, flies alone: an answer
        that somebody else asked for earlier is not what they want. So does a follower whose
        leader's answer turned out to be the leader's alone. Whom another spelling was refused
        asks by their own.
        """
        if ask.directives.no_store or ask.directives.no_cache:
            return await self._forward(ask), False
        flight = self._flight(ask)
        if flight in self.flights:
            self._exchange.turns.hurry(ask)
        landed, joined = await self.flights.run(flight, partial(self._forward, ask))
        if joined and isinstance(landed, Passed) and landed.whole.status < 400:
            return await self._forward(ask), False
        if joined and is_refusal(landed) and not is_refusal_of(landed, own_key(ask)):
            again = (own_key(ask), self.responses.seq, "by this spelling")
            return await self.flights.run(again, partial(self._forward, ask))
        return landed, joined

    def _flight(self, ask: Ask) -> tuple[str, int]:
        return ask.key, self.responses.seq

    async def _forward(self, ask: Ask) -> Landed:
        seq, asked_at = self.responses.seq, self._clock.now()
        fetched = await self._exchange.fetch(ask, gzip=True)
        if isinstance(fetched, Streamed):
            await fetched.chunks.aclose()
            count(self._metrics.not_stored, Reason.TOO_LARGE)
            return TooLong()
        with self._exchange.reading(ask):
            whole = self.keep.checked(ask, fetched)
        return await self.keep.take(ask, whole, asked_at, seq)

    @staticmethod
    def _stale(stored: StoredResponse, fwd: Fwd, status: int) -> Answer:
        outcome = Outcome(fwd=fwd, fwd_status=status, detail=STALE_IF_ERROR)
        return from_store(stored, outcome)


def may_serve_error(verdict: Verdict) -> bool:
    """Whether what is stored is better than an error."""
    return isinstance(verdict, Stale) and verdict.if_error
