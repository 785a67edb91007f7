"""Request log of the fake Trello, without credentials."""

import re
from collections import Counter, deque
from collections.abc import Mapping
from dataclasses import dataclass

_MAX_REQUESTS = 10_000
_CREDENTIAL = re.compile(r"(?:^|&)(?:key|token|oauth_[a-z_]+)=[^&]*", re.IGNORECASE)
_SIGNATURE = re.compile(r"(?:^|&)X-(?:Expires|Signature)=[^&]*")
_TOKEN_PATH = re.compile(r"(/tokens?/)([^/?]+)", re.IGNORECASE)


@dataclass(slots=True)
class ReceivedRequest:
    """One received request."""

    host: str
    """api or storage."""
    method: str
    path: str
    query: str
    """As sent, without credentials and signatures."""
    fields: Mapping[str, str]
    """Header fields by lower-case name; the value of Authorization is its scheme."""
    body_bytes: int = 0
    credential: str | None = None
    """Where the key and token were sent: header, query or body."""
    status: int | None = None
    """Status of the response; None before it, and when the connection was broken."""

    @property
    def target(self) -> str:
        """Path and query."""
        return f"{self.path}?{self.query}" if self.query else self.path


class RequestLog:
    """Counts of all requests, and the last ones in full."""

    def __init__(self) -> None:
        self.reset()

    def reset(self) -> None:
        """Clear counts and requests."""
        self.counts: Counter[str] = Counter()
        """By method and path: "GET /1/cards/…"."""
        self.total = 0
        self.refused = 0
        """Number of 429 responses."""
        self.downloads = 0
        """Number of requests to the storage host."""
        self.requests: deque[ReceivedRequest] = deque(maxlen=_MAX_REQUESTS)

    def count(self, method: str, path: str) -> int:
        """Number of requests with this method and path."""
        return self.counts[f"{method} {path}"]

    def record(
        self, host: str, method: str, raw_path: str, fields: Mapping[str, str]
    ) -> ReceivedRequest:
        """Append a request."""
        path, _, query = raw_path.partition("?")
        path = _TOKEN_PATH.sub(r"\1***", path)
        query = _SIGNATURE.sub("", _CREDENTIAL.sub("", query)).lstrip("&")
        received = ReceivedRequest(host, method, path, query, _safe(fields))
        self.requests.append(received)
        self.counts[f"{method} {path}"] += 1
        if host == "api":
            self.total += 1
        else:
            self.downloads += 1
        return received

    def as_json(self) -> dict[str, object]:
        """The counts, for the control API."""
        return {
            "total": self.total,
            "refused": self.refused,
            "downloads": self.downloads,
            "counts": dict(self.counts),
        }


def _safe(fields: Mapping[str, str]) -> dict[str, str]:
    safe = {name.lower(): value for name, value in fields.items()}
    if "authorization" in safe:
        safe["authorization"] = safe["authorization"].partition(" ")[0]
    return safe
