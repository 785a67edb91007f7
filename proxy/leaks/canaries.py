"""Credentials that open nothing, and the search for them in all that is said and kept."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import NamedTuple

from proxy.policy.spellings import Spelling, layers, spellings

RESPONSES = "answers"


@dataclass(frozen=True, slots=True)
class Canary:
    """A secret that must be nowhere."""

    name: str
    text: str = field(repr=False)
    may_be_returned: bool = False
    """Whether its own sender may hear it again."""


class Leak(NamedTuple):
    """A canary where it must not be."""

    canary: str
    spelling: Spelling
    where: str


class CanarySearch:
    """Looks for the canaries; knows what it found, and in how much it looked."""

    def __init__(self, canaries: Iterable[Canary]) -> None:
        self.leaks: dict[Leak, None] = {}
        """In the order they were found; each once."""
        self.searched: dict[str, int] = {}
        """How many answers, log lines and so on."""
        self._forms = [(canary, spellings(canary.text)) for canary in canaries]

    @property
    def scope(self) -> str:
        """In how much it looked."""
        return ", ".join(f"{count:,} {kind}" for kind, count in self.searched.items())

    def search(self, kind: str, where: str, data: bytes) -> None:
        """Search one piece of a kind."""
        self.searched[kind] = self.searched.get(kind, 0) + 1
        for layer in layers(data):
            for canary, forms in self._forms:
                if kind == RESPONSES and canary.may_be_returned:
                    continue
                found = next((each for form, each in forms.items() if form in layer), None)
                if found is not None:
                    self.leaks[Leak(canary.name, found, where)] = None
