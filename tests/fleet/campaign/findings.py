"""Findings of a campaign: what clients saw, and the moments when two nodes led."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import count

from tests.bench.figures import verdict
from tests.fleet.nodes import now

EXAMPLES = 4
"""That are shown of each kind of failure."""


@dataclass(slots=True)
class Findings:
    """Counts, and each thing that must not be."""

    compared: int = 0
    """Responses, or parts of one, that were compared with the truth."""
    wrong: list[str] = field(default_factory=list)
    two_leaders: list[str] = field(default_factory=list)
    unhealed: list[str] = field(default_factory=list)
    healed_s: list[float] = field(default_factory=list)
    """From the end of the last fault until every node serves reads and writes."""
    sent: Counter[str] = field(default_factory=Counter)
    """Requests to nodes without a fault, by kind."""
    failed: Counter[str] = field(default_factory=Counter)
    """Of those, by kind and what the client got."""
    examples: list[str] = field(default_factory=list)
    longest_s: dict[str, float] = field(default_factory=dict)
    faults: Counter[str] = field(default_factory=Counter)
    events: list[str] = field(default_factory=list)
    """What happened when, in seconds from the begin."""
    _led_at: dict[int, float] = field(default_factory=dict)
    """When each term was first seen."""
    _numbers: Iterator[int] = field(default_factory=count)
    _began_at: float = field(default_factory=now)

    def begin(self, kind: str, fault: str) -> None:
        """A fault begins."""
        self.faults[kind] += 1
        self.event(fault)

    def event(self, text: str) -> None:
        self.events.append(f"{now() - self._began_at:.2f} {text}")

    def fail(self, what: str, detail: str) -> None:
        """A request failed at a node without a fault."""
        self.failed[what] += 1
        if self.failed[what] <= EXAMPLES:
            at = now() - self._began_at
            self.examples.append(f"{at:.2f} {what} {detail}; faults: {self.events[-6:]}")

    def accuse(self, what: list[str], text: str) -> None:
        """Something that must not be; shown at once, with the faults before it."""
        what.append(text)
        if len(what) <= 20:
            print(f"  {now() - self._began_at:.2f} {text}; faults: {self.events[-12:]}", flush=True)

    def leads(self, address: str, term: int, asked_at: float) -> None:
        """A node says that it leads, by now or since it was asked."""
        later = [each for each in self._led_at if each > term and self._led_at[each] < asked_at]
        if later:
            self.accuse(self.two_leaders, f"{address} leads in term {term}, and {later} had begun")
        self._led_at.setdefault(term, now())

    def name(self) -> str:
        """A name for a write that no other has."""
        return f"v{next(self._numbers)}"

    def report(self) -> str:
        """All lines."""
        took_s = now() - self._began_at
        lines = [
            f"{self.faults.total()} faults in {took_s:.0f} s: {dict(self.faults.most_common())}",
            f"{self.compared} responses compared; {dict(self.sent)} requests",
            verdict("wrong", len(self.wrong), most=0),
            verdict("moments with two acting leaders", len(self.two_leaders), most=0),
            verdict("times not healed", len(self.unhealed), most=0),
            verdict("s, the longest until healed", max(self.healed_s, default=0.0), most=10),
        ]
        for kind, sent in sorted(self.sent.items()):
            failed = {text: n for text, n in self.failed.items() if text.startswith(kind)}
            share, longest_s = sum(failed.values()) / sent, self.longest_s.get(kind, 0.0)
            lines.append(f"  {kind}: {share:.2%} failed {failed}, longest {longest_s:.1f} s")
        return "\n".join([*lines, *self.examples])
