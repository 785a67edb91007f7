"""Containment index: which stored responses contain others, and which parts are in demand."""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from proxy.cache.projection.query_shape import (
    Chosen,
    Names,
    QueryShape,
    Source,
    contains,
    possible_sources,
)
from proxy.model import CacheKey
from proxy.runtime.lru import LruDict
from proxy.trello.resource_schema import PLURALS
from proxy.trello.routes import Match

MAX_FAMILIES = 20_000
"""Objects and collections of which responses or parts are remembered."""
MAX_ITEMS = 50_000
SUPERSETS_PER_FAMILY = 4
"""Responses remembered of one object or collection: those stored last."""
PARTS_PER_FAMILY = 16
"""Parts remembered of one family: those requested last."""
DEMAND_WINDOW_S = 600.0
"""Seconds without a miss after which a part is no longer in demand."""
REJECTED_S = 600.0
"""Seconds for which a wider request that failed, or lacked the part, is not sent again."""

_ITEM = re.compile(rb'{"id":"([0-9a-f]{24})"')
"""The id of an object, at whatever depth."""

Path = tuple[str, ...]
Part = tuple[Path, Names | Chosen]
"""A path and the fields requested of it."""


@dataclass(frozen=True, slots=True)
class Superset:
    """A stored response that holds `source`."""

    key: CacheKey
    match: Match
    source: Source


def has_items(wide: QueryShape) -> bool:
    """Whether a response of this shape holds objects that are also read by their own ids."""
    return any(each.shape.many and each.shape.kind in PLURALS for each in possible_sources(wide))


def items_in(plain: bytes) -> frozenset[str]:
    """The ids of the objects in a response, and of some within them."""
    return frozenset(each.decode() for each in _ITEM.findall(plain))


class ContainmentIndex:
    """Hints by partition and path; a response may be evicted, stale or lack the part."""

    def __init__(self) -> None:
        self._families: LruDict[tuple[str, Path], tuple[Superset, ...]] = LruDict(MAX_FAMILIES)
        self._holders: LruDict[str, tuple[str, Path]] = LruDict(MAX_ITEMS)
        """Object id → partition and path of the collection that was read and contains it."""

    def __len__(self) -> int:
        return len(self._families)

    def add(self, partition: str, key: CacheKey, match: Match, wide: QueryShape) -> None:
        """Index a response that was just stored."""
        for source in possible_sources(wide):
            family = (partition, source.shape.path)
            others = [each for each in self._families.get(family, ()) if each.key != key]
            latest = Superset(key, match, source), *others
            self._families[family] = latest[:SUPERSETS_PER_FAMILY]

    def add_items(self, partition: str, path: Path, items: Iterable[str]) -> None:
        """Index the objects with these ids as contained in the collection at `path`."""
        for item in items:
            self._holders[item] = (partition, path)

    def supersets_of(self, partition: str, narrow: QueryShape) -> Iterator[Superset]:
        """Candidates that may contain the requested part, most recently stored first."""
        for path in self._paths(partition, narrow):
            for superset in self._families.get((partition, path), ()):
                if contains(superset.source.shape, narrow):
                    yield superset

    def collection_of(self, partition: str, narrow: QueryShape) -> Superset | None:
        """The last response to a read of the collection that contains the object."""
        for path in [*self._paths(partition, narrow)][1:]:
            for superset in self._families.get((partition, path), ()):
                if superset.source.member is None:
                    return superset
        return None

    def _paths(self, partition: str, narrow: QueryShape) -> Iterator[Path]:
        yield narrow.path
        if narrow.many or len(narrow.path) < len(("cards", "id")):
            return
        holder, path = self._holders.get(narrow.path[1], ("", ()))
        if path and holder == partition:
            yield (*path, PLURALS[narrow.kind])


class FieldDemand:
    """Parts missed recently, by partition and by the shape that contains them all.

    With two different parts the whole is cheaper. One of them must have the path of the whole: a
    client that reads a card or two does not need all cards of their board.
    """

    def __init__(self) -> None:
        self._missed: LruDict[tuple[str, QueryShape], LruDict[Part, float]] = LruDict(MAX_FAMILIES)
        self._rejected_until: LruDict[tuple[str, QueryShape], float] = LruDict(MAX_FAMILIES)

    def __len__(self) -> int:
        return len(self._missed)

    def is_in_demand(
        self, partition: str, narrow: QueryShape, wide: QueryShape, now: float
    ) -> bool:
        """Count `narrow` as missed; whether `wide` should be requested in its place."""
        family = (partition, wide)
        parts = self._missed.get(family)
        self._missed[family] = parts = LruDict(PARTS_PER_FAMILY) if parts is None else parts
        parts[narrow.path, narrow.chosen] = now
        recent = [path for (path, _), at in parts.items() if now - at < DEMAND_WINDOW_S]
        is_rejected = now < self._rejected_until.get(family, 0.0)
        return len(recent) > 1 and wide.path in recent and not is_rejected

    def reject(self, partition: str, wide: QueryShape, now: float) -> None:
        """Do not widen to this shape for REJECTED_S seconds."""
        self._rejected_until[partition, wide] = now + REJECTED_S
