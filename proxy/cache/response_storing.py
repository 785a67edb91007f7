"""What becomes of an answer that arrived: is it one, may it be stored, and under which names?"""

import math
from collections.abc import Callable
from dataclasses import replace
from typing import assert_never

from proxy.cache.aliases import AliasResolver
from proxy.cache.projection.projector import Projector
from proxy.cache.results import NotStored, Stored, make_stored
from proxy.cache.storability import (
    NOT_FOUND_LIFETIME_S,
    Storable,
    Unstorable,
    may_store,
    why_unusable,
)
from proxy.cache.store.store import ResponseStore
from proxy.credentials.extraction import response_contains
from proxy.errors import InvalidResponse
from proxy.http_semantics.fields import serialize
from proxy.links.rewrite import rewrite_client_js
from proxy.model import (
    CacheKey,
    Detail,
    Kind,
    StoredResponse,
)
from proxy.observability.metrics import Metrics, count
from proxy.trello.failures import is_upstream_failure
from proxy.trello.message import ApiRequest, missing_key
from proxy.trello.routes import UNKNOWN
from proxy.trello.tags import stored_tags
from proxy.upstream.exchange import BufferedResponse

_INVALIDATING_STATUSES = frozenset({401, 403, 410})
"""After these what was stored is no longer this member's to see."""


class ResponseStorer:
    """Stores answers, and has others learn from them."""

    def __init__(
        self,
        responses: ResponseStore,
        aliases: AliasResolver,
        project: Projector,
        public_url: str,
        metrics: Metrics,
    ) -> None:
        self._responses = responses
        self._projector = project
        self._public_url = public_url
        self._metrics = metrics
        self._aliases = aliases
        self.on_stored: list[Callable[[ApiRequest, StoredResponse], None]] = []
        """Told of every answer that is stored, once it is."""

    async def store(
        self, request: ApiRequest, whole: BufferedResponse, requested_at: float, seq: int
    ) -> Stored | NotStored:
        """Store what Trello answered at that time and `seq`, if it may be stored."""
        if whole.status == 200:
            await self._aliases.learn(request, whole.plain, requested_at, seq)
        tags = stored_tags(
            request.match, request.query_names, whole.plain, self._aliases.lookup(request)
        )
        verdict = may_store(
            whole.status,
            request.match.route.lifetimes,
            tags,
            no_store=request.directives.no_store,
            echoes=not request.uses_stored_credential
            and response_contains(request.credential, serialize(whole.fields) + whole.plain),
        )
        match verdict:
            case Storable():
                stored = make_stored(request, whole, tags, requested_at, seq)
                if stored.status == 404:
                    await self.mark_missing(request, stored.asked)
                kept = self._keep(request, stored)
                if kept is None:
                    return self._not_stored(request, whole, Detail.INVALIDATED)
                self._projector.add_stored(request, kept.stored, whole.plain)
                return kept
            case Unstorable(reason):
                is_word = not is_upstream_failure(
                    whole.status, whole.plain, own=request.uses_stored_credential
                )
                if whole.status in _INVALIDATING_STATUSES and is_word:
                    self.forget(request)
                return self._not_stored(request, whole, reason)
            case never:
                assert_never(never)

    def _keep(self, request: ApiRequest, stored: StoredResponse) -> Stored | None:
        """Kept, once for every key it is found by; None when it was invalidated meanwhile."""
        is_missing = stored.status == 404
        keys = (
            (missing_key(spelling_key(request)),)
            if is_missing
            else self._aliases.storage_keys(request)
        )
        kept = [replace(stored, key=key) for key in keys]
        if not all(self._responses.put(each) for each in kept):
            return None
        for tell in self.on_stored:
            tell(request, kept[0])
        return Stored(kept[0])

    async def mark_missing(self, request: ApiRequest, asked: tuple[int, float]) -> None:
        """Trello answered 404: what is stored is stale, and removed by a second one (D45).

        What is stored under the object's id stays where only a name of it may be gone.
        """
        await self._responses.mark_missing(spelling_key(request), asked, NOT_FOUND_LIFETIME_S)
        if request.spelled_key is not None:
            confirmed_s = (
                math.inf if self._aliases.lookup(request).is_mutable else NOT_FOUND_LIFETIME_S
            )
            await self._responses.mark_missing(request.key, asked, confirmed_s)

    def forget(self, request: ApiRequest) -> None:
        """Forget what is stored for it."""
        for key in {request.key, spelling_key(request)}:
            self._responses.drop(key)

    def _not_stored(
        self, request: ApiRequest, whole: BufferedResponse, reason: Detail
    ) -> NotStored:
        count(self._metrics.not_stored, reason)
        return NotStored(whole, reason, spelling_key(request))

    def validate(self, request: ApiRequest, whole: BufferedResponse) -> BufferedResponse:
        """The answer, pointed at us where it is Trello's script; Unusable when it is none."""
        if whole.status != 200 or request.match.route.template == UNKNOWN:
            return whole
        kind = request.match.route.kind
        reason = why_unusable(kind, whole.content_type, whole.plain)
        if reason is not None:
            raise InvalidResponse(f"Trello sent {reason}; try again later.")
        if kind is Kind.SCRIPT:
            script = rewrite_client_js(whole.plain, self._public_url)
            return replace(whole, body=script, plain=script, gzip=False)
        return whole


def spelling_key(request: ApiRequest) -> CacheKey:
    """The key of the spelling that was used."""
    return request.spelled_key or request.key
