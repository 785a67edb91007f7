"""A client's batch: each part from the store, and one question for those that are not there.

Every part is stored as a read of its own is, under the same key, and asks for the same directives.
A part that alone is wanting is read by itself: so it joins whoever reads it already. Several are
one batch, which is joined by whoever wants the same ones while the store's `seq` has not moved.
"""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial

from proxy.clock import Clock
from proxy.errors import NotStored as NothingStored
from proxy.errors import Unusable, UpstreamError
from proxy.flow.answers import from_store, from_whole
from proxy.flow.ask import Answer, Ask
from proxy.flow.batch_part import Part, Piece, why
from proxy.flow.collapse import Collapse
from proxy.flow.exchange import WHOLE_BYTES, Exchange, Streamed, Whole
from proxy.flow.foresight import Foreseen
from proxy.flow.landed import Kept, TooLong
from proxy.flow.read_through import STALE_IF_ERROR, ReadThrough, may_serve_error
from proxy.metrics import Metrics, count
from proxy.model import CacheKey, Kind, Outcome, StoredResponse
from proxy.policy.batch import JSON_HEAD, Item, asking_for, composed, item_of, items_in
from proxy.policy.codings import gzipped, identity_length
from proxy.policy.freshness import ABSENT, Fresh
from proxy.policy.storability import Reason, why_unusable
from proxy.policy.trouble import is_trouble
from proxy.policy.validation import etag_of
from proxy.store.responses import Responses

_ASIDE_BYTES = 64 * 1024
"""Longer answers are cut, packed and put together beside the loop: it takes milliseconds."""
_PACKED_BYTES = 1024
"""Shorter parts are kept as they are."""
_REFUSALS = frozenset({401, 403, 410})
"""After these what was stored is no longer this member's to see."""


Landed = Mapping[CacheKey, Piece] | Whole | TooLong
"""What a flight brought: its parts, or an answer that has none."""


