"""Permission of requests: what clients may do with the stored credential (`clients.writes`). Pure.

A request is administrative by its route, its parameters or its body. What cannot be read before it
is sent counts as administrative (`trello/administrative.py`).
"""

import re
from collections.abc import Iterable, Sequence

from proxy.access.client import Client
from proxy.config.clients import Clients
from proxy.errors import (
    Administrative,
    LinkNotSigned,
    TokenProtected,
    TunnelDenied,
    WritesDenied,
)
from proxy.http_semantics.parameters import (
    METHOD_PARAMETER,
    Parameter,
    read_form,
    root_of,
    words_in_any_encoding,
    words_of,
)
from proxy.links.rewrite import file_in_route
from proxy.model import Kind
from proxy.trello.administrative import ROOTS
from proxy.trello.batch_contents import BatchContents, read_batch
from proxy.trello.message import ApiRequest
from proxy.trello.routes import UNKNOWN, Match, RouteTable
from proxy.trello.tunnel import READS_ONLY, check_call, tunnelled_method

ADDRESS = "A secret address or key of a board"
CREDENTIAL = "A token and its webhooks"
POWER_UP = "A Power-Up"
TUNNEL = "A write that names two methods"
UNREAD = "A board's settings in a body that cannot be read before it is sent"
VISIBILITY = "Who may see, join or write on a board"

_PARAMETERS = frozenset({("POST", "/boards"), ("PUT", "/boards/{id}")})
"""Writes that are administrative by their parameters."""
_FIELDS = frozenset({"closed", "desc", "name", "subscribed"})
"""Fields of a board that give access to nothing when they are written one by one."""
_PREFERENCES = frozenset(
    {"background", "cardaging", "cardcounts", "cardcovers", "hidevotes", "showcompletestatus"}
)
"""Preferences of a board that change how it looks and nothing else."""
_PRIVATE = (("permissionlevel",), ("prefs", "permissionlevel"))
"""Parameters that create a board as a private one."""
_ACCESS = frozenset(
    {
        "calendarfeedenabled",
        "calendarkey",
        "comments",
        "emailkey",
        "identerprise",
        "idmembers",
        "invitations",
        "members",
        "memberships",
        "permissionlevel",
        "prefs",
        "selfjoin",
        "voting",
    }
)
"""Parameters of a board that decide who may see it, join it or write on it."""
_POWER_UPS = frozenset({"boardplugins", "idplugin", "powerups"})
_SECRET = re.compile("calendarkey|emailkey|fullemail|myprefs?|signupurls?|[0-9a-z]*secret[0-9a-z]*")
"""Words that name a secret with which anyone may open a board."""
_CREDENTIALS = re.compile("[0-9a-z]*(?:token|webhook)s?")
_NOTHING = frozenset({"", "0", "false", "none"})
_MAY_SHOW = re.compile("key|email|prefs|secret|signup|token|webhook|%", re.I)
"""A query without any of these requests no secret."""
_TOKEN_ROUTES = frozenset({"/tokens/{token}", UNKNOWN})
"""Templates of writes to the token itself, as far as is known."""


class Permission:
    """What a client's request may do; one with its own credential is judged by Trello alone."""

    def __init__(self, clients: Clients, table: RouteTable, *, signs_links: bool) -> None:
        """`signs_links`: whether an attachment opens by a signed link only."""
        self.is_keyless = not clients.requires_credentials
        """Whether requests without a key and token are served, with the stored credential."""
        self._allows_jsonp = clients.jsonp == "allow"
        self._table = table
        self._signs_links = signs_links

    def check(self, request: ApiRequest, parts: tuple[ApiRequest, ...] = ()) -> None:
        """WritesDenied, JsonpDenied, TunnelDenied, LinkNotSigned, TokenProtected, Administrative.

        `parts`: the reads that a batch lists; without them it is sent as it was received, and
        InvalidTarget if its list cannot be read.
        """
        if request.method == "GET" and not self._allows_jsonp:
            check_call(request.query_names)
        self.check_kind(request.match, request.client)
        contents = BatchContents()
        if request.match.route.kind is Kind.BATCH and not parts:
            contents = read_batch(request.target.partition("?")[2], self._table.classify)
            self._check_batch(contents)
        if not request.uses_stored_credential:
            return
        if (
            request.match.route.kind is Kind.WRITE
            and request.match.secret_positions
            and request.match.route.template in _TOKEN_ROUTES
        ):
            raise TokenProtected("Revoke the proxy's token at https://trello.com/my/account.")
        if request.client.writes != "all":
            for why in filter(None, (*map(_why, parts or (request,)), why_batch(contents))):
                raise Administrative(why)

    def check_kind(self, match: Match, client: Client) -> None:
        """WritesDenied for a write of a client that may send none."""
        if match.route.kind is Kind.WRITE and client.writes == "deny":
            raise WritesDenied("Ask the operator; in proxy.yaml, `writes` is `deny` for you.")

    def _check_batch(self, contents: BatchContents) -> None:
        """A batch may list reads only: nothing would be invalidated after a write in it."""
        if tunnelled_method(contents.parameters):
            raise TunnelDenied(READS_ONLY)
        if not self._allows_jsonp:
            check_call([name for name, _ in contents.parameters])
        if self._signs_links and any(map(file_in_route, contents.paths)):
            raise LinkNotSigned("Ask for a file by its own link; no batch has a signature.")


