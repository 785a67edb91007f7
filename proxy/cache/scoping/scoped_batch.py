"""Scoped batch: the parts of a batch for a client with a scope, each as a read of its own."""

from collections.abc import Sequence
from dataclasses import replace

from proxy.access.visible import NotVisible, Visible
from proxy.cache.batch import BatchService
from proxy.cache.scoping.internal_reads import body_of
from proxy.cache.scoping.scoped_service import ScopedService, with_query
from proxy.errors import OutsideScope
from proxy.http_semantics.cache_control import NONE
from proxy.model import Outcome
from proxy.trello.batch_codec import JSON_HEAD, batch_target, compose_body, make_item
from proxy.trello.message import ApiRequest, ApiResponse


class ScopedBatch:
    """Serves batches of clients with a scope."""

    def __init__(self, reads: ScopedService, batches: BatchService) -> None:
        self._reads = reads
        self._batches = batches

    async def serve(
        self, batch: ApiRequest, parts: Sequence[ApiRequest], visible: Visible
    ) -> ApiResponse:
        """The response to all parts; one that is not visible is refused as Trello would.

        OutsideScope for a list that cannot be read; UpstreamError, NotInCache.
        """
        if not parts:
            raise OutsideScope("List up to ten reads, percent-encoded once.")
        await self._fetch_together(batch, parts, visible)
        directives = NONE if batch.directives.no_cache else batch.directives
        items, outcomes = [], []
        for part in parts:
            status, body, outcome = await self._part(replace(part, directives=directives), visible)
            items.append(make_item(status, body))
            outcomes.append(outcome)
        missed = next((each for each in outcomes if each.fwd is not None), None)
        hits = [each for each in outcomes if each.hit]
        outcome = missed or min(hits, key=_ttl_s, default=Outcome())
        return ApiResponse(200, JSON_HEAD, compose_body(items), outcome)

    async def _fetch_together(
        self, batch: ApiRequest, parts: Sequence[ApiRequest], visible: Visible
    ) -> None:
        """Store the parts that are visible by one upstream request, if several are missing."""
        if batch.directives.no_store:
            return
        wanted = []
        for part in parts:
            try:
                plan = await self._reads.admit(part, visible)
            except (NotVisible, OutsideScope):
                continue
            wanted.append(with_query(part, plan.query))
        if len(wanted) > 1:
            target = batch_target([each.target for each in wanted])
            response = await self._batches.serve(batch.derive(target=target), wanted)
            if not isinstance(response.body, bytes):
                await response.body.aclose()

    async def _part(self, part: ApiRequest, visible: Visible) -> tuple[int, bytes, Outcome]:
        try:
            response = await self._reads.read(part, visible)
        except OutsideScope as error:
            return error.status, str(error).encode(), Outcome()
        return response.status, await body_of(response), response.outcome


def _ttl_s(outcome: Outcome) -> int:
    return outcome.ttl_s or 0
