"""Query shapes: what a read requests, whether a larger response contains it, and the projection.

Nothing is guessed: for a parameter, field or member unknown to `trello/resource_schema.py`, or a
field that one object of the larger response lacks, the result is None: the request is forwarded.
"""

from collections.abc import Iterator, Mapping, Set
from dataclasses import dataclass, replace
from enum import Enum
from urllib.parse import parse_qsl

from msgspec import Raw

from proxy.http_semantics.json_members import elements, raw_members
from proxy.model import is_id
from proxy.trello.resource_schema import (
    CHILDREN,
    FIELDS,
    INCONSISTENT_FIELDS,
    PLURALS,
    RESOURCE_FORMS,
    SINGLE,
    ResourceForm,
)
from proxy.trello.routes import Match

MOST_ITEMS = 1_000
"""Trello's limit of lists: one of this length may be incomplete, so it is not filtered."""

_STATES = {"open": b"false", "closed": b"true"}
"""Values of `filter`, and the value of `closed` in the objects they select."""
_SPELLABLE = frozenset({"all", "visible", *_STATES})


class Chosen(Enum):
    """A choice of fields other than by name."""

    ALL = "all"
    DEFAULT = "default"
    """The fields of the route's response without `fields`."""
    UNKNOWN = "unknown"
    """Fields can be projected by name only."""


Names = frozenset[str]
Pairs = tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class QueryShape:
    """What a read requests, in a form that can be compared."""

    kind: str
    path: tuple[str, ...]
    """Segments of the object or collection, without the name of a field or filter."""
    chosen: Names | Chosen
    many: bool = False
    filter: str = ""
    nested: Pairs = ()
    """Parameters that add members, sorted."""
    added: Names = frozenset()
    """Members that `nested` may add."""
    pass_through_params: Pairs = ()
    """Other parameters, sorted."""
    single: str | None = None
    """The only field, if a single value is requested."""


@dataclass(frozen=True, slots=True)
class Source:
    """A shape, and where in a stored response it is: the whole, or the value of a member."""

    shape: QueryShape
    member: str | None = None


@dataclass(frozen=True, slots=True)
class Projection:
    """A response projected from a larger one."""

    body: bytes
    subject: bytes
    """The object or array of the larger response, with all its members."""


def parse_shape(match: Match, query: str) -> QueryShape | None:
    """The shape of a read; None if it is not certain."""
    template = match.route.template
    if template in SINGLE:
        return _single(SINGLE[template], match, query)
    form = RESOURCE_FORMS.get(template)
    if form is None:
        return None
    pairs = parse_qsl(query, keep_blank_values=True)
    params = dict(pairs)
    if len(params) < len(pairs):
        return None
    path = match.segments
    if template.endswith("/{filter}"):
        if "filter" in params:
            return None
        path, params["filter"] = path[:-1], path[-1]
    chosen = _chosen(form, params.pop("fields", None))
    state = params.pop("filter", None) if form.has_filter else None
    if chosen is None or state not in (None, *_SPELLABLE):
        return None
    shape = QueryShape(form.kind, path, chosen, form.many, form.filter if state is None else state)
    return _with_parameters(shape, form, params)


def possible_sources(wide: QueryShape) -> Iterator[Source]:
    """Shapes that a response of this shape contains: itself, and a board's lists and cards."""
    if wide.single is not None:
        return
    yield Source(wide)
    if wide.kind != "board" or wide.many or len(wide.path) != len(("boards", "id")):
        return
    params = dict(wide.nested)
    for name, (kind, fields) in CHILDREN.items():
        state = params.get(name, "")
        if state in _SPELLABLE and not any(each.startswith(f"{name}_") for each in params):
            chosen = _chosen_within(RESOURCE_FORMS[f"/boards/{{id}}/{name}"], params, fields)
            path = (*wide.path, name)
            yield Source(QueryShape(kind, path, chosen, many=True, filter=state), name)


def widened(narrow: QueryShape, template: str) -> QueryShape | None:
    """The shape with all fields; None if the route may not be widened."""
    form = RESOURCE_FORMS.get(template)
    if form is None or not form.may_widen or isinstance(narrow.chosen, Chosen):
        return None
    return replace(narrow, chosen=Chosen.ALL)


def contains(wide: QueryShape, narrow: QueryShape) -> bool:
    """Whether a response of `wide` may contain that of `narrow`; its members decide."""
    if wide.kind != narrow.kind or wide.single is not None:
        return False
    if wide.path == narrow.path and wide.many == narrow.many:
        return _holds_parameters(wide, narrow) and _holds_fields(wide, narrow)
    if not wide.many or narrow.many or len(narrow.path) < len(("cards", "id")):
        return False
    is_item = narrow.path == (PLURALS[wide.kind], narrow.path[1]) and is_id(narrow.path[1])
    plain = not narrow.nested and not narrow.pass_through_params
    return is_item and plain and _holds_fields(wide, narrow, by_name=True)


def project(body: bytes, source: Source, narrow: QueryShape) -> Projection | None:
    """The response to `narrow`, projected from `source` in `body`; None if it is not contained.

    Members are in the order of the larger response, `id` first; their bytes are copied (D4).
    """
    try:
        held = body if source.member is None else bytes(raw_members(body)[source.member])
        return _cut(held, source.shape, narrow)
    except (ValueError, KeyError):
        return None


