"""What the operator asks: metrics, health, purge."""

import asyncio
import hmac
import json
from collections.abc import Mapping
from functools import partial, wraps

from aiohttp import web

from proxy.cache.invalidation import Invalidator
from proxy.errors import AdminOnly, InvalidTarget, MethodNotAllowed
from proxy.http_semantics.cache_control import NONE
from proxy.http_semantics.fields import serialize
from proxy.http_semantics.target import (
    host_name,
)
from proxy.model import Priority
from proxy.observability.exposition import render
from proxy.observability.metrics import Metrics
from proxy.pages.credential_usage import (
    Row,
    credential_usage_json,
    credential_usage_page,
    credential_usage_text,
)
from proxy.pages.explain import (
    explain_json,
    explain_page,
    explain_text,
    target_of_url,
    url_parameter,
)
from proxy.server.credential_usage import CredentialUsage
from proxy.server.loopback import is_local
from proxy.server.middleware import Handler
from proxy.server.negotiation import negotiated_response
from proxy.server.request_context import RequestContext
from proxy.server.request_parser import RequestParser
from proxy.server.response import WireResponse
from proxy.status.explain import Explainer
from proxy.status.health import Health
from proxy.trello.tags import EVERYTHING


class AdminAccess:
    """Who has the admin token where there is one, else the machine itself."""

    def __init__(self, token: str | None) -> None:
        self._token = token

    def admits(self, request: web.BaseRequest) -> bool:
        """Whether it is the operator who asks."""
        headers = request.headers
        if self._token is not None:
            given = headers.get("Authorization", "").encode("utf-8", "surrogateescape")
            return hmac.compare_digest(given, f"Bearer {self._token}".encode())
        return is_local(request.remote or "", host_name(headers.get("Host", "")), headers)

    def only(self, route: str, handler: Handler) -> Handler:
        """The handler of a route, which answers NotAdmin to anybody else."""

        @wraps(handler)
        async def handle(request: web.BaseRequest, record: RequestContext) -> WireResponse:
            record.route = route
            if not self.admits(request):
                raise AdminOnly(self._cure)
            return await handler(request, record)

        return handle

    @property
    def _cure(self) -> str:
        if self._token is not None:
            return "Send admin.token of proxy.yaml as `Authorization: Bearer …`."
        return (
            "Ask on the proxy's own machine, by 127.0.0.1 or localhost and through nothing in "
            "front; or set admin.token or admin.listen in proxy.yaml."
        )


METRICS, PURGE = "/metrics", "/-/purge"
_NO_STORE = ("Cache-Control", "no-store")


class AdminHandler:
    """The proxy's own pages; none of them asks Trello anything."""

    def __init__(self, metrics: Metrics, health: Health, invalidator: Invalidator) -> None:
        self._metrics = metrics
        self._health = health
        self._invalidator = invalidator

    async def metrics(self, request: web.BaseRequest, record: RequestContext) -> WireResponse:
        """All metrics; rendered in a thread, during which the event loop serves requests."""
        record.route = METRICS
        accept = request.headers.get("Accept", "")
        media_type, body = await asyncio.to_thread(render, self._metrics, accept)
        return WireResponse(200, serialize((("Content-Type", media_type), _NO_STORE)), body)

    async def healthz(self, _: web.BaseRequest, record: RequestContext) -> WireResponse:
        """The loop turns."""
        record.route = "/healthz"
        return _json({"status": "ok"})

    async def readyz(self, _: web.BaseRequest, record: RequestContext) -> WireResponse:
        """Requests are answered, though perhaps not as well as they should be; else 503."""
        record.route = "/readyz"
        report = self._health.report()
        status = 503 if report.status == "down" else 200
        return _json({"status": report.status, **report.parts}, status)

    async def purge(self, request: web.BaseRequest, record: RequestContext) -> WireResponse:
        """Forget everything stored."""
        record.route = PURGE
        if request.method != "POST":
            raise MethodNotAllowed("Use POST.", "POST, OPTIONS")
        self._invalidator.invalidate({EVERYTHING}, "purge")
        await self._invalidator.flush()
        return _json({"purged": "everything"})


def _json(value: Mapping[str, str | float | None], status: int = 200) -> WireResponse:
    fields = (("Content-Type", "application/json"), _NO_STORE)
    return WireResponse(status, serialize(fields), json.dumps(value).encode() + b"\n")


EXPLAIN = "/-/explain"


def explain_handler(explain: Explainer, parser: RequestParser) -> Handler:
    """What answers there; what clients may not do is refused as they would be."""

    async def handle(request: web.BaseRequest, record: RequestContext) -> WireResponse:
        record.route = EXPLAIN
        url = url_parameter(request.raw_path.partition("?")[2])
        if not url:
            raise InvalidTarget(f"Name a request: {EXPLAIN}?url=/1/boards/…")
        api_request = parser.internal_get(target_of_url(url), NONE, Priority.API)
        parts = parser.batch_parts(api_request)
        parser.permission.check(api_request, parts)
        explained = await explain.explain(api_request, parts)
        return negotiated_response(
            request,
            page=partial(explain_page, explained),
            json=partial(explain_json, explained),
            text=partial(explain_text, explained),
        )

    return handle


CLIENT_CREDENTIALS = "/-/client-credentials"


def credential_usage_handler(credential_usage: CredentialUsage) -> Handler:
    """What answers there."""

    async def handle(request: web.BaseRequest, record: RequestContext) -> WireResponse:
        record.route = CLIENT_CREDENTIALS
        rows = [
            Row(
                each.client,
                each.location,
                each.owner,
                each.count,
                each.first_seen_at,
                each.last_seen_at,
            )
            for each in credential_usage.usages
        ]
        return negotiated_response(
            request,
            page=partial(credential_usage_page, rows),
            json=partial(credential_usage_json, rows),
            text=partial(credential_usage_text, rows),
        )

    return handle
