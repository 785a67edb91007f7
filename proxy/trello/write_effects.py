"""Write effects: the tags that a write invalidates.

If a write does not show which object it changed, every object of that kind counts as changed.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

from proxy.model import Tag, is_id
from proxy.trello.object_ids import NOTHING, JsonIds, ObjectInfo
from proxy.trello.routes import Match
from proxy.trello.tags import EVERYTHING, INFERRED, ROOTS, SPANNING, tags_for
from proxy.trello.write_operations import MOVES, operations

_EFFECTS = {(method, template): words for method, template, words in operations()}


def tags_changed_by(
    method: str,
    match: Match,
    params: Mapping[str, str],
    response: bytes,
    known: ObjectInfo = NOTHING,
) -> frozenset[Tag]:
    """The tags of everything a write may have changed.

    `params` are those of the write, as far as known; `response` is the body of Trello's response,
    b"" if unknown; `known` is what other responses have shown of the object in the path. An
    operation that is not in the table changes everything.
    """
    words = _EFFECTS.get((method, match.route.template))
    if words is None:
        return frozenset({EVERYTHING})
    write = _WriteEffects(match, params, JsonIds(response), known)
    if (method, match.route.template) in MOVES and write.may_move:
        words = tuple(MOVES[method, match.route.template].split())
    return frozenset(tag for word in words for tag in write.changed_tags(word))


def board_tags(board: str) -> frozenset[Tag]:
    """The tags of responses that show a board or objects on it; `board` is its full id."""
    return frozenset({SPANNING, *tags_for("board", (board,)), *tags_for("cards-of", (board,))})


def tags_showing(match: Match, known: ObjectInfo) -> frozenset[Tag]:
    """The tags of everything that shows the object in the path; empty if it names none.

    As if a write had changed the object. If its board or its id is unknown, all of them.
    """
    root = match.segments[0]
    if root not in ROOTS or len(match.segments) < 2:
        return frozenset()
    shown = json.dumps({"id": known.id, **known.owners}).encode()
    effects = _WriteEffects(replace(match, segments=match.segments[:2]), {}, JsonIds(shown), known)
    words = _EFFECTS.get(("PUT", f"/{root}/{{id}}"), (f"{ROOTS[root]}:*", SPANNING))
    # A response that depends on a list also depends on its board.
    kinds = [word for word in words if word != "list" or root == "lists"]
    return frozenset(tag for word in kinds for tag in effects.changed_tags(word))


class _WriteEffects:
    """The objects that a write changed, by its path, parameters and response."""

    def __init__(
        self, match: Match, params: Mapping[str, str], response: JsonIds, known: ObjectInfo
    ) -> None:
        self._match = match
        # A mutable name may mean another object by now than the one written to.
        self._known_id = None if known.is_mutable else known.id
        self._sent = {name.lower(): value for name, value in params.items()}
        self._params = self._sent | {name.lower(): value for name, value in match.params}
        self._response = response

    @property
    def may_move(self) -> bool:
        """Whether the object may have left a board that is not named."""
        return not self._sent or "idboard" in self._sent

    def changed_tags(self, word: str) -> Iterator[Tag]:
        """The tags of one word of the table."""
        kind, _, every = word.partition(":")
        if kind == SPANNING:
            yield SPANNING
            return
        ids = set() if every else self._ids(kind)
        yield from tags_for(kind, ids)
        if ids:
            yield Tag(f"{kind}:{INFERRED}")

    def _ids(self, kind: str) -> set[str]:
        """The ids of the objects of this kind; none if unknown."""
        if kind == "cards-of":
            return self._ids("board")
        if ROOTS.get(self._match.segments[0]) == kind:
            return self._own_ids(kind)
        return {*self._response_ids(kind), *self._sent_ids(kind)}

    def _own_ids(self, kind: str) -> set[str]:
        """The ids of the object in the path, as spelled and in full; or of the created one."""
        path = self._match.segments[1:]
        if path and is_id(path[0]):
            return {path[0]}
        own = {*self._response_ids(kind), *filter(None, [self._known_id])}
        if self._response.id and self._response_is_object(path):
            own.add(self._response.id)
        return own.union(path[:1] or self._sent_ids(kind)) if own else own

    def _response_is_object(self, path: Sequence[str]) -> bool:
        """Whether the response is the object in the path, not a part of it."""
        return len(path) <= 1 or self._response.members.get("shortLink") == path[0]

    def _response_ids(self, kind: str) -> Iterator[str]:
        """The ids in the response, which is an object or an action."""
        capital = kind[0].upper() + kind[1:]
        shown = [self._response.id_at(f"id{capital}"), self._response.id_at("data", kind, "id")]
        if self._response.members.get("modelType") == kind:
            shown.append(self._response.id_at("idModel"))
        yield from filter(None, shown)

    def _sent_ids(self, kind: str) -> Iterator[str]:
        """The ids in path and parameters."""
        names = [f"id{kind.lower()}", f"id{kind.lower()}source"]
        if self._params.get("modeltype") == kind:
            names.append("idmodel")
        yield from filter(is_id, (self._params.get(name) for name in names))
