"""Audit entry: who did what, and how it ended; one JSON object a line. Pure."""

import json
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from proxy.http_semantics.parameters import Parameter, words_of

_ID = re.compile(r"[0-9a-f]{24}|[0-9A-Za-z]{8}")
"""An id or a shortLink of Trello's; a key or a token is longer."""
_MAX_OBJECTS = 20
"""Ids in one entry."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditEntry:
    """One line of the audit log; no query, no body, no credential."""

    at: float
    """POSIX seconds."""
    request_id: str
    client: str
    """The name of its key or certificate; empty for others."""
    user: str
    """The user that a trusted proxy names."""
    address: str
    method: str
    route: str
    objects: tuple[str, ...]
    """Ids of the objects that it names."""
    status: int | None
    """None: it is about to be sent to Trello."""
    problem: str = ""
    """The problem type, if the proxy refused it."""

    def as_dict(self) -> dict[str, object]:
        """The fields of the line."""
        time = datetime.fromtimestamp(self.at, UTC).isoformat(timespec="milliseconds")
        return {
            "time": time.replace("+00:00", "Z"),
            "id": self.request_id,
            "client": self.client,
            "user": self.user,
            "address": self.address,
            "method": self.method,
            "route": self.route,
            "objects": list(self.objects),
            "status": self.status,
            **({"problem": self.problem} if self.problem else {}),
        }

    def line(self) -> bytes:
        """The line, with its end."""
        return json.dumps(self.as_dict()).encode() + b"\n"


def object_ids(params: Iterable[tuple[str, str]], body: Sequence[Parameter]) -> tuple[str, ...]:
    """The ids in a path's parameters and in those of a body whose names begin with `id`."""
    found = dict.fromkeys((*_in_path(params), *_in_body(body)))
    return tuple(found)[:_MAX_OBJECTS]


def _in_path(params: Iterable[tuple[str, str]]) -> Iterator[str]:
    return (value for _, value in params if _ID.fullmatch(value))


def _in_body(body: Sequence[Parameter]) -> Iterator[str]:
    for name, value in body:
        if any(word.startswith("id") for word in words_of(name)):
            yield from (each for each in value.split(",") if _ID.fullmatch(each))
