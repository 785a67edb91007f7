"""Projector: cuts responses out of larger stored ones, and widens requests for parts in demand."""

from dataclasses import replace

from proxy.cache.aliases import AliasResolver
from proxy.cache.freshness import Fresh
from proxy.cache.lookup import LookupResult, StoredLookup
from proxy.cache.projection.containment_index import (
    ContainmentIndex,
    FieldDemand,
    Superset,
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
from proxy.http_semantics.content import identity_length, identity_of
from proxy.http_semantics.target import canonical_query, target_of
from proxy.model import Detail, StoredResponse
from proxy.runtime.clock import Clock
from proxy.runtime.offload import run_if_large
from proxy.trello.message import ApiRequest
from proxy.trello.object_ids import ObjectInfo
from proxy.trello.routes import Match
from proxy.trello.tags import stored_tags

MAX_SUPERSET_BYTES = 1 << 20
"""Projects nothing from a larger response."""


class Projector:
    """Projects responses from larger stored ones, and widens requests for parts in demand."""

    def __init__(
        self, responses: ResponseStore, lookup: StoredLookup, aliases: AliasResolver, clock: Clock
    ) -> None:
        self._responses = responses
        self._lookup = lookup
        self._aliases = aliases
        self._clock = clock
        self._index = ContainmentIndex()
        self._demand = FieldDemand()

    def add_stored(self, request: ApiRequest, stored: StoredResponse, plain: bytes) -> None:
        """Index a response that was just stored; `plain` is its identity form."""
        shape = self._shape(request)
        if shape is None or stored.status != 200 or len(plain) > MAX_SUPERSET_BYTES:
            return
        self._index.add(request.partition, stored.key, request.match, shape)
        if has_items(shape):  # a search over bytes: a millisecond for the longest
            self._index.add_items(request.partition, shape.path[:2], items_in(plain))

    async def find(self, request: ApiRequest) -> LookupResult | None:
        """The projection of a stored, fresh response; None if the request must be forwarded."""
        if request.directives.no_cache or request.directives.no_store:
            return None
        shape = self._shape(request)
        if shape is None:
            return None
        for superset in list(self._index.supersets_of(request.partition, shape)):
            stored = await self._responses.get(superset.key)
            if stored is None:
                continue
            found = await self._project(request, shape, superset, stored)
            if found is not None:
                return found
        return None

    def widened_request(self, request: ApiRequest) -> ApiRequest | None:
        """The request for all fields, or for all cards of a board, if parts of it are in demand.

        Every call counts this part as requested.
        """
        shape = self._shape(request)
        if shape is None or request.directives != NONE:
            return None
        for wider in (self._for_all_items(request, shape), _for_all_fields(request, shape)):
            wide = self._shape(wider) if wider is not None else None
            if wide and self._demand.is_in_demand(
                request.partition, shape, wide, self._clock.monotonic()
            ):
                return wider
        return None

    async def from_widened(
        self, request: ApiRequest, wider: ApiRequest, stored: StoredResponse
    ) -> StoredResponse | None:
        """The requested part of the wider response; None if it is not contained."""
        shape, wide = self._shape(request), self._shape(wider)
        if shape is None or wide is None:
            return None
        superset = Superset(stored.key, wider.match, Source(wide))
        found = await self._project(request, shape, superset, stored)
        return found.stored if found is not None else None

    def reject_widened(self, wider: ApiRequest) -> None:
        """Do not send the wider request again for a while: it did not help."""
        wide = self._shape(wider)
        if wide is not None:
            self._demand.reject(wider.partition, wide, self._clock.monotonic())

    def _shape(self, request: ApiRequest) -> QueryShape | None:
        """The shape of a request; the same for every name of an object."""
        shape = parse_shape(request.match, request.target.partition("?")[2])
        own_id = self._aliases.lookup(request).id if shape is not None else None
        if shape is None or own_id is None or len(shape.path) < len(("cards", "id")):
            return shape
        return replace(shape, path=(shape.path[0], own_id, *shape.path[2:]))

    def _for_all_items(self, request: ApiRequest, shape: QueryShape) -> ApiRequest | None:
        """The request for the collection that holds the object, if that was read as well."""
        superset = self._index.collection_of(request.partition, shape)
        if superset is None:
            return None
        match, held = superset.match, superset.source.shape
        wide = replace(held, chosen=Chosen.ALL)
        if held.pass_through_params or held.nested or not contains(wide, shape):
            return None
        return request.derive(target=target_of(match.segments, "fields=all"), match=match)

    async def _project(
        self, request: ApiRequest, shape: QueryShape, superset: Superset, stored: StoredResponse
    ) -> LookupResult | None:
        """The part, which is stored as well; None unless `stored` is fresh for both routes."""
        ttl_s = min(self._ttl_s(request, stored, each) for each in (superset.match, request.match))
        if stored.status != 200 or ttl_s <= 0:
            return None
        size = identity_length(stored.body) if stored.gzip else len(stored.body)
        info = self._aliases.lookup(request)
        part = await run_if_large(size, _cut, request, shape, superset.source, stored, info)
        if part is None or not self._responses.put(part):
            return None
        return LookupResult(request, part, Fresh(ttl_s), Detail.PROJECTED)

    def _ttl_s(self, request: ApiRequest, stored: StoredResponse, match: Match) -> float:
        """Remaining seconds by a route's lifetimes and the client's directives."""
        verdict = self._lookup.judge(replace(request, match=match), stored)
        return verdict.ttl_s if isinstance(verdict, Fresh) else 0.0


def _for_all_fields(request: ApiRequest, shape: QueryShape) -> ApiRequest | None:
    """The request for all fields of the same, where the route may be widened."""
    if widened(shape, request.match.route.template) is None:
        return None
    parameters = request.target.partition("?")[2].split("&")
    others = [each for each in parameters if not each.startswith("fields=")]
    query = canonical_query("&".join([*others, "fields=all"]))
    return request.derive(target=target_of(request.match.segments, query))


def _cut(
    request: ApiRequest,
    narrow: QueryShape,
    source: Source,
    stored: StoredResponse,
    info: ObjectInfo,
) -> StoredResponse | None:
    """The part, as if it had been requested when the larger response was."""
    plain = identity_of(stored.body, gzip=stored.gzip)
    part = project(plain, source, narrow) if len(plain) <= MAX_SUPERSET_BYTES else None
    if part is None:
        return None
    own_tags = stored_tags(request.match, request.query_names, part.subject, info)
    return replace(
        stored,
        key=request.key,
        body=part.body,
        gzip=False,
        etag=etag_of(part.body),
        tags=tuple(sorted({*stored.tags, *own_tags})),
    )
