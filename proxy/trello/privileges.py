"""Is a request administrative? By its route, its parameters and its body. Pure.

What cannot be read before it is sent counts as administrative (`policy/administrative.py`).
"""

import json
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from urllib.parse import parse_qsl, unquote_plus

from proxy.http_semantics.json_members import value_of
from proxy.model import Kind
from proxy.trello.routes import Match
from proxy.trello.tunnel import tunnelled_method

ADDRESS = "A secret address or key of a board"
CREDENTIAL = "A token and its webhooks"
TUNNEL = "A write that names two methods"
UNREAD = "A board's settings in a body that cannot be read before it is sent"
UNLISTED = "A batch that cannot be read"
VISIBILITY = "Who may see, join or write on a board"

_PARAMETERS = frozenset({("POST", "/boards"), ("PUT", "/boards/{id}")})
"""Writes of which the parameters decide."""
_FIELDS = frozenset({"closed", "desc", "name", "subscribed"})
"""Fields of a board that are written one by one and give nobody access."""
_PREFERENCES = frozenset(
    {"background", "cardaging", "cardcounts", "cardcovers", "hidevotes", "showcompletestatus"}
)
"""Preferences of a board that decide how it looks and nothing else."""
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
_SECRETS = frozenset(
    {"calendarkey", "emailkey", "fullemail", "invitationsecret", "myprefs", "signupurl"}
)
"""Fields and segments that show what opens a board to whoever has it."""
_NESTED = {"myprefs": ADDRESS, "tokens": CREDENTIAL, "webhooks": CREDENTIAL}
"""Parameters of a read that have something secret shown along."""
_NOTHING = frozenset({"", "0", "false", "none"})
_MAY_SHOW = re.compile("key|email|prefs|secret|signup|tokens|webhooks|%", re.I)
"""A query without any of these shows nothing secret."""
_MAY_NAME_A_METHOD = re.compile(rb"method|%|\\\\u", re.I)
_SEPARATORS = re.compile(r"[\[\]./_\s]+")
_SUB_URLS = re.compile("[,;?&]+")
_PATH_CHARS = 200
"""Of the names of the objects that a member of JSON stands in."""
_DECODINGS = 3
"""How often a sub-URL of a batch may be encoded."""
MOST_PIECES = 2_000
"""Of a batch's list; a longer one cannot be read."""

Parameter = tuple[Sequence[str], str]
"""The parts of a name in lower case (`prefs`, `permissionlevel`), and the value."""


def why_administrative(
    method: str, match: Match, query: str, body: bytes, *, tunnelled: bool, streamed: bool
) -> str:
    """Why a request is administrative, as a noun phrase; empty where it is work on boards.

    `method` is the one that is meant, `query` is raw, `body` is a form's or JSON's. `tunnelled`: a
    GET that means a write by its `_method`. `streamed`: there is a body that was not read.
    """
    if match.route.administrative:
        return match.route.administrative
    if match.route.kind is not Kind.WRITE:
        return _of_read(match, query)
    if (method, match.route.template) in _PARAMETERS:
        if streamed:
            return UNREAD
        parameters = [*_in_query(query), *_in_body(body)]
        if any(_grants(method, parts, value) for parts, value in parameters):
            return VISIBILITY
    return _of_field(match) or _of_methods(query, body, allowed=int(tunnelled))


def why_batch(query: str, classify: Callable[[str, Sequence[str]], Match]) -> str:
    """The same of a batch that is sent as it came, whose raw query may be encoded in any way."""
    for _ in range(_DECODINGS + 1):
        pieces = _SUB_URLS.split(query)
        if len(pieces) > MOST_PIECES:
            return UNLISTED
        for piece in pieces:
            if why := _of_piece(piece, classify):
                return why
        query, encoded = unquote_plus(query, errors="surrogateescape"), query
        if query == encoded:
            break
    return ""


def _of_piece(piece: str, classify: Callable[[str, Sequence[str]], Match]) -> str:
    """Of what stands between two separators of a batch: a path, a parameter or a word of a list."""
    name, _, value = piece.partition("=")
    for text in (name, value):
        segments = [segment for segment in text.split("/") if segment]
        if len(segments) > 1 and (why := _of_path(classify("GET", _below_1(segments)))):
            return why
        if segments and segments[-1].lower() in _SECRETS:
            return ADDRESS
    if tunnelled_method([(name, value)]):
        return TUNNEL
    return _shown([(_parts(name), value)])


def _below_1(segments: list[str]) -> list[str]:
    return segments[1:] if segments[0] == "1" else segments


def _of_read(match: Match, query: str) -> str:
    if why := _of_path(match):
        return why
    return _shown(_in_query(query)) if _MAY_SHOW.search(query) else ""


def _of_path(match: Match) -> str:
    segments = {segment.lower() for segment in match.segments}
    return match.route.administrative or (ADDRESS if segments & _SECRETS else "")


def _shown(parameters: Iterable[Parameter]) -> str:
    """What these have shown along that is secret."""
    for parts, value in parameters:
        last, words = parts[-1], {word.strip().lower() for word in value.split(",")}
        if last in _NESTED and not words <= _NOTHING:
            return _NESTED[last]
        if last == "fields" and words & _SECRETS:
            return ADDRESS
    return ""


def _of_field(match: Match) -> str:
    """Of a write of one field of a board."""
    known = {"/boards/{id}/{field}": _FIELDS, "/boards/{id}/prefs/{field}": _PREFERENCES}
    harmless = known.get(match.route.template)
    if harmless is None or match.segments[-1].lower() in harmless:
        return ""
    return VISIBILITY


def _grants(method: str, parts: Sequence[str], value: str) -> bool:
    """Whether a parameter of a board's may give somebody access, or take it."""
    last = parts[-1]
    if method == "POST" and last == "permissionlevel":
        return value != "private"
    if parts[0] == "prefs":
        return last not in _PREFERENCES
    return bool(_ACCESS.intersection(parts)) or (method == "PUT" and last == "idorganization")


def _of_methods(query: str, body: bytes, *, allowed: int) -> str:
    """Of a write that names a method besides its own: nobody knows which of them Trello heeds."""
    body = body if _MAY_NAME_A_METHOD.search(body) else b""
    parameters = (*_in_query(query), *_in_body(body))
    named = [parts for parts, value in parameters if tunnelled_method([("_".join(parts), value)])]
    return TUNNEL if len(named) > allowed else ""


def _in_query(query: str) -> Iterator[Parameter]:
    for name, value in parse_qsl(query, keep_blank_values=True, errors="replace"):
        yield _parts(name), value


def _in_body(body: bytes) -> Iterator[Parameter]:
    """Read both ways: of a mislabelled body nobody knows how Trello will."""
    if not body:
        return
    text = body.decode("utf-8", "replace")
    yield from _in_query(text)
    try:
        yield from _members(value_of(text.removeprefix("\ufeff")))
    except ValueError:
        return
    except RecursionError:
        yield ("prefs",), ""


def _members(value: object, within: str = "") -> Iterator[Parameter]:
    """The members of JSON objects at any depth, each named with the objects it stands in."""
    for name, member in value.items() if isinstance(value, dict) else ():
        if isinstance(member, dict):
            yield from _members(member, f"{within}{name}/"[:_PATH_CHARS])
        elif isinstance(member, list):
            yield _parts(within + name), ",".join(each for each in member if isinstance(each, str))
        else:
            yield _parts(within + name), member if isinstance(member, str) else json.dumps(member)


def _parts(name: str) -> Sequence[str]:
    return tuple(_SEPARATORS.split(name.lower().strip("[] \t")))
