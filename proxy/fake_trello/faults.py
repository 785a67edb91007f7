"""What can go wrong on purpose: by path, by method, so many times."""

from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Literal

Kind = Literal["status", "html", "reset", "hang", "cut", "too_long", "too_short", "slow", "late"]


@dataclass(slots=True)
class Fault:
    """One thing going wrong for the requests it matches.

    status: answers `status` with `body`. html: a gateway's page with 200. reset: the connection is
    reset before any header. hang: no answer until the stand-in stops. cut: the body ends after
    `after_bytes`, its length announced whole. too_long, too_short: Content-Length names
    `after_bytes` bytes more or fewer than there are. slow: `bytes_per_s`, a chunk each second.
    late: the answer comes `delay_s` seconds late.
    """

    kind: Kind
    path: str = "*"
    """A pattern for the path, as in fnmatch; the storage host's paths begin with /files/."""
    method: str | None = None
    times: int | None = 1
    """How many requests it hits; None for all."""
    applied: bool = False
    """The request takes effect before it goes wrong."""
    status: int = 503
    body: str = "Service Unavailable"
    content_type: str = "text/plain; charset=utf-8"
    fields: tuple[tuple[str, str], ...] = ()
    """More header fields of a status or html answer."""
    after_bytes: int = 10
    bytes_per_s: int = 1024
    delay_s: float = 1.0

    def matches(self, method: str, path: str) -> bool:
        """Whether it hits this request."""
        return self.method in (None, method) and fnmatchcase(path, self.path)


class Faults:
    """The faults set up, and three lasting conditions."""

    def __init__(self) -> None:
        self._faults: list[Fault] = []
        self.latency_s = 0.0
        """Every answer of the API and the storage host comes so much later."""
        self.direct_downloads = False
        """The API gives the bytes itself instead of redirecting."""

    def add(self, fault: Fault) -> Fault:
        """Set one up; the first that matches a request hits it."""
        self._faults.append(fault)
        return fault

    def clear(self) -> None:
        """Nothing goes wrong any more."""
        self._faults.clear()
        self.latency_s = 0.0
        self.direct_downloads = False

    def take(self, method: str, path: str) -> Fault | None:
        """The fault that hits this request, once less to come."""
        for fault in self._faults:
            if not fault.matches(method, path):
                continue
            if fault.times is not None:
                fault.times -= 1
                if fault.times <= 0:
                    self._faults.remove(fault)
            return fault
        return None
