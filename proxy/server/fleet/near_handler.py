"""Near handler: reads that a follower serves from its near cache (D72).

A read is parsed and permitted as the leader would, by the same settings. What needs more than the
stored response is relayed: another method or kind, directives, a scope, credentials that are
forwarded, an entry in the audit log, and whatever is refused.
"""

from dataclasses import replace

from aiohttp import web

from proxy.cache.policy import MAX_SAMPLE_BYTES, age_of
from proxy.errors import ProxyError
from proxy.fleet.near import Near, NearResponse
from proxy.http_semantics.cache_control import NONE, cache_status
from proxy.model import CacheKey, Outcome
from proxy.runtime.clock import Clock
from proxy.server.handlers.api import render_stored
from proxy.server.request_context import RequestContext
from proxy.server.request_parser import RequestParser, directives_of
from proxy.server.response import CachedHit, WireResponse
from proxy.trello.message import ApiRequest
from proxy.trello.routes import Handling, handling_of

_SAFE = frozenset({"GET", "HEAD"})


class NearHandler:
    """Handler of reads at a node that follows."""

    def __init__(
        self, near: Near, parser: RequestParser, clock: Clock, *, counts_credentials: bool = True
    ) -> None:
        """`parser`: of this node's own settings; its credential is never sent.

        `counts_credentials`: whether requests that carry one are served here; whose it is, is
        counted, and a worker does not know.
        """
        self._counts_credentials = counts_credentials
        self._near = near
        self._parser = parser
        self._clock = clock

    async def serve(
        self, request: web.BaseRequest, context: RequestContext
    ) -> tuple[WireResponse | None, CacheKey | None]:
        """The response; None: relay it. Then the key under which the response may be kept."""
        is_plain_read = request.method in _SAFE and not request.body_exists
        is_of_api = is_plain_read and request.raw_path.startswith("/1/")
        if not (self._near.term and is_of_api and directives_of(request) == NONE):
            return None, None
        before = replace(context)
        api_request = await self._parse(request, context)
        kept = self._near.find(api_request.key) if api_request is not None else None
        if kept is not None and self._near.wants_sample and _may_verify(kept):
            self._near.wants_sample, kept = False, None
        if kept is not None:
            return self._respond(request, context, kept), None
        # What the leader finds in the request counts, once.
        context.client = before.client
        context.credentials_sent = before.credentials_sent
        context.credential_counters = before.credential_counters
        context.is_audited = before.is_audited
        if api_request is None or request.method != "GET":
            return None, None
        return None, api_request.key

    async def _parse(self, request: web.BaseRequest, context: RequestContext) -> ApiRequest | None:
        """The request, if any client's response to it may be used; None: the leader decides."""
        try:
            parsed, _ = await self._parser.parse(request, context)
            self._parser.permission.check(parsed, ())
        except ProxyError:
            return None
        is_cached = handling_of(parsed.match, parsed.query_names) is Handling.CACHED_READ
        is_for_all = parsed.uses_stored_credential and parsed.client.scope is None
        is_ordinary = not context.is_audited and not parsed.match.secret_positions
        if not self._counts_credentials and any(e.locations for e in context.credentials_sent):
            return None
        return parsed if is_cached and is_for_all and is_ordinary else None

    def _respond(
        self, request: web.BaseRequest, context: RequestContext, kept: NearResponse
    ) -> WireResponse:
        now = self._clock.now()
        ttl_s = kept.lifetime_s - age_of(kept.requested_at, now)
        context.outcome = Outcome(hit=True, ttl_s=int(ttl_s))
        memory = self._near.store.memory
        response = render_stored(request.headers, context.hold, kept, memory, now)
        response.dynamic_headers += b"Cache-Status: %b\r\n" % cache_status(context.outcome).encode()
        response.hit = CachedHit(
            stored=kept,
            shown=kept,
            lifetime_s=kept.lifetime_s,
            is_watched=kept.is_watched,
            verifier=self._near if _may_verify(kept) else None,
        )
        return response


def _may_verify(kept: NearResponse) -> bool:
    return len(kept.body) <= MAX_SAMPLE_BYTES
