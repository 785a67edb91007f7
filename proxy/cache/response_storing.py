"""Response storing: whether a response is usable, may be stored, and under which keys."""

import math
from collections.abc import Callable
from dataclasses import replace

from proxy.cache.aliases import AliasResolver
from proxy.cache.policy import (
    NOT_FOUND_LIFETIME_S,
    is_invalidating,
    lifetimes_for,
    why_not_stored,
    why_unusable,
)
from proxy.cache.projection.projector import Projector
from proxy.cache.results import NotStored, Stored
from proxy.cache.store.store import FollowerBarrier, ResponseStore
from proxy.credentials.extraction import response_contains
from proxy.errors import InvalidResponse
from proxy.http_semantics.conditional import etag_of
from proxy.http_semantics.fields import serialize, to_store
from proxy.links.rewrite import rewrite_client_js
from proxy.model import Detail, Kind, RequestTime, StoredResponse, Tag
from proxy.observability.metrics import Metrics, count
from proxy.runtime.clock import Clock
from proxy.runtime.tasks import run_if_large
from proxy.trello.message import ApiRequest, missing_key
from proxy.trello.routes import UNKNOWN
from proxy.trello.tags import stored_tags
from proxy.upstream.exchange import BufferedResponse


def make_stored(
    request: ApiRequest, fetched: BufferedResponse, tags: tuple[Tag, ...], requested: RequestTime
) -> StoredResponse:
    """What is stored of a response to a request sent at `requested`."""
    return StoredResponse(
        key=request.key,
        status=fetched.status,
        head=serialize(to_store(fetched.fields)),
        body=fetched.body,
        gzip=fetched.gzip,
        etag=etag_of(fetched.plain),
        requested_at=requested.at,
        requested_seq=requested.seq,
        tags=tags,
        usable_s=lifetimes_for(fetched.status, request.match.route.lifetimes).usable_s,
    )


class ResponseStorer:
    """Stores responses, learns aliases from them, and removes what a refusal makes unusable."""

    def __init__(
        self,
        *,
        responses: ResponseStore,
        aliases: AliasResolver,
        projector: Projector,
        public_url: str,
        on_stored: Callable[[ApiRequest, StoredResponse], None],
        clock: Clock,
        metrics: Metrics,
    ) -> None:
        """`on_stored` is called with every response that is stored, once it is."""
        self._responses = responses
        self._aliases = aliases
        self._projector = projector
        self._public_url = public_url
        self._on_stored = on_stored
        self._clock = clock
        self._metrics = metrics

    @property
    def seq(self) -> int:
        """The store's `seq`, which advances with every invalidation."""
        return self._responses.seq

    @property
    def barrier(self) -> FollowerBarrier | None:
        """As ResponseStore.barrier."""
        return self._responses.barrier

    def now(self) -> RequestTime:
        """The time of a request that is about to be sent."""
        return RequestTime(self._responses.seq, self._clock.now())

    async def store(
        self, request: ApiRequest, fetched: BufferedResponse, requested: RequestTime
    ) -> Stored | NotStored:
        """Store the response to a request sent at `requested`, if it may be stored."""
        status = fetched.status
        if status == 200:
            await self._aliases.learn(request, fetched.plain, requested)
        else:
            await self.apply_refusal(request, status, fetched.plain, requested)
        reason = why_not_stored(
            status,
            request.match.route.lifetimes,
            no_store=request.directives.no_store,
            echoes=not request.uses_stored_credential
            and response_contains(request.credential, serialize(fetched.fields) + fetched.plain),
        )
        if reason is not None:
            return self._not_stored(request, fetched, reason)
        info = self._aliases.lookup(request)
        tags = stored_tags(request.match, request.query_names, fetched.plain, info)
        made = await run_if_large(
            len(fetched.plain), make_stored, request, fetched, tags, requested
        )
        stored = self._put(request, made)
        if stored is None:
            return self._not_stored(request, fetched, Detail.INVALIDATED)
        await self._projector.add_stored(request, stored, fetched.plain)
        return Stored(stored)

    async def apply_refusal(
        self, request: ApiRequest, status: int, body: bytes, requested: RequestTime
    ) -> None:
        """Remove what is stored for a request that Trello refused; or mark it stale (D45).

        After a first 404 it is stale, after a second one removed. What is stored under the object's
        id stays where only a name of the object may be gone.
        """
        if is_invalidating(status, body, own=request.uses_stored_credential):
            for key in {request.key, request.spelling_key}:
                self._responses.drop(key)
        if status != 404:
            return
        await self._responses.mark_missing(request.spelling_key, requested, NOT_FOUND_LIFETIME_S)
        if request.spelled_key is not None:
            is_mutable = self._aliases.lookup(request).is_mutable
            confirmed_s = math.inf if is_mutable else NOT_FOUND_LIFETIME_S
            await self._responses.mark_missing(request.key, requested, confirmed_s)

    def validate(self, request: ApiRequest, fetched: BufferedResponse) -> BufferedResponse:
        """The response, with Trello's script pointed at the proxy; InvalidResponse if unusable."""
        if fetched.status != 200 or request.match.route.template == UNKNOWN:
            return fetched
        kind = request.match.route.kind
        reason = why_unusable(kind, fetched.content_type, fetched.plain)
        if reason is not None:
            raise InvalidResponse(f"Trello sent {reason}; try again later.")
        if kind is Kind.SCRIPT:
            script = rewrite_client_js(fetched.plain, self._public_url)
            return replace(fetched, body=script, plain=script, gzip=False)
        return fetched

    def count_not_stored(self, reason: Detail) -> None:
        """Count a response that is not stored."""
        count(self._metrics.not_stored, reason)

    def _put(self, request: ApiRequest, stored: StoredResponse) -> StoredResponse | None:
        """Store it under every key it is found by; None when it was invalidated meanwhile."""
        is_missing = stored.status == 404
        keys = (
            (missing_key(request.spelling_key),)
            if is_missing
            else self._aliases.storage_keys(request)
        )
        copies = [replace(stored, key=key) for key in keys]
        if not all(self._responses.put(each) for each in copies):
            return None
        self._on_stored(request, copies[0])
        return copies[0]

    def _not_stored(
        self, request: ApiRequest, fetched: BufferedResponse, reason: Detail
    ) -> NotStored:
        self.count_not_stored(reason)
        return NotStored(fetched, reason, request.spelling_key)
