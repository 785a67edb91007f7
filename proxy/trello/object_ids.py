"""Object ids in a JSON response: exact if shown, absent if in doubt."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property

from proxy.http_semantics.json_members import object_of
from proxy.model import is_id


def _nothing() -> Mapping[str, str]:
    return {}


@dataclass(frozen=True, slots=True)
class ObjectInfo:
    """Info on an object, learned from other responses and not invalidated since."""

    id: str | None = None
    """The full id of the object that the name in the path means."""
    is_mutable: bool = False
    """Whether that name (of a user or an organization) may be given to another object."""
    owners: Mapping[str, str] = field(default_factory=_nothing)
    """Ids of its owners by the member that shows them: `idBoard`, `idCard`."""


NOTHING = ObjectInfo()


MAX_PARSED_BYTES = 1 << 20
"""Larger responses are not parsed; ids not found by a search count as not shown."""

MAX_IDS = 16
"""A response with more objects of one kind counts as showing none."""

_LEADING_ID = re.compile(rb'\s*\{\s*"id"\s*:\s*"([0-9a-f]{24})"')
_NAMED = {
    # A quote in a JSON string is escaped, so these match member names only.
    key: re.compile(rb'"' + key.encode() + rb'"\s*:\s*"([0-9a-f]{24})"')
    for key in ("idBoard", "idCard")
}


class JsonIds:
    """The ids of a JSON body, parsed only as far as needed."""

    def __init__(self, body: bytes) -> None:
        self._body = body

    @cached_property
    def members(self) -> Mapping[str, object]:
        """The members of the object; empty if it is none, truncated, or too large to parse."""
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
        """All ids under `key` in an array of objects, at any depth."""
        if not self._starts_with(b"["):
            return frozenset()
        ids = frozenset(_NAMED[key].findall(self._body))
        return frozenset(each.decode() for each in ids) if len(ids) <= MAX_IDS else frozenset()

    def _starts_with(self, bracket: bytes) -> bool:
        return self._body[:64].lstrip().startswith(bracket)
