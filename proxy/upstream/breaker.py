"""Whether to ask at all: what fails most of the time is left alone, and tried again gently. Pure.

Seconds are those of a clock that never runs backwards; jitter is between 0 and 1.
"""

from collections import deque
from typing import Literal

WINDOW_S = 30.0
"""As long as Trello itself may take for one answer."""
MIN_FAILURES = 10
"""Fewer prove nothing."""
FAILED_SHARE = 0.5
"""Of what was answered or failed in a window; from so much on it is open."""
FIRST_PAUSE_S = 2.0
LONGEST_PAUSE_S = 60.0
GOOD_PROBES = 3
"""So many in a row close it."""
_SLICE_S = 3.0

State = Literal["closed", "half-open", "open"]


class Breaker:
    """Closed while most goes well; open for a pause; then one probe at a time.

    Of every request that `enter` let go, `succeed`, `fail` or `leave` tells what came of it, with
    what `enter` returned; what was sent before it opened closes nothing and opens nothing anew.
    """

    def __init__(self) -> None:
        self._slices: deque[list[int]] = deque()
        """Of a window: which slice, how many went well, how many failed."""
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

    def enter(self) -> bool:
        """One is sent, where `wait_s` is 0; whether it is a probe."""
        self._is_probed = not self._is_closed
        return self._is_probed

    def leave(self, *, is_probe: bool) -> None:
        """One was not sent after all, or nobody waits for its answer any more."""
        self._is_probed = self._is_probed and not is_probe

    def succeed(self, now: float, *, is_probe: bool) -> bool:
        """One went well; whether that closed it."""
        if self._is_closed:
            self._slice(now)[1] += 1
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

    def fail(self, now: float, jitter: float, *, is_probe: bool) -> bool:
        """One failed; whether that opened it."""
        was_closed = self._is_closed
        if was_closed:
            self._slice(now)[2] += 1
            if not self._fails_too_often(now):
                return False
        elif not is_probe:
            return False
        self._is_closed = self._is_probed = False
        self._good_probes = 0
        self._pause_s = min(LONGEST_PAUSE_S, self._pause_s * 2 or FIRST_PAUSE_S)
        self._until = now + self._pause_s * (1 + jitter) / 2
        return was_closed

    def _slice(self, now: float) -> list[int]:
        number = int(now // _SLICE_S)
        if not self._slices or self._slices[-1][0] != number:
            self._slices.append([number, 0, 0])
            while self._slices[0][0] <= number - WINDOW_S // _SLICE_S:
                self._slices.popleft()
        return self._slices[-1]

    def _fails_too_often(self, now: float) -> bool:
        self._slice(now)
        good, failed = (sum(each[at] for each in self._slices) for at in (1, 2))
        return failed >= MIN_FAILURES and failed >= FAILED_SHARE * (good + failed)