def _why(request: ApiRequest) -> str:
    """Why a request is administrative; empty if it is not."""
    return why_administrative(
        request.effective_method,
        request.match,
        request.target.partition("?")[2],
        request.body_parameters,
        tunnelled=request.method == "GET" and request.effective_method != "GET",
        streamed=request.body is not None and not isinstance(request.body, bytes),
    )


def why_administrative(
    method: str,
    match: Match,
    query: str,
    body: Sequence[Parameter] = (),
    *,
    tunnelled: bool,
    streamed: bool,
) -> str:
    """Why a request is administrative, as a noun phrase; empty for work on boards.

    `method` is the effective one, `query` is raw, `body` has all parameters of a form or JSON.
    `tunnelled`: a GET that is a write by its `_method`. `streamed`: it has a body that is not read.
    """
    if match.route.administrative:
        return match.route.administrative
    if match.route.kind is not Kind.WRITE:
        parameters = read_form(query) if _MAY_SHOW.search(query) else []
        return _why_path(match) or _secret_requested(parameters)
    parameters = [*read_form(query), *body]
    if (method, match.route.template) in _PARAMETERS:
        if streamed:
            return UNREAD
        for name, value in parameters:
            for words in words_in_any_encoding(name):
                if why := _access_changed(method, words, value):
                    return why
    return _why_field(match) or _why_methods(parameters, allowed=int(tunnelled))


def why_batch(contents: BatchContents) -> str:
    """Why a batch is administrative that is sent as it was received; empty if it is not."""
    requested = _secret_requested(contents.parameters)
    return requested or next(filter(None, map(_why_path, contents.paths)), "")


def _why_path(match: Match) -> str:
    """Why a read is administrative by its path: a segment of an unknown one, or its field."""
    route, segments = match.route, match.segments
    if route.administrative or route.kind is not Kind.READ:
        return route.administrative
    if route.template != UNKNOWN:
        return _secret_in(segments[-1]) if route.template.endswith("{field}") else ""
    if match.secret_positions:
        return CREDENTIAL
    roots = [ROOTS.get(f"{word.removesuffix('s')}s") for word in words_of("".join(segments[:1]))]
    return next(filter(None, (*roots, *map(_secret_in, segments))), "")


def _secret_requested(parameters: Iterable[Parameter]) -> str:
    """The secret that these parameters request along with a response."""
    for name, value in parameters:
        nested = _secret_in(name)
        if nested and value.strip().lower() not in _NOTHING:
            return nested
        readings = words_in_any_encoding(name)
        is_fields = any(word.endswith("fields") for words in readings for word in words)
        if is_fields and (secret := _secret_in(value)):
            return secret
    return ""


def _secret_in(text: str) -> str:
    """The secret that a word of this text names, also if it is encoded several times."""
    words = (word for reading in words_in_any_encoding(text) for word in reading)
    return next(filter(None, map(_secret_of, words)), "")


def _secret_of(word: str) -> str:
    if _SECRET.fullmatch(word):
        return ADDRESS
    return CREDENTIAL if _CREDENTIALS.fullmatch(word) else ""


def _why_field(match: Match) -> str:
    """Why a write to one field of a board is administrative."""
    known = {"/boards/{id}/{field}": _FIELDS, "/boards/{id}/prefs/{field}": _PREFERENCES}
    harmless = known.get(match.route.template)
    if harmless is None or match.segments[-1].lower() in harmless:
        return ""
    return VISIBILITY


def _access_changed(method: str, words: Sequence[str], value: str) -> str:
    """The access that a parameter of a board, by the words of its name, may give or remove."""
    if method == "POST" and words in _PRIVATE and value == "private":
        return ""
    if words[:1] == ("prefs",) and len(words) == 2 and words[1] in _PREFERENCES:
        return ""
    if _POWER_UPS.intersection(words):
        return POWER_UP
    is_moved = method == "PUT" and "idorganization" in words
    return VISIBILITY if is_moved or _ACCESS.intersection(words) else ""


def _why_methods(parameters: Iterable[Parameter], *, allowed: int) -> str:
    """Why a write is that names a second method: which of them Trello uses is not known."""
    named = sum(root_of(name) == METHOD_PARAMETER for name, _ in parameters)
    return TUNNEL if named > allowed else ""
