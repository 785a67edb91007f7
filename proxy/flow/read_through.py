"""A cached GET, and what a miss does: look up, judge, then answer, or ask once for everybody.

A fetch that began before a write and lands after it would store the old state for a lifetime; a
reader who comes after the write would join that flight and be told the old state. So every flight
knows the store's `seq` at which it began: it is joined only while `seq` has not moved, and what it
brings is stored only if none of its tags was invalidated since.
"""

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import assert_never

from proxy.clock import Clock
from proxy.errors import NotStored as NothingStored
from proxy.errors import Unusable, UpstreamError
from proxy.flow.answers import from_store, from_stream, from_whole, to_stored
from proxy.flow.ask import Answer, Ask
from proxy.flow.collapse import Collapse
from proxy.flow.exchange import Exchange, Streamed, Whole
from proxy.flow.landed import Kept, Landed, Passed, TooLong, is_refusal, spelling_of
from proxy.flow.naming import Naming
from proxy.metrics import Metrics, count
from proxy.model import CacheKey, Fwd, Kind, Outcome, StoredResponse, Urgency
from proxy.policy.credentials import echoes
from proxy.policy.freshness import ABSENT, Absent, Fresh, Stale, Verdict, judge
from proxy.policy.routes import UNKNOWN
from proxy.policy.script import point_at
from proxy.policy.storability import (
    NotStored,
    Reason,
    Storable,
    lifetimes_for,
    may_store,
    why_unusable,
)
from proxy.policy.tags import stored_tags
from proxy.policy.trouble import is_trouble
from proxy.policy.wire import head_of
from proxy.store.responses import Responses

STALE_IF_ERROR = "stale-if-error"
"""The `detail` of an answer that is stale because Trello gives none."""
_REFUSALS = frozenset({401, 403, 410})
"""After these what was stored is no longer this member's to see."""


