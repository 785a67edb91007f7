"""Answers cut out of larger ones that are stored and fresh, and larger questions in their place."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial

from proxy.cache.freshness import Fresh, Verdict
from proxy.cache.projection.containment_index import (
    ContainmentIndex,
    FieldDemand,
    has_items,
    items_in,
)
from proxy.cache.projection.query_shape import (
    Chosen,
    QueryShape,
    Source,
    contains,
    parse_shape,
    project,
    widened,
)
from proxy.cache.store.store import ResponseStore
from proxy.http_semantics.cache_control import NONE
from proxy.http_semantics.conditional import etag_of
from proxy.http_semantics.content import identity_of
from proxy.http_semantics.target import canonical_query, target_of
from proxy.model import StoredResponse
from proxy.runtime.clock import Clock
from proxy.trello.message import ApiRequest
from proxy.trello.object_ids import ObjectInfo
from proxy.trello.routes import Match
from proxy.trello.tags import stored_tags

MAX_SUPERSET_BYTES = 1 << 20
"""A larger answer is not cut."""
_OFFLOAD_BYTES = 64 * 1024
"""A longer one is cut in a thread."""
_OFFLOAD_GZIP_BYTES = _OFFLOAD_BYTES // 8
"""The same of gzip: what Trello sends packs to an eighth and less."""


@dataclass(frozen=True, slots=True)
class ProjectedResponse:
    """An answer that was cut out, and how many seconds of life it has."""

    stored: StoredResponse
    ttl_s: float


class Projector:
    """Knows which stored answers contain others, and which parts are in demand."""

    def __init__(
        self,
        responses: ResponseStore,
        judge: Callable[[ApiRequest, StoredResponse | None], Verdict],
        known: Callable[[ApiRequest], ObjectInfo],
        clock: Clock,
    ) -> None:
        """`judge`: what may be done with a stored response for an ask.

        `known`: what is known of the object that its path names.
        """
        self._known = known
        self._responses = responses
        self._judge = judge
        self._clock = clock
        self._index = ContainmentIndex()
        self._demand = FieldDemand()

    def add_stored(self, request: ApiRequest, stored: StoredResponse, plain: bytes) -> None:
        """An answer was stored: it may contain others."""
        shape = self._shape(request)
        if shape is None or stored.status != 200 or len(plain) > MAX_SUPERSET_BYTES:
            return
        self._index.add(request.partition, stored.key, request.match, shape)
        if has_items(shape):  # a search over bytes: a millisecond for the longest
            self._index.add_items(request.partition, shape.path[:2], items_in(plain))

    async def serve(self, request: ApiRequest) -> ProjectedResponse | None:
        """What a stored, fresh answer contains of this; None when it must be asked for."""
        if request.directives.no_cache or request.directives.no_store:
            return None
        shape = self._shape(request)
        if shape is None:
            return None
        for superset in list(self._index.supersets_of(request.partition, shape)):
            stored = await self._responses.get(superset.key)
            if stored is None:
                continue
            projected = await self._from(request, shape, stored, superset.match, superset.source)
            if projected is not None:
                return projected
        return None

    def widened_request(self, request: ApiRequest) -> ApiRequest | None:
        """The question that answers several that are in demand: for all fields, for all cards."""
        shape = self._shape(request)
        if shape is None or request.directives != NONE:
            return None
        for wider in (self._from_item(request, shape), _with_all_fields(request, shape)):
            wide = self._shape(wider) if wider is not None else None
            if wide and self._demand.is_in_demand(
                request.partition, shape, wide, self._clock.monotonic()
            ):
                return wider
        return None

    async def from_widened(
        self, request: ApiRequest, wider: ApiRequest, result: StoredResponse
    ) -> StoredResponse | None:
        """The part of the wider answer that was asked for; None when it is not in there."""
        shape, wide = self._shape(request), self._shape(wider)
        if shape is None or wide is None:
            return None
        projected = await self._from(request, shape, result, wider.match, Source(wide))
        return projected.stored if projected is not None else None

    def reject_widened(self, wider: ApiRequest) -> None:
        """The wider question did not serve: for a while it is not asked."""
        wide = self._shape(wider)
        if wide is not None:
            self._demand.reject(wider.partition, wide, self._clock.monotonic())

    def _shape(self, request: ApiRequest) -> QueryShape | None:
        """What is asked for; the same whatever the object is called."""
        shape = parse_shape(request.match, request.target.partition("?")[2])
        known_id = self._known(request).id if shape is not None else None
        if shape is None or known_id is None or len(shape.path) < len(("cards", "id")):
            return shape
        return replace(shape, path=(shape.path[0], known_id, *shape.path[2:]))

    def _from_item(self, request: ApiRequest, shape: QueryShape) -> ApiRequest | None:
        """The question for all that the object was read within, where that too is read."""
        superset = self._index.candidates(request.partition, shape)
        if superset is None:
            return None
        match, within = superset.match, superset.source.shape
        wide = replace(within, chosen=Chosen.ALL)
        if within.pass_through_params or within.nested or not contains(wide, shape):
            return None
        return request.derive(target=target_of(match.segments, "fields=all"), match=match)

    async def _from(
        self,
        request: ApiRequest,
        shape: QueryShape,
        superset: StoredResponse,
        match: Match,
        source: Source,
    ) -> ProjectedResponse | None:
        """The part, kept for the next one who asks; None unless the donor is fresh for both."""
        ttl_s = min(self._ttl(request, superset, each) for each in (match, request.match))
        if superset.status != 200 or ttl_s <= 0:
            return None
        cut = partial(_cut, request, shape, superset, source, self._known(request))
        is_long = len(superset.body) > (_OFFLOAD_GZIP_BYTES if superset.gzip else _OFFLOAD_BYTES)
        stored = await asyncio.to_thread(cut) if is_long else cut()
        if stored is None or not self._responses.put(stored):
            return None
        return ProjectedResponse(stored, ttl_s)

    def _ttl(self, request: ApiRequest, superset: StoredResponse, match: Match) -> float:
        """Seconds that the donor may be used by a route's lifetimes and the client's directives."""
        verdict = self._judge(replace(request, match=match), superset)
        return verdict.ttl_s if isinstance(verdict, Fresh) else 0.0


def _with_all_fields(request: ApiRequest, shape: QueryShape) -> ApiRequest | None:
    """The question for all fields of the same, where that is to be asked."""
    if widened(shape, request.match.route.template) is None:
        return None
    parameters = request.target.partition("?")[2].split("&")
    others = [each for each in parameters if not each.startswith("fields=")]
    query = canonical_query("&".join([*others, "fields=all"]))
    return request.derive(target=target_of(request.match.segments, query))


def _cut(
    request: ApiRequest,
    narrow: QueryShape,
    superset: StoredResponse,
    source: Source,
    known: ObjectInfo,
) -> StoredResponse | None:
    """The part, as if it had been asked for when the donor was."""
    plain = identity_of(superset.body, gzip=superset.gzip)
    cut = project(plain, source, narrow) if len(plain) <= MAX_SUPERSET_BYTES else None
    if cut is None:
        return None
    own = stored_tags(request.match, request.query_names, cut.subject, known)
    return replace(
        superset,
        key=request.key,
        body=cut.body,
        gzip=False,
        etag=etag_of(cut.body),
        tags=tuple(sorted({*superset.tags, *own})),
    )
