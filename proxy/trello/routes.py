"""Route table: the route of a path below /1, in any of its spellings (D2, D5)."""

import re
from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from enum import StrEnum
from functools import cache

from proxy.config.schema import RouteRule
from proxy.model import (
    Kind,
    Lifetimes,
    Route,
)
from proxy.trello.administrative import (
    ROOTS,
    UNKNOWN_WRITE,
    reason_of,
)
from proxy.trello.read_operations import NEVER, READS
from proxy.trello.tunnel import is_call
from proxy.trello.write_operations import operations

UNKNOWN = "/{unknown}"
"""The template of a path that matches no row."""

RESOURCES = (
    "actions",
    "applications",
    "boards",
    "cards",
    "checklists",
    "customFields",
    "enterprises",
    "labels",
    "lists",
    "members",
    "notifications",
    "organizations",
    "plugins",
    "tokens",
    "webhooks",
)
"""First segments that Trello also takes in the singular."""

_CANONICAL = {
    spelling.lower(): resource for resource in RESOURCES for spelling in (resource, resource[:-1])
}
_SECRETS = {"tokens": "{token}", "applications": "{key}"}
_READ_AS = {"GET": "GET", "HEAD": "GET"}
_SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS", "TRACE"})
_PARAM = re.compile(r"\{(\w+)(?:=([^}]*))?\}")


@dataclass(frozen=True, slots=True)
class Match:
    """The route of a path, with its parameters."""

    route: Route
    segments: tuple[str, ...]
    """The canonical spelling: literals and usernames as Trello writes them, ids unchanged."""
    params: tuple[tuple[str, str], ...] = ()
    """Names of the template with their segments."""
    secret_positions: tuple[int, ...] = ()
    """Positions of segments that contain a token or a key."""

    def __repr__(self) -> str:
        return f"Match({self.route.kind}, {self.route.template!r})"


@dataclass(frozen=True, slots=True)
class _Row:
    """A route, with the positions of its literals and parameters."""

    route: Route
    literals: tuple[tuple[int, str], ...]
    params: tuple[tuple[str, int], ...]
    secrets: tuple[int, ...]

    def match(self, segments: Sequence[str]) -> Match:
        canonical = list(segments)
        for position, literal in self.literals:
            canonical[position] = literal
        _lower_member(canonical)
        params = tuple([(name, canonical[position]) for name, position in self.params])
        return Match(self.route, tuple(canonical), params, self.secrets)


@dataclass(slots=True)
class _Node:
    """A node of the tree of paths: what may follow, and the row that ends here."""

    literals: dict[str, "_Node"] = field(default_factory=dict)
    param: "_Node | None" = None
    row: _Row | None = None

    def find(self, words: Sequence[str], position: int = 0) -> _Row | None:
        """The row for `words` from `position` on; an earlier literal beats a parameter."""
        if position == len(words):
            return self.row
        literal = self.literals.get(words[position])
        found = literal.find(words, position + 1) if literal is not None else None
        if found is None and self.param is not None:
            found = self.param.find(words, position + 1)
        return found

    def plant(self, steps: Sequence[str], row: _Row) -> None:
        """Make `row` the end of every spelling of `steps`."""
        if not steps:
            self.row = row
            return
        for child in self._children(steps[0]):
            child.plant(steps[1:], row)

    def _children(self, step: str) -> Iterator["_Node"]:
        param = _PARAM.fullmatch(step)
        if param and not param[2]:
            self.param = self.param or _Node()
            yield self.param
        else:
            for word in param[2].split("|") if param else (step,):
                yield self.literals.setdefault(word.lower(), _Node())


class RouteTable:
    """Trello's operations by method and path, with the operator's lifetimes."""

    def __init__(self, rules: Sequence[RouteRule] = ()) -> None:
        self.override(rules)
        self._roots = _built_in()

    def override(self, rules: Sequence[RouteRule]) -> None:
        """Replace the operator's lifetimes."""
        self._overrides = tuple((_paths_of(rule.match), rule) for rule in rules)
        self._routes: dict[tuple[str, str], Route] = {}

    def classify(self, method: str, segments: Sequence[str]) -> Match:
        """The match of `segments`, the decoded path below /1, for this method.

        A path that matches no row is a read that is never stored, or a write.
        """
        words = [segment.lower() for segment in segments]
        root = self._roots.get(_READ_AS.get(method, method))
        row = root.find(words) if root is not None else None
        match = row.match(segments) if row is not None else _unknown(method, segments, words)
        return self._overridden(match) if self._overrides else match

    def _overridden(self, match: Match) -> Match:
        """The match with the lifetimes of the first override that applies."""
        if match.route.kind not in (Kind.READ, Kind.SCRIPT):
            return match
        path = "/" + "/".join(match.segments).lower()
        for paths, rule in self._overrides:
            if paths.fullmatch(path):
                route = self._with(rule, match.route)
                return Match(route, match.segments, match.params, match.secret_positions)
        return match

    def _with(self, rule: RouteRule, route: Route) -> Route:
        """The route with the rule's lifetimes; None keeps the built-in one."""
        known = (route.template, rule.match)
        if known not in self._routes:
            own = {each.name: getattr(rule, each.name) for each in fields(Lifetimes)}
            changed = {name: seconds for name, seconds in own.items() if seconds is not None}
            self._routes[known] = replace(route, lifetimes=replace(route.lifetimes, **changed))
        return self._routes[known]


