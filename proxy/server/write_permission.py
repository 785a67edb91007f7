"""What clients may do in the stored account's name, by `clients.writes`."""

from proxy.config.schema import Clients
from proxy.errors import (
    Administrative,
    LinkNotSigned,
    TokenProtected,
    TunnelDenied,
    WritesDenied,
)
from proxy.links.rewrite import file_in_route
from proxy.model import Kind
from proxy.trello.batch_contents import BatchContents, read_batch
from proxy.trello.message import ApiRequest
from proxy.trello.privileges import why_administrative, why_batch
from proxy.trello.routes import (
    UNKNOWN,
    Match,
    RouteTable,
)
from proxy.trello.tunnel import READS_ONLY, check_call, tunnelled_method

_TO_THE_TOKEN = frozenset({"/tokens/{token}", UNKNOWN})
"""Templates of writes to a token itself, as far as is known."""


class WritePermission:
    """Judges requests; what a client asks with its own credential is between it and Trello."""

    def __init__(self, clients: Clients, table: RouteTable, *, signs_links: bool) -> None:
        """`signs_links`: whether a file opens by a signed link only."""
        self.keyless = not clients.requires_credentials
        """Whether the stored account answers who sends no key and token."""
        self._writes = clients.writes
        self._allows_jsonp = clients.jsonp == "allow"
        self._table = table
        self._signs_links = signs_links

    def check(self, request: ApiRequest, parts: tuple[ApiRequest, ...] = ()) -> None:
        """WritesDenied, JsonpDenied, TunnelDenied, LinkNotSigned, TokenProtected, Administrative.

        `parts`: the reads that a batch lists; without them it is sent as it came, and InvalidTarget
        where it cannot be told what it lists.
        """
        if request.method == "GET" and not self._allows_jsonp:
            check_call(request.query_names)
        self.check_kind(request.match)
        contents = BatchContents()
        if request.match.route.kind is Kind.BATCH and not parts:
            contents = read_batch(request.target.partition("?")[2], self._table.classify)
            self._check_batch(contents)
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
            for why in filter(None, (*map(_why, parts or (request,)), why_batch(contents))):
                raise Administrative(why)

    def check_kind(self, match: Match) -> None:
        """WritesDenied for a write where there are none; known before its body is read."""
        if match.route.kind is Kind.WRITE and self._writes == "deny":
            raise WritesDenied("Ask the operator; clients.writes in proxy.yaml is `deny`.")

    def _check_batch(self, contents: BatchContents) -> None:
        """Nothing but reads may be in a batch, whoever asks: what they change nobody would know."""
        if tunnelled_method(contents.parameters):
            raise TunnelDenied(READS_ONLY)
        if not self._allows_jsonp:
            check_call([name for name, _ in contents.parameters])
        if self._signs_links and any(map(file_in_route, contents.paths)):
            raise LinkNotSigned("Ask for a file by its own link; no batch has a signature.")


def _why(request: ApiRequest) -> str:
    """Why a request is administrative; empty where it is not."""
    return why_administrative(
        request.effective_method,
        request.match,
        request.target.partition("?")[2],
        request.body_parameters,
        tunnelled=request.method == "GET" and request.effective_method != "GET",
        streamed=request.body is not None and not isinstance(request.body, bytes),
    )
