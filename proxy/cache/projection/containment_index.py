"""Which stored answers contain others: where to look before Trello is asked."""

import re
from collections import OrderedDict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from proxy.cache.projection.query_shape import (
    Chosen,
    Names,
    QueryShape,
    Source,
    contains,
    possible_sources,
)
from proxy.model import CacheKey
from proxy.trello.resource_schema import PLURALS
from proxy.trello.routes import Match

MAX_FAMILIES = 20_000
PER_FAMILY = 16
"""Parts remembered of one family: the ones asked for last."""
WINDOW_S = 600.0
"""A part that nobody missed for so long is no longer in demand."""
REFUSED_S = 600.0
"""So long nobody asks for a whole that was not there, or held less than a part."""


Part = tuple[tuple[str, ...], Names | Chosen]
"""A path and the fields of it."""


class FieldDemand:
    """Parts that were missed lately, by partition and the shape that holds them all."""

    def __init__(self) -> None:
        self._missed: OrderedDict[tuple[str, QueryShape], dict[Part, float]] = OrderedDict()
        self._rejected: OrderedDict[tuple[str, QueryShape], float] = OrderedDict()

    def __len__(self) -> int:
        return len(self._missed)

    def is_in_demand(
        self, partition: str, narrow: QueryShape, wide: QueryShape, now: float
    ) -> bool:
        """Note that `narrow` was missed; whether `wide` should be asked for in its place."""
        family = (partition, wide)
        missed = self._missed.pop(family, {})
        recent = {part: at for part, at in missed.items() if now - at < WINDOW_S}
        part = (narrow.path, narrow.chosen)
        recent.pop(part, None)
        recent[part] = now
        self._missed[family] = dict(list(recent.items())[-PER_FAMILY:])
        if len(self._missed) > MAX_FAMILIES:
            self._missed.popitem(last=False)
        is_read = any(path == wide.path for path, _ in recent)
        return is_read and len(recent) > 1 and now >= self._rejected.get(family, 0.0)

    def reject(self, partition: str, wide: QueryShape, now: float) -> None:
        """The whole did not serve: for a while parts are asked for as parts."""
        self._rejected.pop((partition, wide), None)
        self._rejected[partition, wide] = now + REFUSED_S
        if len(self._rejected) > MAX_FAMILIES:
            self._rejected.popitem(last=False)


MAX_FAMILIES = 20_000
MAX_ITEMS = 50_000
PER_FAMILY = 4
"""Answers remembered of one object or collection: those stored last."""

_ITEM = re.compile(rb'{"id":"([0-9a-f]{24})"')
"""The id of an object, at whatever depth."""


@dataclass(frozen=True, slots=True)
class Superset:
    """A stored answer that holds `source`."""

    key: CacheKey
    match: Match
    source: Source


def has_items(wide: QueryShape) -> bool:
    """Whether objects within an answer of this shape are read by their ids too."""
    return any(each.shape.many and each.shape.kind in PLURALS for each in possible_sources(wide))


def items_in(plain: bytes) -> frozenset[str]:
    """The ids of the objects in the answer, and of some within them."""
    return frozenset(each.decode() for each in _ITEM.findall(plain))


class ContainmentIndex:
    """Hints by partition and path; a donor may be gone, stale or without what is sought."""

    def __init__(self) -> None:
        self._families: OrderedDict[tuple[str, tuple[str, ...]], tuple[Superset, ...]] = (
            OrderedDict()
        )
        self._items: OrderedDict[str, tuple[str, tuple[str, ...]]] = OrderedDict()
        """An object's id → partition and path of what was read with it inside."""

    def __len__(self) -> int:
        return len(self._families)

    def add(self, partition: str, key: CacheKey, match: Match, wide: QueryShape) -> None:
        """Remember what an answer that was just stored contains."""
        for source in possible_sources(wide):
            family = (partition, source.shape.path)
            others = [each for each in self._families.pop(family, ()) if each.key != key]
            self._families[family] = (Superset(key, match, source), *others[: PER_FAMILY - 1])
        _bound(self._families, MAX_FAMILIES)

    def add_items(self, partition: str, path: tuple[str, ...], items: Iterable[str]) -> None:
        """Remember that objects with these ids were read within what `path` names."""
        for item in items:
            self._items.pop(item, None)
            self._items[item] = (partition, path)
        _bound(self._items, MAX_ITEMS)

    def supersets_of(self, partition: str, narrow: QueryShape) -> Iterator[Superset]:
        """The donors that may hold what is asked for, those stored last first."""
        for path in self._paths(partition, narrow):
            for superset in self._families.get((partition, path), ()):
                if contains(superset.source.shape, narrow):
                    yield superset

    def candidates(self, partition: str, narrow: QueryShape) -> Superset | None:
        """The last answer to a read of what the object was read within: of its board's cards."""
        for path in [*self._paths(partition, narrow)][1:]:
            for superset in self._families.get((partition, path), ()):
                if superset.source.member is None:
                    return superset
        return None

    def _paths(self, partition: str, narrow: QueryShape) -> Iterator[tuple[str, ...]]:
        yield narrow.path
        if narrow.many or len(narrow.path) < len(("cards", "id")):
            return
        holder, path = self._items.get(narrow.path[1], ("", ()))
        if path and holder == partition:
            yield (*path, PLURALS[narrow.kind])


def _bound(entries: OrderedDict[Any, Any], most: int) -> None:
    while len(entries) > most:
        entries.popitem(last=False)
