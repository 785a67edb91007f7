"""Is a request administrative? By its route, its parameters and its body. Pure.

What cannot be read before it is sent counts as administrative (`trello/administrative.py`).
"""

import re
from collections.abc import Iterable, Sequence
from urllib.parse import unquote

from proxy.http_semantics.parameters import (
    METHOD_PARAMETER,
    Parameter,
    read_form,
    root_of,
    words_of,
)
from proxy.model import Kind
from proxy.trello.administrative import ROOTS
from proxy.trello.batch_contents import BatchContents
from proxy.trello.routes import UNKNOWN, Match

ADDRESS = "A secret address or key of a board"
CREDENTIAL = "A token and its webhooks"
POWER_UP = "A Power-Up"
TUNNEL = "A write that names two methods"
UNREAD = "A board's settings in a body that cannot be read before it is sent"
VISIBILITY = "Who may see, join or write on a board"

_PARAMETERS = frozenset({("POST", "/boards"), ("PUT", "/boards/{id}")})
"""Writes of which the parameters decide."""
_FIELDS = frozenset({"closed", "desc", "name", "subscribed"})
"""Fields of a board that are written one by one and give nobody access."""
_PREFERENCES = frozenset(
    {"background", "cardaging", "cardcounts", "cardcovers", "hidevotes", "showcompletestatus"}
)
"""Preferences of a board that decide how it looks and nothing else."""
_PRIVATE = (("permissionlevel",), ("prefs", "permissionlevel"))
"""How a new board is made private."""
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
"""Words that name what opens a board to whoever has it."""
_CREDENTIALS = re.compile("tokens?|webhooks?")
_NOTHING = frozenset({"", "0", "false", "none"})
_MAY_SHOW = re.compile("key|email|prefs|secret|signup|token|webhook|%", re.I)
"""A query without any of these shows nothing secret."""
_MAX_DECODINGS = 3
"""How often a value that is encoded more than once is looked into."""


def why_administrative(
    method: str,
    match: Match,
    query: str,
    body: Sequence[Parameter] = (),
    *,
    tunnelled: bool,
    streamed: bool,
) -> str:
    """Why a request is administrative, as a noun phrase; empty where it is work on boards.

    `method` is the one that is meant, `query` is raw, `body` is all that a form or JSON may set.
    `tunnelled`: a GET that means a write by its `_method`. `streamed`: there is a body that was
    not read.
    """
    if match.route.administrative:
        return match.route.administrative
    if match.route.kind is not Kind.WRITE:
        return _of_path(match) or (_shown(read_form(query)) if _MAY_SHOW.search(query) else "")
    parameters = [*read_form(query), *body]
    if (method, match.route.template) in _PARAMETERS:
        if streamed:
            return UNREAD
        for name, value in parameters:
            if why := _granted(method, words_of(name), value):
                return why
    return _of_field(match) or _of_methods(parameters, allowed=int(tunnelled))


def why_batch(contents: BatchContents) -> str:
    """The same of a batch that is sent as it came."""
    return _shown(contents.parameters) or next(filter(None, map(_of_path, contents.paths)), "")


def _of_path(match: Match) -> str:
    """Of a read, by its segments: those of a path that no table has, or one field's name."""
    route, segments = match.route, match.segments
    if route.administrative or route.kind is not Kind.READ:
        return route.administrative
    if route.template != UNKNOWN:
        return _secret_in(segments[-1]) if route.template.endswith("{field}") else ""
    if match.secret_positions:
        return CREDENTIAL
    roots = [ROOTS.get(f"{word.removesuffix('s')}s") for word in words_of("".join(segments[:1]))]
    return next(filter(None, (*roots, *map(_secret_in, segments))), "")


def _shown(parameters: Iterable[Parameter]) -> str:
    """What these have shown along that is secret."""
    for name, value in parameters:
        words = words_of(name)
        nested = next(filter(None, map(_secret_of, words)), "")
        if nested and value.strip().lower() not in _NOTHING:
            return nested
        is_fields = any(word.endswith("fields") for word in words)
        if is_fields and (secret := _secret_in(value)):
            return secret
    return ""


def _secret_in(text: str) -> str:
    """What a word of this text names that is secret, however often it is encoded."""
    for _ in range(_MAX_DECODINGS):
        for word in words_of(text):
            if secret := _secret_of(word):
                return secret
        if "%" not in text:
            break
        text = unquote(text)
    return ""


def _secret_of(word: str) -> str:
    if _SECRET.fullmatch(word):
        return ADDRESS
    return CREDENTIAL if _CREDENTIALS.fullmatch(word) else ""


def _of_field(match: Match) -> str:
    """Of a write of one field of a board."""
    known = {"/boards/{id}/{field}": _FIELDS, "/boards/{id}/prefs/{field}": _PREFERENCES}
    harmless = known.get(match.route.template)
    if harmless is None or match.segments[-1].lower() in harmless:
        return ""
    return VISIBILITY


def _granted(method: str, words: Sequence[str], value: str) -> str:
    """What a parameter of a board's, given as the words of its name, may give or take."""
    if method == "POST" and words in _PRIVATE and value == "private":
        return ""
    if words[:1] == ("prefs",) and len(words) == 2 and words[1] in _PREFERENCES:
        return ""
    if _POWER_UPS.intersection(words):
        return POWER_UP
    is_moved = method == "PUT" and "idorganization" in words
    return VISIBILITY if is_moved or _ACCESS.intersection(words) else ""


def _of_methods(parameters: Iterable[Parameter], *, allowed: int) -> str:
    """Of a write that names a method besides its own: nobody knows which of them Trello heeds."""
    named = sum(root_of(name) == METHOD_PARAMETER for name, _ in parameters)
    return TUNNEL if named > allowed else ""
