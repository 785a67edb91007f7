"""How many different parts of one answer are asked for: from two on, the whole is cheaper.

One of them must be of the very path: who reads a card or two has no use for all of its board.
"""

from collections import OrderedDict

from proxy.policy.projection import Chosen, Names, QueryShape

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
