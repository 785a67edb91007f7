"""What answers have shown of names and owners; in memory, bounded, least recently used first out.

Whether a fact still holds is for its reader to ask: this only remembers what was said last.
"""

from collections import OrderedDict
from collections.abc import Iterable, Mapping

from proxy.model import FOR_EVER, Fact

MAX_FACTS = 50_000
"""About 20 MB of memory when full."""


class Aliases:
    """Facts, by what they are about."""

    def __init__(self) -> None:
        self._facts: OrderedDict[str, Fact] = OrderedDict()

    def __len__(self) -> int:
        return len(self._facts)

    def get(self, about: str) -> Fact | None:
        """The fact, now the most recently used one."""
        fact = self._facts.get(about)
        if fact is not None:
            self._facts.move_to_end(about)
        return fact

    def learn(self, facts: Iterable[Fact]) -> dict[str, str]:
        """Remember what was asked for last; of names that hold for ever, those that are new."""
        new: dict[str, str] = {}
        for fact in facts:
            held = self._facts.get(fact.about)
            if held is not None and held.ids == fact.ids:
                if fact.until != FOR_EVER:
                    self._put(_confirmed(held, fact))
            elif held is None or _asked(held) <= _asked(fact):
                self._put(fact)
                if fact.until == FOR_EVER:
                    new[fact.about] = fact.ids[0]
        return new

    def restore(self, names: Mapping[str, str]) -> None:
        """Take in the names that an earlier process had learned."""
        for about, known_id in names.items():
            if about not in self._facts:
                self._put(Fact(about, (known_id,), 0.0, 0, FOR_EVER))

    def _put(self, fact: Fact) -> None:
        self._facts[fact.about] = fact
        if len(self._facts) > MAX_FACTS:
            self._facts.popitem(last=False)


def _asked(fact: Fact) -> tuple[int, float]:
    return fact.asked_seq, fact.asked_at


def _confirmed(held: Fact, fact: Fact) -> Fact:
    """The later of two answers that say the same, used as long as either could be."""
    later = fact if _asked(fact) >= _asked(held) else held
    until = max(held.until, fact.until)
    return later if later.until == until else later._replace(until=until)