class ReadThrough:
    """GETs answered from the store or from Trello, never both stale and unlabelled."""

    def __init__(
        self,
        responses: Responses,
        exchange: Exchange,
        public_url: str,
        metrics: Metrics,
        clock: Clock,
    ) -> None:
        self._responses = responses
        self._exchange = exchange
        self._public_url = public_url
        self._metrics = metrics
        self._clock = clock
        self.naming = Naming(responses, clock)
        self.flights: Collapse[Landed] = Collapse(exchange.turns.holds)
        self.on_stored: list[Callable[[Ask, StoredResponse], None]] = []
        """Told of every answer that is stored, once it is."""

    def judge(self, ask: Ask, stored: StoredResponse | None) -> Verdict:
        """What may be done with `stored`, by today's route table and the client's directives."""
        if stored is None:
            return ABSENT
        lifetimes = lifetimes_for(stored.status, ask.match.route.lifetimes)
        outdated = self._responses.is_outdated(stored)
        now = self._clock.now()
        return judge(stored.asked_at, lifetimes, now, ask.directives, outdated=outdated)

    async def serve(self, ask: Ask) -> Answer:
        """The answer; NothingStored for an unanswerable `only-if-cached`, else UpstreamError."""
        ask = self.naming.keyed(ask)
        stored = await self.find(ask)
        verdict = self.judge(ask, stored)
        match verdict:
            case Fresh(ttl_s) if stored is not None:
                return from_store(stored, Outcome(hit=True, ttl_s=int(ttl_s)))
            case Stale(while_revalidate=True) if stored is not None:
                renewal = replace(ask, urgency=max(ask.urgency, Urgency.BACKGROUND))
                self.flights.start(self._flight(ask), partial(self._forward, renewal))
                return from_store(stored, Outcome(hit=True, ttl_s=verdict.ttl_s))
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
                self._check(ask, whole)
                return from_whole(whole, outcome)
            case never:
                assert_never(never)

    async def find(self, ask: Ask) -> StoredResponse | None:
        """What is stored of the object; under its spelling, if that was asked for later."""
        stored = await self._responses.get(ask.key)
        if ask.spelled_key is None:
            return stored
        spelled = await self._responses.get(ask.spelled_key)
        if stored is None or (spelled is not None and spelled.asked_at > stored.asked_at):
            return spelled
        return stored

    async def _forward_for(
        self, ask: Ask, stored: StoredResponse | None, verdict: Verdict
    ) -> Answer:
        fwd = reason_of(stored, verdict)
        try:
            landed, joined = await self._land(ask)
        except UpstreamError as error:
            if stored is None or not may_serve_error(verdict):
                raise
            return self._stale(stored, fwd, error.status)
        match landed:
            case Kept(kept):
                outcome = Outcome(fwd=fwd, fwd_status=kept.status, stored=True, collapsed=joined)
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
        if joined and is_refusal(landed) and spelling_of(landed) != _own_key(ask):
            again = (_own_key(ask), self._responses.seq, "by this spelling")
            return await self.flights.run(again, partial(self._forward, ask))
        return landed, joined

    def _flight(self, ask: Ask) -> tuple[str, int]:
        return ask.key, self._responses.seq

    async def _forward(self, ask: Ask) -> Landed:
        seq, asked_at = self._responses.seq, self._clock.now()
        fetched = await self._exchange.fetch(ask, gzip=True)
        if isinstance(fetched, Streamed):
            await fetched.chunks.aclose()
            count(self._metrics.not_stored, Reason.TOO_LARGE)
            return TooLong()
        return await self.keep(ask, self._check(ask, fetched), asked_at, seq)

    async def keep(self, ask: Ask, whole: Whole, asked_at: float, seq: int) -> Kept | Passed:
        """Store what Trello answered at that time and `seq`, if it may be stored."""
        if whole.status == 200:
            await self.naming.learn(ask, whole.plain, asked_at, seq)
        tags = stored_tags(ask.match, ask.query_names, whole.plain, self.naming.known(ask))
        verdict = may_store(
            whole.status,
            ask.match.route.lifetimes,
            tags,
            no_store=ask.directives.no_store,
            echoes=not ask.own and echoes(ask.credential, head_of(whole.fields) + whole.plain),
        )
        match verdict:
            case Storable():
                stored = to_stored(ask, whole, tags, asked_at, seq)
                return self._keep(ask, stored) or self._passed(ask, whole, Reason.INVALIDATED)
            case NotStored(reason):
                is_word = not is_trouble(whole.status, whole.plain, own=ask.own)
                if whole.status in _REFUSALS and is_word:
                    self.drop(ask)
                return self._passed(ask, whole, reason)
            case never:
                assert_never(never)

    def _keep(self, ask: Ask, stored: StoredResponse) -> Kept | None:
        """Kept, once for every key it is found by; None when it was invalidated meanwhile."""
        if stored.status != 200 and ask.spelled_key is not None:
            self._responses.drop(ask.key)
        kept = [replace(stored, key=key) for key in self.naming.keys_for(ask, stored.status)]
        if not all(self._responses.put(each) for each in kept):
            return None
        for tell in self.on_stored:
            tell(ask, kept[0])
        return Kept(kept[0])

    def drop(self, ask: Ask) -> None:
        """Forget what is stored for it."""
        for key in {ask.key, _own_key(ask)}:
            self._responses.drop(key)

    def _passed(self, ask: Ask, whole: Whole, reason: Reason) -> Passed:
        count(self._metrics.not_stored, reason)
        return Passed(whole, reason, _own_key(ask))

    def _check(self, ask: Ask, whole: Whole) -> Whole:
        """The answer, pointed at us where it is Trello's script; Unusable when it is none."""
        with self._exchange.reading(ask):
            return self._checked(ask, whole)

    def _checked(self, ask: Ask, whole: Whole) -> Whole:
        if whole.status != 200 or ask.match.route.template == UNKNOWN:
            return whole
        kind = ask.match.route.kind
        reason = why_unusable(
            kind, whole.content_type, whole.plain, length_known=whole.length_known
        )
        if reason is not None:
            raise Unusable(f"Trello sent {reason}; try again later.")
        if kind is Kind.SCRIPT:
            script = point_at(whole.plain, self._public_url)
            return replace(whole, body=script, plain=script, gzip=False)
        return whole

    @staticmethod
    def _stale(stored: StoredResponse, fwd: Fwd, status: int) -> Answer:
        outcome = Outcome(fwd=fwd, fwd_status=status, detail=STALE_IF_ERROR)
        return from_store(stored, outcome)


def reason_of(stored: StoredResponse | None, verdict: Verdict) -> Fwd:
    """What is stored and not past its lifetime was the client's own to refuse (RFC 9211 §2.2)."""
    if stored is None:
        return Fwd.URI_MISS
    refused = isinstance(verdict, Stale) and verdict.refused
    return Fwd.REQUEST if refused else Fwd.STALE


def may_serve_error(verdict: Verdict) -> bool:
    """Whether what is stored is better than an error."""
    return isinstance(verdict, Stale) and verdict.if_error


def _own_key(ask: Ask) -> CacheKey:
    """The key of the spelling that was used."""
    return ask.spelled_key or ask.key
