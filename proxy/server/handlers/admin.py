"""Admin routes for the operator: metrics, health, explain, client credentials."""

import asyncio
import hmac
import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import partial, wraps

from aiohttp import web

from proxy.access.authentication import Authentication
from proxy.cache.scoping.scoping import Scoping
from proxy.credentials.extraction import strip_url
from proxy.errors import AdminOnly, InvalidTarget, NotFound
from proxy.http_semantics.cache_control import NONE
from proxy.http_semantics.fields import serialize
from proxy.http_semantics.target import host_name
from proxy.model import Priority
from proxy.observability.metrics import Metrics
from proxy.pages.audit import audit_json, audit_page, audit_text
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
from proxy.pages.layout import PAGE_FIELDS
from proxy.server.audit_log import AuditLog
from proxy.server.credential_usage import CredentialUsage
from proxy.server.loopback import is_local
from proxy.server.middleware import Handler
from proxy.server.negotiation import negotiated_response, wants_page
from proxy.server.request_context import RequestContext
from proxy.server.request_parser import RequestParser
from proxy.server.response import WireResponse
from proxy.status.explain import Explainer
from proxy.status.health import Health

METRICS = "/metrics"
HEALTHZ = "/healthz"
READYZ = "/readyz"
EXPLAIN = "/-/explain"
CLIENT_CREDENTIALS = "/-/client-credentials"
AUDIT = "/-/audit"
_NO_STORE = ("Cache-Control", "no-store")


class AdminAccess:
    """Access to admin routes: by `admin.token`, or without one from this machine only."""

    def __init__(self, token: str | None) -> None:
        self._token = token

    def admits(self, request: web.BaseRequest) -> bool:
        """Whether the request may use admin routes."""
        headers = request.headers
        if self._token is not None:
            sent = headers.get("Authorization", "").encode("utf-8", "surrogateescape")
            return hmac.compare_digest(sent, f"Bearer {self._token}".encode())
        return is_local(request.remote or "", host_name(headers.get("Host", "")), headers)

    def only(self, route: str, handler: Handler) -> Handler:
        """`handler` for admitted requests, AdminOnly for others; `route` is for the log."""

        @wraps(handler)
        async def handle(request: web.BaseRequest, context: RequestContext) -> WireResponse:
            context.route = route
            if not self.admits(request):
                raise AdminOnly(self._remedy)
            return await handler(request, context)

        return handle

    @property
    def _remedy(self) -> str:
        if self._token is not None:
            return "Send admin.token of proxy.yaml as `Authorization: Bearer …`."
        return (
            "Send it from the proxy's own machine, to 127.0.0.1 or localhost and without a reverse "
            "proxy; or set admin.token or admin.listen in proxy.yaml."
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class AdminHandler:
    """Handlers of the admin routes; none of them sends an upstream request."""

    metrics: Metrics
    health: Health
    explainer: Explainer
    parser: RequestParser
    scoping: Scoping
    authentication: Authentication
    credential_usage: CredentialUsage
    audit: AuditLog

    async def show_metrics(self, request: web.BaseRequest, context: RequestContext) -> WireResponse:
        """All metrics, rendered in a thread, off the event loop."""
        context.route = METRICS
        accept = request.headers.get("Accept", "")
        if self.metrics.refresh is not None:
            await self.metrics.refresh()
        media_type, body = await asyncio.to_thread(self.metrics.render, accept)
        return WireResponse(200, serialize((("Content-Type", media_type), _NO_STORE)), body)

    async def healthz(self, _: web.BaseRequest, context: RequestContext) -> WireResponse:
        """Liveness probe: 200."""
        context.route = HEALTHZ
        return _json({"status": "ok"})

    async def readyz(self, _: web.BaseRequest, context: RequestContext) -> WireResponse:
        """Readiness probe: 200 for `ready` and `degraded`, 503 for `down`."""
        context.route = READYZ
        report = self.health.report()
        status = 503 if report.status == "down" else 200
        return _json({"status": report.status, **report.parts}, status)

    async def explain(self, request: web.BaseRequest, context: RequestContext) -> WireResponse:
        """What the proxy would do with a GET of `?url=`, in a browser also a form for it.

        Raises as that request would.
        """
        context.route = EXPLAIN
        url = url_parameter(request.raw_path.partition("?")[2])
        if not url and wants_page(request):
            return WireResponse(200, serialize(PAGE_FIELDS), explain_page(None))
        if not url:
            raise InvalidTarget(f"Name a request: {EXPLAIN}?url=/1/boards/…")
        target = target_of_url(url)
        if not target.startswith("/1/"):
            raise NotFound(f"Name a request of the API, below /1/: {EXPLAIN}?url=/1/boards/…")
        api_request = self.parser.internal_get(target, NONE, Priority.API, context.client)
        parts = self.parser.batch_parts(api_request)
        self.parser.permission.check(api_request, parts)
        for each in parts or (api_request,):
            await self.scoping.check_known(each)
        explanation = replace(
            await self.explainer.explain(api_request, parts),
            is_admitted=self.authentication.admits(context.client),
        )
        return negotiated_response(
            request,
            page=partial(explain_page, explanation, strip_url(url)),
            json=partial(explain_json, explanation),
            text=partial(explain_text, explanation),
        )

    async def client_credentials(
        self, request: web.BaseRequest, context: RequestContext
    ) -> WireResponse:
        """The clients that still send a key or a token."""
        context.route = CLIENT_CREDENTIALS
        rows = [
            Row(
                client=usage.client,
                location=usage.location,
                owner=usage.owner,
                requests=usage.count,
                first_seen_at=usage.first_seen_at,
                last_seen_at=usage.last_seen_at,
            )
            for usage in self.credential_usage.usages
        ]
        return negotiated_response(
            request,
            page=partial(credential_usage_page, rows),
            json=partial(credential_usage_json, rows),
            text=partial(credential_usage_text, rows),
        )

    async def show_audit(self, request: web.BaseRequest, context: RequestContext) -> WireResponse:
        """The last entries of the audit log, newest first."""
        context.route = AUDIT
        entries = tuple(reversed(self.audit.recent))
        return negotiated_response(
            request,
            page=partial(audit_page, entries),
            json=partial(audit_json, entries),
            text=partial(audit_text, entries),
        )


def _json(value: Mapping[str, str | float | None], status: int = 200) -> WireResponse:
    fields = (("Content-Type", "application/json"), _NO_STORE)
    return WireResponse(status, serialize(fields), json.dumps(value).encode() + b"\n")