class Batch:
    """Batches answered from the store and from Trello."""

    def __init__(
        self,
        reads: ReadThrough,
        responses: Responses,
        exchange: Exchange,
        metrics: Metrics,
        clock: Clock,
    ) -> None:
        self._reads = reads
        self._responses = responses
        self._exchange = exchange
        self._metrics = metrics
        self._clock = clock
        self.flights: Collapse[Landed] = Collapse(exchange.turns.holds)

    async def serve(self, ask: Ask, reads: Sequence[Ask]) -> Answer:
        """The answer to all; NothingStored for an unanswerable `only-if-cached`, or UpstreamError.

        `reads` are what `ask` lists.
        """
        parts = [await self._look_up(self._reads.naming.keyed(each)) for each in reads]
        wanted = {part.ask.key: part for part in parts if not isinstance(part.verdict, Fresh)}
        if all(part.may_wait for part in parts):
            await self._renew(ask, [*wanted.values()])
            outcome = Outcome(hit=True, ttl_s=min(part.ttl_s for part in parts))
            return await self._answer(ask, parts, {}, outcome)
        if ask.directives.only_if_cached:
            raise NothingStored("Ask again without only-if-cached.")
        if len(wanted) == 1:
            return await self._ask_for_one(ask, parts, *wanted.values())
        return await self._ask_for_many(ask, parts, [*wanted.values()])

    async def foresee(self, reads: Sequence[Ask]) -> tuple[list[Foreseen], Outcome]:
        """What `serve` would say of each part and of all, without asking Trello."""
        foreseen = [await self._reads.foresee(each) for each in reads]
        parts = [Part(each.ask, each.found.stored, each.found.verdict) for each in foreseen]
        if all(part.may_wait for part in parts):
            return foreseen, Outcome(hit=True, ttl_s=min(part.ttl_s for part in parts))
        wanted = [part for part in parts if not isinstance(part.verdict, Fresh)]
        return foreseen, Outcome(fwd=why(wanted))

    async def renew(self, ask: Ask, reads: Sequence[Ask]) -> None:
        """Have these asked for, and stored; UpstreamError."""
        if len(reads) == 1:
            await self._reads.renew(reads[0])
        elif reads:
            parts = [Part(each, None, ABSENT) for each in reads]
            await self.flights.run(self._flight(parts), partial(self._ask, ask, parts))

    async def _look_up(self, ask: Ask) -> Part:
        found = await self._reads.find(ask)
        return Part(ask, found.stored, found.verdict)

    async def _renew(self, ask: Ask, stale: Sequence[Part]) -> None:
        """Have what is stale asked for, while it is used."""
        if len(stale) == 1:
            await self._reads.serve(stale[0].ask)
        elif stale:
            renewal = ask.in_background()
            self.flights.start(self._flight(stale), partial(self._ask, renewal, stale))

    async def _ask_for_one(self, ask: Ask, parts: Sequence[Part], part: Part) -> Answer:
        answer = await self._reads.serve(part.ask)
        if not isinstance(answer.body, bytes):
            await answer.body.aclose()
            return await self._reads.bypass(ask)
        if answer.stored is None and is_trouble(answer.status, answer.body, own=ask.own):
            return answer
        if answer.outcome.hit:  # stored since it was looked up
            return await self.serve(ask, [each.ask for each in parts])
        item = Item(answer.status, item_of(answer.status, answer.body))
        outcome = replace(answer.outcome, detail=answer.outcome.detail or _asked(1, parts))
        return await self._answer(ask, parts, {part.ask.key: answer.stored or item}, outcome)

    async def _ask_for_many(
        self, ask: Ask, parts: Sequence[Part], wanted: Sequence[Part]
    ) -> Answer:
        outcome = Outcome(fwd=why(wanted), detail=_asked(len(wanted), parts))
        is_all_stored = all(may_serve_error(part.verdict) for part in wanted)
        try:
            landed, joined = await self._land(ask, wanted)
        except UpstreamError as error:
            if not is_all_stored:
                raise
            outcome = replace(outcome, fwd_status=error.status, detail=STALE_IF_ERROR)
            return await self._answer(ask, parts, {}, outcome)
        if isinstance(landed, TooLong):
            return await self._reads.bypass(ask)
        outcome = replace(outcome, collapsed=joined)
        if isinstance(landed, Whole):
            outcome = replace(outcome, fwd_status=landed.status)
            if is_all_stored and is_trouble(landed.status, landed.plain, own=ask.own):
                outcome = replace(outcome, detail=STALE_IF_ERROR)
                return await self._answer(ask, parts, {}, outcome)
            return from_whole(landed, replace(outcome, detail=Reason.STATUS))
        got = {
            part.ask.key: landed[part.ask.key]
            for part in wanted
            if not part.is_better_than(landed[part.ask.key])
        }
        outcome = replace(
            outcome,
            fwd_status=200,
            stored=all(isinstance(piece, StoredResponse) for piece in landed.values()),
            detail=outcome.detail if len(got) == len(landed) else STALE_IF_ERROR,
        )
        return await self._answer(ask, parts, got, outcome)

    async def _land(self, ask: Ask, wanted: Sequence[Part]) -> tuple[Landed, bool]:
        """A flight's result, and whether it was shared; what is not stored is never shared."""
        if ask.directives.no_store or ask.directives.no_cache:
            return await self._ask(ask, wanted), False
        flight = self._flight(wanted)
        if flight in self.flights:
            self._exchange.turns.hurry(_question(ask, wanted))
        landed, joined = await self.flights.run(flight, partial(self._ask, ask, wanted))
        if joined and isinstance(landed, Mapping) and any(map(_is_an_askers_own, landed.values())):
            return await self._ask(ask, wanted), False
        return landed, joined

    def _flight(self, wanted: Sequence[Part]) -> tuple[frozenset[CacheKey], int]:
        return frozenset(part.ask.key for part in wanted), self._responses.seq

    async def _ask(self, ask: Ask, wanted: Sequence[Part]) -> Landed:
        seq, asked_at = self._responses.seq, self._clock.now()
        fetched = await self._exchange.fetch(_question(ask, wanted), gzip=True)
        if isinstance(fetched, Streamed):
            await fetched.chunks.aclose()
            count(self._metrics.not_stored, Reason.TOO_LARGE)
            return TooLong()
        if fetched.status != 200:
            count(self._metrics.not_stored, Reason.STATUS)
            return fetched
        with self._exchange.reading(ask):
            if len(fetched.plain) > _ASIDE_BYTES:
                cut = await asyncio.to_thread(_cut, fetched, len(wanted))
            else:
                cut = _cut(fetched, len(wanted))
        return {
            part.ask.key: await self._kept(part.ask, item, whole, asked_at, seq)
            for part, (item, whole) in zip(wanted, cut, strict=True)
        }

    async def _kept(self, ask: Ask, item: Item, whole: Whole, asked_at: float, seq: int) -> Piece:
        """The part as it is stored now; the item where it is not: a failure never is."""
        if item.status != 200:
            if item.status == 404:
                await self._reads.keep.mark_missing(ask, (seq, asked_at))
            elif item.status in _REFUSALS and not is_trouble(item.status, item.raw, own=ask.own):
                self._reads.keep.drop(ask)
            count(self._metrics.not_stored, Reason.STATUS)
            return item
        landed = await self._reads.keep.take(ask, whole, asked_at, seq)
        return landed.stored if isinstance(landed, Kept) else item

    async def _answer(
        self,
        ask: Ask,
        parts: Sequence[Part],
        got: Mapping[CacheKey, Piece],
        outcome: Outcome,
    ) -> Answer:
        """The whole, as old as its oldest part; from the store what was not got.

        What is too long to be put together here Trello is asked for, as it came.
        """
        have: dict[CacheKey, Piece] = {p.ask.key: p.stored for p in parts if p.stored is not None}
        have.update(got)
        used = [have[part.ask.key] for part in parts]
        stored = [each for each in used if isinstance(each, StoredResponse)]
        pieces = [each if isinstance(each, StoredResponse) else each.raw for each in used]
        size = sum(map(_plain_length, stored))
        if size > WHOLE_BYTES:
            return await self._reads.bypass(ask)
        if size > _ASIDE_BYTES:
            body = await asyncio.to_thread(composed, pieces)
        else:
            body = composed(pieces)
        whole = StoredResponse(
            key=ask.key,
            status=200,
            head=JSON_HEAD,
            body=body,
            gzip=False,
            etag=etag_of(body),
            asked_at=min((each.asked_at for each in stored), default=self._clock.now()),
            asked_seq=self._responses.seq,
            tags=(),
        )
        return from_store(whole, outcome)


