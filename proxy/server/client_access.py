"""Client access: which clients may open the proxy's own pages (`clients.access`)."""

from functools import wraps

from aiohttp import web

from proxy.access.authentication import Authentication
from proxy.credentials.extraction import read_authorization, strip_query
from proxy.server.middleware import Handler
from proxy.server.request_context import RequestContext
from proxy.server.response import WireResponse


class ClientAccess:
    """Identifies the client of a page by its query and Authorization field."""

    def __init__(self, authentication: Authentication) -> None:
        self._authentication = authentication

    def identified(self, handler: Handler) -> Handler:
        """The handler, once the client is identified; ClientKeyRequired for an invalid key."""

        @wraps(handler)
        async def handle(request: web.BaseRequest, context: RequestContext) -> WireResponse:
            _, in_query = strip_query(request.raw_path.partition("?")[2])
            in_header = read_authorization(request.headers.get("Authorization"))
            context.identify(self._authentication.find((in_header, in_query)), ())
            return await handler(request, context)

        return handle

    def only(self, route: str, handler: Handler) -> Handler:
        """The handler for clients that may send requests; ClientKeyRequired for others.

        `route` is for the log, also of a refused request.
        """

        @self.identified
        async def checked(request: web.BaseRequest, context: RequestContext) -> WireResponse:
            self._authentication.check(context.client)
            return await handler(request, context)

        @wraps(handler)
        async def handle(request: web.BaseRequest, context: RequestContext) -> WireResponse:
            context.route = route
            return await checked(request, context)

        return handle
