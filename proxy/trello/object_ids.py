"""The ids that a JSON answer shows: exact where shown, nothing where in doubt."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import TypeGuard

from proxy.http_semantics.json_members import object_of


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


MAX_PARSED_BYTES = 1 << 20
"""Larger answers are not parsed; what they do not show at once counts as not shown."""

MAX_IDS = 16
"""An answer that names more objects of one kind counts as naming none."""

_ID = re.compile(r"[0-9a-f]{24}")
_LEADING_ID = re.compile(rb'\s*\{\s*"id"\s*:\s*"([0-9a-f]{24})"')
_NAMED = {
    # A quote inside a JSON string is escaped, so these find member names and nothing else.
    key: re.compile(rb'"' + key.encode() + rb'"\s*:\s*"([0-9a-f]{24})"')
    for key in ("idBoard", "idCard")
}


def is_id(text: object) -> TypeGuard[str]:
    """Whether this is an id in full, and not a shortLink, a name or `me`."""
    return isinstance(text, str) and _ID.fullmatch(text) is not None


class JsonIds:
    """A JSON body, looked into only as far as a question needs."""

    def __init__(self, body: bytes) -> None:
        self._body = body

    @cached_property
    def members(self) -> Mapping[str, object]:
        """The members of the object; empty if it is none, was cut, or is too large to parse."""
        if len(self._body) > MAX_PARSED_BYTES or not self._starts_with(b"{"):
            return {}
        return object_of(self._body)

    @property
    def id(self) -> str | None:
        """The `id` of the object itself."""
        leading = _LEADING_ID.match(self._body)
        return leading[1].decode() if leading else self.id_at("id")

    def id_at(self, *path: str) -> str | None:
        """The id found by following member names from the top."""
        found: object = self.members
        for key in path:
            found = found.get(key) if isinstance(found, Mapping) else None
        return found if is_id(found) else None

    def item_ids(self, key: str) -> frozenset[str]:
        """Every id that stands under `key` in an array of objects, at whatever depth."""
        if not self._starts_with(b"["):
            return frozenset()
        ids = frozenset(_NAMED[key].findall(self._body))
        return frozenset(each.decode() for each in ids) if len(ids) <= MAX_IDS else frozenset()

    def _starts_with(self, bracket: bytes) -> bool:
        return self._body[:64].lstrip().startswith(bracket)