def _question(ask: Ask, wanted: Sequence[Part]) -> Ask:
    """The batch of these parts; its key is that of their flight, whatever their order."""
    target = asking_for([part.ask.target for part in wanted])
    key = CacheKey(" ".join(sorted(part.ask.key for part in wanted)))
    return replace(ask, target=target, key=key)


def _cut(batch: Whole, count: int) -> list[tuple[Item, Whole]]:
    """The items, each with the answer that a read of its own gets; Unusable if they are not so."""
    reason = why_unusable(
        Kind.BATCH, batch.content_type, batch.plain, length_known=batch.length_known
    )
    items = None if reason else items_in(batch.plain, count)
    if items is None:
        raise Unusable("Trello sent no list of what was asked for; try again later.")
    return [(item, _whole_of(batch, item.body)) for item in items]


def _whole_of(batch: Whole, plain: bytes) -> Whole:
    gzip = batch.gzip and len(plain) > _PACKED_BYTES
    return replace(batch, body=gzipped(plain) if gzip else plain, plain=plain, gzip=gzip)


def _is_an_askers_own(piece: Piece) -> bool:
    return isinstance(piece, Item) and piece.status == 200


def _plain_length(stored: StoredResponse) -> int:
    return identity_length(stored.body) if stored.gzip else len(stored.body)


def _asked(count_asked: int, parts: Sequence[Part]) -> str:
    """How many of how many were asked for: `asked-2-of-10`."""
    return f"asked-{count_asked}-of-{len(parts)}"
