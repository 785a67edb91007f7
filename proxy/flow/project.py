"""Answers cut out of larger ones that are stored and fresh, and larger questions in their place."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial

from proxy.clock import Clock
from proxy.flow.ask import Ask
from proxy.flow.demand import Demand
from proxy.flow.donors import Donors, has_items, items_in
from proxy.model import StoredResponse
from proxy.policy.cache_key import key_of
from proxy.policy.codings import identity_of
from proxy.policy.directives import NONE
from proxy.policy.freshness import Fresh, Verdict
from proxy.policy.known import Known
from proxy.policy.projection import (
    Chosen,
    Shape,
    Source,
    contains,
    project,
    shape_of,
    widened,
)
from proxy.policy.routes import Match
from proxy.policy.tags import stored_tags
from proxy.policy.target import canonical_query, target_of
from proxy.policy.validation import etag_of
from proxy.store.responses import Responses

PROJECTED = "projected"
"""The `detail` of an answer that was cut out of a larger one."""
DONOR_BYTES = 1 << 20
"""A larger answer is not cut."""
_ASIDE_BYTES = 64 * 1024
"""A longer one is cut in a thread."""
_ASIDE_GZIP_BYTES = _ASIDE_BYTES // 8
"""The same of gzip: what Trello sends packs to an eighth and less."""


@dataclass(frozen=True, slots=True)
class Projected:
    """An answer that was cut out, and how many seconds of life it has."""

    stored: StoredResponse
    ttl_s: float


class Project:
    """Knows which stored answers contain others, and which parts are in demand."""

    def __init__(
        self,
        responses: Responses,
        judge: Callable[[Ask, StoredResponse | None], Verdict],
        known: Callable[[Ask], Known],
        clock: Clock,
    ) -> None:
        """`judge`: what may be done with a stored response for an ask.

        `known`: what is known of the object that its path names.
        """
        self._known = known
        self._responses = responses
        self._judge = judge
        self._clock = clock
        self._donors = Donors()
        self._demand = Demand()

    def note(self, ask: Ask, stored: StoredResponse, plain: bytes) -> None:
        """An answer was stored: it may contain others."""
        shape = self._shape(ask)
        if shape is None or stored.status != 200 or len(plain) > DONOR_BYTES:
            return
        self._donors.note(ask.partition, stored.key, ask.match, shape)
        if has_items(shape):  # a search over bytes: a millisecond for the longest
            self._donors.note_items(ask.partition, shape.path[:2], items_in(plain))

    async def serve(self, ask: Ask) -> Projected | None:
        """What a stored, fresh answer contains of this; None when it must be asked for."""
        if ask.directives.no_cache or ask.directives.no_store:
            return None
        shape = self._shape(ask)
        if shape is None:
            return None
        for donor in list(self._donors.holding(ask.partition, shape)):
            stored = await self._responses.get(donor.key)
            if stored is None:
                continue
            projected = await self._from(ask, shape, stored, donor.match, donor.source)
            if projected is not None:
                return projected
        return None

    def wider(self, ask: Ask) -> Ask | None:
        """The question that answers several that are in demand: for all fields, for all cards."""
        shape = self._shape(ask)
        if shape is None or ask.directives != NONE:
            return None
        for wider in (self._around(ask, shape), _for_all_fields(ask, shape)):
            wide = self._shape(wider) if wider is not None else None
            if wide and self._demand.is_wide(ask.partition, shape, wide, self._clock.monotonic()):
                return wider
        return None

    async def of_wider(self, ask: Ask, wider: Ask, landed: StoredResponse) -> StoredResponse | None:
        """The part of the wider answer that was asked for; None when it is not in there."""
        shape, wide = self._shape(ask), self._shape(wider)
        if shape is None or wide is None:
            return None
        projected = await self._from(ask, shape, landed, wider.match, Source(wide))
        return projected.stored if projected is not None else None

    def refuse(self, wider: Ask) -> None:
        """The wider question did not serve: for a while it is not asked."""
        wide = self._shape(wider)
        if wide is not None:
            self._demand.refuse(wider.partition, wide, self._clock.monotonic())

    def _shape(self, ask: Ask) -> Shape | None:
        """What is asked for; the same whatever the object is called."""
        shape = shape_of(ask.match, ask.target.partition("?")[2])
        known_id = self._known(ask).id if shape is not None else None
        if shape is None or known_id is None or len(shape.path) < len(("cards", "id")):
            return shape
        return replace(shape, path=(shape.path[0], known_id, *shape.path[2:]))

    def _around(self, ask: Ask, shape: Shape) -> Ask | None:
        """The question for all that the object was read within, where that too is read."""
        donor = self._donors.around(ask.partition, shape)
        if donor is None:
            return None
        match, within = donor.match, donor.source.shape
        wide = replace(within, chosen=Chosen.ALL)
        if within.loose or within.nested or not contains(wide, shape):
            return None
        return replace(
            _asking(ask, target_of(match.segments, "fields=all")),
            match=match,
            query_names=frozenset({"fields"}),
        )

    async def _from(
        self, ask: Ask, shape: Shape, donor: StoredResponse, match: Match, source: Source
    ) -> Projected | None:
        """The part, kept for the next one who asks; None unless the donor is fresh for both."""
        ttl_s = min(self._ttl(ask, donor, each) for each in (match, ask.match))
        if donor.status != 200 or ttl_s <= 0:
            return None
        cut = partial(_cut, ask, shape, donor, source, self._known(ask))
        is_long = len(donor.body) > (_ASIDE_GZIP_BYTES if donor.gzip else _ASIDE_BYTES)
        stored = await asyncio.to_thread(cut) if is_long else cut()
        if stored is None or not self._responses.put(stored):
            return None
        return Projected(stored, ttl_s)

    def _ttl(self, ask: Ask, donor: StoredResponse, match: Match) -> float:
        """Seconds that the donor may be used by a route's lifetimes and the client's directives."""
        verdict = self._judge(replace(ask, match=match), donor)
        return verdict.ttl_s if isinstance(verdict, Fresh) else 0.0


def _for_all_fields(ask: Ask, shape: Shape) -> Ask | None:
    """The question for all fields of the same, where that is to be asked."""
    if widened(shape, ask.match.route.template) is None:
        return None
    parameters = ask.target.partition("?")[2].split("&")
    others = [each for each in parameters if not each.startswith("fields=")]
    query = canonical_query("&".join([*others, "fields=all"]))
    return _asking(ask, target_of(ask.match.segments, query))


def _asking(ask: Ask, target: str) -> Ask:
    return replace(ask, target=target, key=key_of(ask.partition, target), spelled_key=None)


def _cut(
    ask: Ask, narrow: Shape, donor: StoredResponse, source: Source, known: Known
) -> StoredResponse | None:
    """The part, as if it had been asked for when the donor was."""
    plain = identity_of(donor.body, gzip=donor.gzip)
    cut = project(plain, source, narrow) if len(plain) <= DONOR_BYTES else None
    if cut is None:
        return None
    own = stored_tags(ask.match, ask.query_names, cut.subject, known)
    return replace(
        donor,
        key=ask.key,
        body=cut.body,
        gzip=False,
        etag=etag_of(cut.body),
        tags=tuple(sorted({*donor.tags, *own})),
    )
