"""Circuit breaker: stops requests while most fail, then sends single probes.

Deterministic, no I/O. Times are seconds of a monotonic clock; jitter is between 0 and 1.
"""

from collections import deque
from dataclasses import dataclass, field
from typing import Literal

WINDOW_S = 30.0
"""As long as Trello itself may take for one response."""
MIN_FAILURES = 10
"""Fewer failures in a window never open a breaker."""
FAILED_SHARE = 0.5
"""Share of failures in a window that opens a breaker."""
FIRST_PAUSE_S = 2.0
MAX_PAUSE_S = 60.0
SUCCESSFUL_PROBES = 3
"""Successful probes in a row that close a breaker."""
MAX_CLIENTS = 20
"""Clients counted separately in one slice of a window."""
_SLICE_S = 3.0
_SUCCEEDED, _FAILED = 0, 1

State = Literal["closed", "half-open", "open"]


@dataclass(slots=True)
class _Slice:
    """Part of a window: successful and failed requests by client."""

    number: int
    clients: dict[str, list[int]] = field(default_factory=dict)

    def counts_of(self, client: str) -> list[int]:
        """A client's two counts; clients beyond MAX_CLIENTS share one entry."""
        if client not in self.clients and len(self.clients) >= MAX_CLIENTS:
            client = ""
        return self.clients.setdefault(client, [0, 0])


class CircuitBreaker:
    """Closed while most requests succeed; open for a pause; then one probe at a time."""

    def __init__(self, *, is_shared: bool = False) -> None:
        """`is_shared`: used by several clients, and opens only if it fails for more than one."""
        self._is_shared = is_shared
        self._slices: deque[_Slice] = deque()
        self._is_closed = True
        self._until = 0.0
        self._pause_s = 0.0
        self._is_probing = False
        self._successful_probes = 0

    def state(self, now: float) -> State:
        if self._is_closed:
            return "closed"
        return "open" if now < self._until else "half-open"

    def wait_s(self, now: float) -> float:
        """Seconds until another request may be sent; 0 if one may be sent now."""
        if self._is_closed:
            return 0.0
        return FIRST_PAUSE_S if self._is_probing else max(0.0, self._until - now)

    def acquire(self, client: str = "") -> "Call":
        """Begin a request of `client`, when `wait_s` is 0; a probe unless the breaker is closed."""
        self._is_probing = not self._is_closed
        return Call(self, client, is_probe=self._is_probing)

    def resume(self, now: float, client: str = "") -> "Call":
        """Take up a request again that has ended, because its body failed."""
        return Call(self, client, is_probe=self.state(now) == "half-open")

    def succeed(self, call: "Call", now: float) -> bool:
        """Count a success; whether that closed the breaker."""
        if self._is_closed:
            self._slice(now).counts_of(call.client)[_SUCCEEDED] += 1
        if self._is_closed or not call.is_probe:
            return False
        self._is_probing = False
        self._successful_probes += 1
        if self._successful_probes < SUCCESSFUL_PROBES:
            return False
        self._is_closed = True
        self._pause_s = 0.0
        self._slices.clear()
        return True

    def fail(self, call: "Call", now: float, jitter: float) -> bool:
        """Count a failure; whether that opened the breaker."""
        was_closed = self._is_closed
        if was_closed:
            self._slice(now).counts_of(call.client)[_FAILED] += 1
            if not self._fails_too_often(now):
                return False
        elif not call.is_probe:
            return False
        self._is_closed = self._is_probing = False
        self._successful_probes = 0
        self._pause_s = min(MAX_PAUSE_S, self._pause_s * 2 or FIRST_PAUSE_S)
        self._until = now + self._pause_s * (1 + jitter) / 2
        return was_closed

    def cancel(self, call: "Call") -> None:
        """Count nothing; a cancelled probe lets the next one be sent."""
        self._is_probing = self._is_probing and not call.is_probe

    def _slice(self, now: float) -> _Slice:
        number = int(now // _SLICE_S)
        if not self._slices or self._slices[-1].number != number:
            self._slices.append(_Slice(number))
            while self._slices[0].number <= number - WINDOW_S // _SLICE_S:
                self._slices.popleft()
        return self._slices[-1]

    def _fails_too_often(self, now: float) -> bool:
        """Whether most requests failed; if shared, also without the client that failed most."""
        self._slice(now)
        clients: dict[str, list[int]] = {}
        for each in self._slices:
            for name, (succeeded, failed) in each.clients.items():
                counts = clients.setdefault(name, [0, 0])
                counts[_SUCCEEDED] += succeeded
                counts[_FAILED] += failed
        succeeded, failed = (
            sum(counts[at] for counts in clients.values()) for at in (_SUCCEEDED, _FAILED)
        )
        if failed < MIN_FAILURES or not _is_most(succeeded, failed):
            return False
        if not self._is_shared:
            return True
        worst = max(clients.values(), key=lambda counts: counts[_FAILED])
        return _is_most(succeeded - worst[_SUCCEEDED], failed - worst[_FAILED])


@dataclass(frozen=True, slots=True)
class Call:
    """One request through a breaker; `succeed`, `fail` or `cancel` ends it.

    A request sent before the breaker opened neither closes it nor prolongs its pause.
    """

    breaker: CircuitBreaker
    client: str
    is_probe: bool

    def succeed(self, now: float) -> bool:
        """Count a success; whether that closed the breaker."""
        return self.breaker.succeed(self, now)

    def fail(self, now: float, jitter: float) -> bool:
        """Count a failure; whether that opened the breaker."""
        return self.breaker.fail(self, now, jitter)

    def cancel(self) -> None:
        """Count nothing: the request was not sent, or its client disconnected."""
        self.breaker.cancel(self)


def _is_most(succeeded: int, failed: int) -> bool:
    return failed > 0 and failed >= FAILED_SHARE * (succeeded + failed)
