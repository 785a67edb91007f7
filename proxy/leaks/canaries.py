"""Credentials that open nothing, and the search for them in all that is said and kept."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import NamedTuple

from proxy.policy.spellings import Spelling, layers, spellings

ANSWERS = "answers"


@dataclass(frozen=True, slots=True)
class Canary:
    """A secret that must be nowhere."""

    name: str
    text: str = field(repr=False)
    may_be_answered: bool = False
    """Whether its own sender may hear it again."""


class Find(NamedTuple):
    """A canary where it must not be."""

    canary: str
    spelling: Spelling
    where: str


class Search:
    """Looks for the canaries; knows what it found, and in how much it looked."""

    def __init__(self, canaries: Iterable[Canary]) -> None:
        self.finds: dict[Find, None] = {}
        """In the order they were found; each once."""
        self.looked: dict[str, int] = {}
        """How many answers, log lines and so on."""
        self._forms = [(canary, spellings(canary.text)) for canary in canaries]

    @property
    def scope(self) -> str:
        """In how much it looked."""
        return ", ".join(f"{count:,} {kind}" for kind, count in self.looked.items())

    def look(self, kind: str, where: str, data: bytes) -> None:
        """Search one piece of a kind."""
        self.looked[kind] = self.looked.get(kind, 0) + 1
        for layer in layers(data):
            for canary, forms in self._forms:
                if kind == ANSWERS and canary.may_be_answered:
                    continue
                found = next((each for form, each in forms.items() if form in layer), None)
                if found is not None:
                    self.finds[Find(canary.name, found, where)] = None
