"""What clients may do in the stored account's name, by `clients.writes`."""

from collections.abc import Iterator

from proxy.config.schema import Clients
from proxy.errors import (
    Administrative,
    TokenProtected,
    WritesDenied,
)
from proxy.model import Kind
from proxy.trello.message import ApiRequest
from proxy.trello.privileges import why_administrative, why_batch
from proxy.trello.routes import (
    UNKNOWN,
    Match,
    RouteTable,
)
from proxy.trello.tunnel import check_call

_TO_THE_TOKEN = frozenset({"/tokens/{token}", UNKNOWN})
"""Templates of writes to a token itself, as far as is known."""


class WritePermission:
    """Judges requests; what a client asks with its own credential is between it and Trello."""

    def __init__(self, clients: Clients, table: RouteTable) -> None:
        self.keyless = not clients.requires_credentials
        """Whether the stored account answers who sends no key and token."""
        self._writes = clients.writes
        self._allows_jsonp = clients.jsonp == "allow"
        self._table = table

    def check(self, request: ApiRequest, parts: tuple[ApiRequest, ...] = ()) -> None:
        """WritesDenied, JsonpDenied, TokenKept or Administrative unless it may be served.

        `parts`: the reads that a batch lists; without them it is sent as it came.
        """
        if request.method == "GET" and not self._allows_jsonp:
            check_call(request.query_names)
        self.check_kind(request.match)
        is_write = request.match.route.kind is Kind.WRITE
        if not request.uses_stored_credential:
            return
        if (
            is_write
            and request.match.secret_positions
            and request.match.route.template in _TO_THE_TOKEN
        ):
            raise TokenProtected("Revoke the proxy's token at https://trello.com/my/account.")
        if self._writes != "all":
            for about in filter(None, self._abouts(request, parts)):
                raise Administrative(about)

    def check_kind(self, match: Match) -> None:
        """WritesDenied for a write where there are none; known before its body is read."""
        if match.route.kind is Kind.WRITE and self._writes == "deny":
            raise WritesDenied("Ask the operator; clients.writes in proxy.yaml is `deny`.")

    def _abouts(self, request: ApiRequest, parts: tuple[ApiRequest, ...]) -> Iterator[str]:
        yield from map(_about, parts or (request,))
        if request.match.route.kind is Kind.BATCH and not parts:
            yield why_batch(request.target.partition("?")[2], self._table.classify)


def _about(request: ApiRequest) -> str:
    """Why a request is administrative; empty where it is not."""
    body = request.body if isinstance(request.body, bytes) else b""
    return why_administrative(
        request.effective_method,
        request.match,
        request.target.partition("?")[2],
        body,
        tunnelled=request.method == "GET" and request.effective_method != "GET",
        streamed=request.body is not None and not isinstance(request.body, bytes),
    )