@cache
def _built_in() -> Mapping[str, _Node]:
    """The trees of Trello's operations, by method; built once, all tables share them."""
    roots = defaultdict[str, _Node](_Node)
    for kind, lifetimes, block in READS:
        for template in block.split():
            row = _row("GET", template, kind, lifetimes)
            for method in ("GET", "POST") if kind is Kind.AUTHORIZATION_PAGE else ("GET",):
                _plant(roots[method], template, row)
    for method, template, _words in operations():
        _plant(roots[method], template, _row(method, template, Kind.WRITE, NEVER))
    return dict(roots)


def _plant(root: _Node, template: str, row: _Row) -> None:
    first, *rest = template.strip("/").split("/")
    for spelling in (first, first[:-1]) if first in RESOURCES else (first,):
        root.plant((spelling, *rest), row)


def _paths_of(pattern: str) -> re.Pattern[str]:
    """A regular expression for the full paths, in lower case, of a rule's pattern.

    `*` is one segment, a final `**` any rest, including an empty one.
    """
    steps = pattern.split("/")
    if steps[-1] == "**":
        return re.compile(_spelled(steps[:-1]) + r"(?s:/.*)?")
    return re.compile(_spelled(steps))


def _row(method: str, template: str, kind: Kind, lifetimes: Lifetimes) -> _Row:
    steps = template.strip("/").split("/")
    params = [(position, _PARAM.fullmatch(step)) for position, step in enumerate(steps)]
    return _Row(
        route=Route(re.sub(r"=[^}]*", "", template), kind, lifetimes, reason_of(method, template)),
        literals=tuple((position, steps[position]) for position, param in params if not param),
        params=tuple((param[1], position) for position, param in params if param),
        secrets=tuple(position for position, step in enumerate(steps) if step in _SECRETS.values()),
    )


def _unknown(method: str, segments: Sequence[str], words: Sequence[str]) -> Match:
    """The match of a path that matches no row: the first segment canonical, the rest unchanged."""
    kind = Kind.READ if method in _SAFE_METHODS else Kind.WRITE
    canonical = list(segments)
    if words and words[0] in _CANONICAL:
        canonical[0] = _CANONICAL[words[0]]
    _lower_member(canonical)
    secrets = (1,) if len(canonical) > 1 and canonical[0] in _SECRETS else ()
    root = ROOTS.get(canonical[0], "") if canonical else ""
    administrative = root or (UNKNOWN_WRITE if kind is Kind.WRITE else "")
    return Match(Route(UNKNOWN, kind, NEVER, administrative), tuple(canonical), (), secrets)


def _lower_member(segments: list[str]) -> None:
    """A username in lower case, as Trello writes it; so are `me` and ids."""
    if len(segments) > 1 and segments[0] == "members" and segments[1].isascii():
        segments[1] = segments[1].lower()


def _spelled(steps: Sequence[str]) -> str:
    return "/".join("[^/]+" if step == "*" else re.escape(step) for step in steps)


_ATTACHMENTS = "/cards/{id}/attachments/{idAttachment}/"
"""Prefix of the templates of attachments' files."""


class Handling(StrEnum):
    """How a request is handled."""

    CACHED_READ = "read"
    """Served from the store, or fetched and stored."""
    BATCH = "batch"
    """The same for each part, if all are ordinary reads; else as `BYPASS`."""
    ATTACHMENT = "attachment"
    """A file that can be stored."""
    EXPORT = "export"
    """A file made for one client."""
    WRITE = "write"
    """Forwarded once; invalidates."""
    BYPASS = "bypass"
    """Forwarded, and not stored."""
    AUTH_NOTICE = "grant"
    """The proxy's own page."""


def handling_of(match: Match, query_names: Collection[str]) -> Handling:
    """The handling of a request; JSONP is never stored, as it is a script for one page."""
    route = match.route
    match route.kind:
        case Kind.WRITE:
            return Handling.WRITE
        case Kind.AUTHORIZATION_PAGE:
            return Handling.AUTH_NOTICE
        case Kind.FILE:
            is_kept = route.template.startswith(_ATTACHMENTS)
            return Handling.ATTACHMENT if is_kept else Handling.EXPORT
        case Kind.BATCH:
            return Handling.BATCH
    is_stored = route.lifetimes.lifetime_s > 0 and not is_call(query_names)
    return Handling.CACHED_READ if is_stored else Handling.BYPASS
