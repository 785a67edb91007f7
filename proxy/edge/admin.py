"""Who may use the operator's routes."""

import hmac
from functools import wraps

from aiohttp import web

from proxy.edge.door import Handler
from proxy.edge.record import RequestContext
from proxy.edge.rendered import WireResponse
from proxy.errors import AdminOnly
from proxy.policy.guard import host_name
from proxy.policy.local import is_local


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