def item_ids(body: bytes, source: Source) -> list[str]:
    """The ids of the objects of a collection in `body`, in their order; none in doubt."""
    try:
        held = body if source.member is None else bytes(raw_members(body)[source.member])
        return [bytes(raw_members(item)["id"]).decode()[1:-1] for item in elements(held)]
    except (ValueError, KeyError):
        return []


def _single(kind: str, match: Match, query: str) -> QueryShape | None:
    name = match.segments[-1]
    if query or name not in FIELDS[kind] or name in INCONSISTENT_FIELDS:
        return None
    return QueryShape(kind, match.segments[:-1], frozenset({name}), single=name)


def _chosen(form: ResourceForm, fields: str | None) -> Names | Chosen | None:
    """The choice of fields; None if it has an unknown name, or is empty."""
    if fields is None:
        return Chosen.ALL if form.whole else Chosen.DEFAULT
    if fields == "all":
        return Chosen.ALL
    names = frozenset(fields.split(","))
    return names if names <= FIELDS[form.kind] - INCONSISTENT_FIELDS else None


def _chosen_within(form: ResourceForm, params: Mapping[str, str], fields: str) -> Names | Chosen:
    """The choice of fields of nested objects; known only if all fields and nothing else come."""
    prefix = fields.removesuffix("fields")
    others = [name for name in params if name.startswith(prefix) and name != fields]
    chosen = _chosen(form, params.get(fields))
    return chosen if chosen is Chosen.ALL and form.whole and not others else Chosen.UNKNOWN


def _with_parameters(
    shape: QueryShape, form: ResourceForm, params: Mapping[str, str]
) -> QueryShape | None:
    nested, loose, added = [], [], set()
    for name, value in sorted(params.items()):
        switch = form.switch_of(name)
        if switch is not None:
            nested.append((name, value))
            added.add(switch)
        elif name in form.pass_through_params:
            loose.append((name, value))
        else:
            return None
    return replace(
        shape, nested=tuple(nested), added=frozenset(added), pass_through_params=tuple(loose)
    )


def _holds_parameters(wide: QueryShape, narrow: QueryShape) -> bool:
    nested = narrow.nested in ((), wide.nested)
    is_filtered = wide.filter == "all" and narrow.filter in _STATES and not wide.pass_through_params
    return (
        nested
        and wide.pass_through_params == narrow.pass_through_params
        and (wide.filter == narrow.filter or is_filtered)
    )


def _holds_fields(wide: QueryShape, narrow: QueryShape, *, by_name: bool = False) -> bool:
    """Whether a choice may contain the other; choices other than by name must be equal."""
    if isinstance(narrow.chosen, Chosen):
        return not by_name and wide.chosen is narrow.chosen
    return isinstance(wide.chosen, Chosen) or narrow.chosen - {"id"} <= wide.chosen


def _cut(held: bytes, wide: QueryShape, narrow: QueryShape) -> Projection:
    """The projection; ValueError or KeyError if something is missing or not certain."""
    if narrow.many:
        return _cut_items(held, wide, narrow)
    item = _item(held, narrow.path[-1]) if wide.many else held
    return Projection(_cut_object(raw_members(item), wide, narrow), item)


def _cut_items(held: bytes, wide: QueryShape, narrow: QueryShape) -> Projection:
    items = elements(held)
    if len(held) != 1 + max(1, sum(map(len, items)) + len(items)):
        raise ValueError("white space between objects")
    closed = None
    if wide.filter != narrow.filter:
        if len(items) >= MOST_ITEMS:
            raise ValueError("a list that may be incomplete")
        closed = _STATES[narrow.filter]
    cut = [
        _cut_object(item, wide, narrow)
        for item in map(raw_members, items)
        if closed is None or bytes(item["closed"]) == closed
    ]
    return Projection(b"[%b]" % b",".join(cut), held)


def _item(held: bytes, wanted: str) -> bytes:
    """The object with this id."""
    own_id = b'"%b"' % wanted.encode()
    for item in elements(held):
        if own_id in item and bytes(raw_members(item)["id"]) == own_id:
            return item
    raise ValueError("no such object")


def _cut_object(item: Mapping[str, Raw], wide: QueryShape, narrow: QueryShape) -> bytes:
    if narrow.single is not None:
        value = bytes(item[narrow.single])
        if value[:1] in b"{[":
            raise ValueError("not a scalar")
        return b'{"_value":%b}' % value
    names = _names_to_keep(item.keys(), wide, narrow)
    rest = [(name, value) for name, value in item.items() if name in names and name != "id"]
    kept = [("id", item["id"]), *rest]
    return b"{%b}" % b",".join([b'"%b":%b' % (name.encode(), value) for name, value in kept])


def _names_to_keep(shown: Set[str], wide: QueryShape, narrow: QueryShape) -> Set[str]:
    """Names of the projected members; ValueError if a field is missing or a member unknown."""
    added = narrow.added & shown
    if not isinstance(narrow.chosen, Chosen):
        if not narrow.chosen <= shown:
            raise ValueError("a field is missing")
        return narrow.chosen | added
    dropped = wide.added - narrow.added
    kept = shown - dropped
    if dropped and not kept <= FIELDS[narrow.kind] | narrow.added:
        raise ValueError("an unknown member")
    return kept
