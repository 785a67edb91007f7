"""Routing: method and path to handler, in all of Trello's spellings."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from proxy.fake_trello.errors import Refusal
from proxy.fake_trello.ids import HEX24, SHORT_LINK
from proxy.fake_trello.request import Request, names
from proxy.fake_trello.state import State

Handler = Callable[[State, Request], Any]
Table = Mapping[tuple[str, str], Handler]
"""Handlers by method and pattern; `{name}` in a pattern matches one segment."""

_PLURAL = {
    name[:-1]: name
    for name in names(
        "actions boards cards lists labels checklists members organizations tokens webhooks "
        "customfields notifications plugins enterprises"
    )
}
_LINKED = frozenset({"board", "card"})
"""Segments that are an id or a shortLink; those of `_FREE` may be anything, others are ids."""
_FREE = frozenset({"member", "organization", "token", "name", "field", "filter", "pref", "preview"})


@dataclass(frozen=True, slots=True)
class RouteMatch:
    """A handler, and the variable segments of a path."""

    handler: Handler
    names: tuple[str, ...]
    ids: tuple[str, ...]

    def check_ids(self) -> None:
        """Raise 400 `invalid id` for a malformed id."""
        for name, value in zip(self.names, self.ids, strict=True):
            if name in _FREE or HEX24.match(value):
                continue
            if name not in _LINKED or not SHORT_LINK.match(value):
                raise Refusal(400, "invalid id")


@dataclass(slots=True)
class _Node:
    literals: dict[str, "_Node"] = field(default_factory=dict)
    variable: "_Node | None" = None
    routes: dict[str, tuple[Handler, tuple[str, ...]]] = field(default_factory=dict)


class Routes:
    """All routes; literal segments take precedence over variable ones, case is ignored."""

    def __init__(self, tables: Sequence[Table]) -> None:
        self._root = _Node()
        for table in tables:
            for (method, pattern), handler in table.items():
                self._add(method, pattern.split("/"), handler)

    def _add(self, method: str, segments: list[str], handler: Handler) -> None:
        node, names = self._root, []
        for segment in segments:
            if segment.startswith("{"):
                names.append(segment[1:-1])
                node.variable = node.variable or _Node()
                node = node.variable
            else:
                node = node.literals.setdefault(segment.lower(), _Node())
        node.routes[method] = (handler, tuple(names))

    def find(self, method: str, segments: Sequence[str]) -> RouteMatch | None:
        """The match of the segments below /1, without empty ones; None for no route."""
        if not segments:
            return None
        first = segments[0].lower()
        normalized = (_PLURAL.get(first, first), *segments[1:])
        return _walk(self._root, method, normalized, ())


def _walk(
    node: _Node, method: str, rest: tuple[str, ...], ids: tuple[str, ...]
) -> RouteMatch | None:
    if not rest:
        route = node.routes.get(method)
        return RouteMatch(route[0], route[1], ids) if route else None
    literal = node.literals.get(rest[0].lower())
    match = _walk(literal, method, rest[1:], ids) if literal else None
    if match is None and node.variable:
        match = _walk(node.variable, method, rest[1:], (*ids, rest[0]))
    return match
