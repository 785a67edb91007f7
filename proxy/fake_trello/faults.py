"""Faults for requests by path and method, a number of times or always."""

from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Literal

Kind = Literal["status", "html", "reset", "hang", "cut", "too_long", "too_short", "slow", "late"]


@dataclass(slots=True)
class Fault:
    """A fault for the requests that it matches.

    status: responds with `status` and `body`. html: a gateway's page with 200. reset: the
    connection is reset before any header. hang: no response until the server stops. cut: the body
    ends after `after_bytes`, with the full Content-Length. too_long, too_short: Content-Length is
    `after_bytes` more or fewer than sent. slow: `bytes_per_s`, a chunk each `every_s`. late: the
    response is sent `delay_s` seconds late.
    """

    kind: Kind
    path: str = "*"
    """A pattern for the path, as in fnmatch; paths of the storage host begin with /files/."""
    method: str | None = None
    times: int | None = 1
    """Number of requests it applies to; None for all."""
    applied: bool = False
    """Whether the request takes effect before the fault."""
    status: int = 503
    body: str = "Service Unavailable"
    content_type: str = "text/plain; charset=utf-8"
    fields: tuple[tuple[str, str], ...] = ()
    """Further header fields of a status or html response."""
    after_bytes: int = 10
    bytes_per_s: int = 1024
    every_s: float = 1.0
    delay_s: float = 1.0

    def matches(self, method: str, path: str) -> bool:
        """Whether it applies to this request."""
        return self.method in (None, method) and fnmatchcase(path, self.path)


class Faults:
    """The active faults, and conditions that hold for every request."""

    def __init__(self) -> None:
        self._faults: list[Fault] = []
        self.latency_s = 0.0
        """Delay of every response of the API and the storage host."""
        self.direct_downloads = False
        """Whether the API sends files itself instead of redirecting."""

    def add(self, fault: Fault) -> Fault:
        """Activate a fault; of several that match, the first applies."""
        self._faults.append(fault)
        return fault

    def clear(self) -> None:
        """Remove all faults and conditions."""
        self._faults.clear()
        self.latency_s = 0.0
        self.direct_downloads = False

    def take(self, method: str, path: str) -> Fault | None:
        """The fault for this request, which uses up one of its times."""
        for fault in self._faults:
            if not fault.matches(method, path):
                continue
            if fault.times is not None:
                fault.times -= 1
                if fault.times <= 0:
                    self._faults.remove(fault)
            return fault
        return None
