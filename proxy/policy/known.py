"""What is known of the object that a path names, beside what an answer shows of it."""

from collections.abc import Mapping
from dataclasses import dataclass, field


def _nothing() -> Mapping[str, str]:
    return {}


@dataclass(frozen=True, slots=True)
class ObjectInfo:
    """Learned from other answers, and still so as far as anybody has noticed."""

    id: str | None = None
    """What the name in the path stands for, in full."""
    is_mutable: bool = False
    """Whether that name, a username or an organization's, may be given to another object."""
    owners: Mapping[str, str] = field(default_factory=_nothing)
    """What the object belongs to, by the member that shows it: `idBoard`, `idCard`."""


NOTHING = ObjectInfo()
