"""History of registers: writes and reads with their times, and which reads were wrong. Pure.

A register holds one version at a time, and each write has a version of its own. The rule: a read
that began after a write was acknowledged shows it, or one that may have been made after it. A write
of unknown outcome may be made at any time, once, or never. Two reads at one time may differ, and a
read does not bind a later one.
"""

from bisect import bisect_left
from collections.abc import Hashable
from dataclasses import dataclass, field
from math import inf

MAX_WRITES = 500
"""Of one register that are kept: only late writes and reads of minutes are older."""


@dataclass(slots=True)
class Write:
    """A write of a version."""

    version: Hashable
    invoked_at: float
    """It was not made before."""
    made_by: float = inf
    """It was made before this; infinity: perhaps later, perhaps never."""
    acknowledged_at: float = inf
    """When its client knew; infinity: it does not."""


@dataclass(frozen=True, slots=True)
class Read:
    """A read that showed a version."""

    version: Hashable
    invoked_at: float
    returned_at: float
    node: str = ""
    """That the client requested it from."""


@dataclass(slots=True)
class Register:
    """The writes of one thing in the order in which they were invoked."""

    first: Hashable
    writes: list[Write] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.writes.append(Write(self.first, -inf, -inf, -inf))

    def write(self, version: Hashable, invoked_at: float) -> Write:
        """A write begins; `made` and `acknowledge` may follow."""
        self.writes.append(Write(version, invoked_at))
        del self.writes[: max(0, len(self.writes) - MAX_WRITES)]
        return self.writes[-1]

    def fault_of(self, read: Read) -> str:
        """Why the read is wrong; empty if it is not."""
        shown = [each for each in self.writes if each.version == read.version]
        begun = [each for each in shown if each.invoked_at <= read.returned_at]
        if not begun:
            return f"{read.version} was never written" if not shown else f"{read.version} is to be"
        for each in begun:
            each.made_by = min(each.made_by, read.returned_at) if len(shown) == 1 else each.made_by
        made_by = max(each.made_by for each in begun)
        newer = self._acknowledged_since(made_by, read.invoked_at)
        return f"{read.version} after {newer} was acknowledged" if newer is not None else ""

    def _acknowledged_since(self, made_by: float, before: float) -> Hashable | None:
        """The version of a write that began after `made_by` and was acknowledged `before`."""
        first = bisect_left(self.writes, made_by, key=lambda each: each.invoked_at)
        for each in self.writes[first:]:
            if each.invoked_at > made_by and each.acknowledged_at < before:
                return each.version
        return None
