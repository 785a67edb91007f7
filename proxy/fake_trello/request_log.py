"""What the stand-in was asked, for tests and people to read; no credential is kept."""

import re
from collections import Counter, deque
from collections.abc import Mapping
from dataclasses import dataclass

_KEPT = 10_000
_CREDENTIAL = re.compile(r"(?:^|&)(?:key|token|oauth_[a-z_]+)=[^&]*", re.IGNORECASE)
_SIGNATURE = re.compile(r"(?:^|&)X-(?:Expires|Signature)=[^&]*")
_TOKEN_PATH = re.compile(r"(/tokens?/)([^/?]+)", re.IGNORECASE)


@dataclass(slots=True)
class ReceivedRequest:
    """One request: where it went, what it carried."""

    host: str
    """api or storage."""
    method: str
    path: str
    query: str
    """As sent, less credentials and signatures."""
    fields: Mapping[str, str]
    """Header fields by lower-case name; the value of Authorization is its scheme."""
    body_bytes: int = 0
    credential: str | None = None
    """Where the key and token stood: header, query or body."""
    status: int | None = None
    """What it was answered; None while it is not, or when the connection was broken."""

    @property
    def target(self) -> str:
        """Path and query."""
        return f"{self.path}?{self.query}" if self.query else self.path


class RequestLog:
    """Counts of everything asked of the API, and the last of it in full."""

    def __init__(self) -> None:
        self.reset()

    def reset(self) -> None:
        """Forget all."""
        self.counts: Counter[str] = Counter()
        """By method and path: "GET /1/cards/…"."""
        self.total = 0
        self.refused = 0
        """429s given."""
        self.downloads = 0
        """Requests to the storage host."""
        self.requests: deque[ReceivedRequest] = deque(maxlen=_KEPT)

    def count(self, method: str, path: str) -> int:
        """How often one thing was asked."""
        return self.counts[f"{method} {path}"]

    def record(
        self, host: str, method: str, raw_path: str, fields: Mapping[str, str]
    ) -> ReceivedRequest:
        """Write down a request that just came in."""
        path, _, query = raw_path.partition("?")
        path = _TOKEN_PATH.sub(r"\1***", path)
        query = _SIGNATURE.sub("", _CREDENTIAL.sub("", query)).lstrip("&")
        seen = ReceivedRequest(host, method, path, query, _safe(fields))
        self.requests.append(seen)
        self.counts[f"{method} {path}"] += 1
        if host == "api":
            self.total += 1
        else:
            self.downloads += 1
        return seen

    def as_json(self) -> dict[str, object]:
        """What the control surface tells."""
        return {
            "total": self.total,
            "refused": self.refused,
            "downloads": self.downloads,
            "counts": dict(self.counts),
        }


def _safe(fields: Mapping[str, str]) -> dict[str, str]:
    kept = {name.lower(): value for name, value in fields.items()}
    if "authorization" in kept:
        kept["authorization"] = kept["authorization"].partition(" ")[0]
    return kept
