"""Whether to ask at all: what fails most of the time is left alone, and tried again gently. Pure.

Seconds are those of a clock that never runs backwards; jitter is between 0 and 1.
"""

from collections import deque
from dataclasses import dataclass, field
from typing import Literal

WINDOW_S = 30.0
"""As long as Trello itself may take for one answer."""
MIN_FAILURES = 10
"""Fewer prove nothing."""
FAILED_SHARE = 0.5
"""Of what was answered or failed in a window; from so much on it is open."""
FIRST_PAUSE_S = 2.0
MAX_PAUSE_S = 60.0
GOOD_PROBES = 3
"""So many in a row close it."""
MAX_CLIENTS = 20
"""Told apart in one slice of a window."""
_SLICE_S = 3.0
_GOOD, _FAILED = 0, 1

State = Literal["closed", "half-open", "open"]


@dataclass(slots=True)
class _Slice:
    """Part of a window: by client, how many requests went well and how many failed."""

    number: int
    clients: dict[str, list[int]] = field(default_factory=dict)

    def counts_of(self, client: str) -> list[int]:
        """A client's two counts; further clients than MOST_CLIENTS share one entry."""
        if client not in self.clients and len(self.clients) >= MAX_CLIENTS:
            client = ""
        return self.clients.setdefault(client, [0, 0])


class CircuitBreaker:
    """Closed while most goes well; open for a pause; then one probe at a time.

    Of every request that `enter` let go, `succeed`, `fail` or `leave` tells what came of it, with
    what `enter` returned; what was sent before it opened closes nothing and opens nothing anew.
    """

    def __init__(self, *, is_shared: bool = False) -> None:
        """`is_shared`: by several clients, so it opens only if it fails for more than one."""
        self._is_shared = is_shared
        self._slices: deque[_Slice] = deque()
        self._is_closed = True
        self._until = 0.0
        self._pause_s = 0.0
        self._is_probed = False
        self._good_probes = 0

    def state(self, now: float) -> State:
        if self._is_closed:
            return "closed"
        return "open" if now < self._until else "half-open"

    def wait_s(self, now: float) -> float:
        """Seconds until another may be sent; 0 where it may be now."""
        if self._is_closed:
            return 0.0
        return FIRST_PAUSE_S if self._is_probed else max(0.0, self._until - now)

    def acquire(self) -> bool:
        """One is sent, where `wait_s` is 0; whether it is a probe."""
        self._is_probed = not self._is_closed
        return self._is_probed

    def release(self, *, is_probe: bool) -> None:
        """One was not sent after all, or nobody waits for its answer any more."""
        self._is_probed = self._is_probed and not is_probe

    def succeed(self, now: float, *, is_probe: bool, client: str = "") -> bool:
        """One went well; whether that closed it."""
        if self._is_closed:
            self._slice(now).counts_of(client)[_GOOD] += 1
        if self._is_closed or not is_probe:
            return False
        self._is_probed = False
        self._good_probes += 1
        if self._good_probes < GOOD_PROBES:
            return False
        self._is_closed = True
        self._pause_s = 0.0
        self._slices.clear()
        return True

    def fail(self, now: float, jitter: float, *, is_probe: bool, client: str = "") -> bool:
        """One failed; whether that opened it."""
        was_closed = self._is_closed
        if was_closed:
            self._slice(now).counts_of(client)[_FAILED] += 1
            if not self._fails_too_often(now):
                return False
        elif not is_probe:
            return False
        self._is_closed = self._is_probed = False
        self._good_probes = 0
        self._pause_s = min(MAX_PAUSE_S, self._pause_s * 2 or FIRST_PAUSE_S)
        self._until = now + self._pause_s * (1 + jitter) / 2
        return was_closed

    def _slice(self, now: float) -> _Slice:
        number = int(now // _SLICE_S)
        if not self._slices or self._slices[-1].number != number:
            self._slices.append(_Slice(number))
            while self._slices[0].number <= number - WINDOW_S // _SLICE_S:
                self._slices.popleft()
        return self._slices[-1]

    def _fails_too_often(self, now: float) -> bool:
        """Whether most failed; of a shared one, also without the client with most failures."""
        self._slice(now)
        clients: dict[str, list[int]] = {}
        for each in self._slices:
            for name, (good, failed) in each.clients.items():
                counts = clients.setdefault(name, [0, 0])
                counts[_GOOD] += good
                counts[_FAILED] += failed
        good, failed = (sum(counts[at] for counts in clients.values()) for at in (_GOOD, _FAILED))
        if failed < MIN_FAILURES or not _is_most(good, failed):
            return False
        if not self._is_shared:
            return True
        worst = max(clients.values(), key=lambda counts: counts[_FAILED])
        return _is_most(good - worst[_GOOD], failed - worst[_FAILED])


def _is_most(good: int, failed: int) -> bool:
    return failed > 0 and failed >= FAILED_SHARE * (good + failed)
