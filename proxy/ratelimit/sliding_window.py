"""How many requests a limit of Trello's leaves us, and when the next may go. Pure: time is told.

Nobody says whether Trello's windows are fixed or slide. At most `most` arrivals in *any* window is
right for both; and since a request arrives at some moment between being sent and being answered,
it counts from the one until a window after the other. Seconds are those of a clock that never runs
backwards.

Other programs may use the same key. What an answer says is left, less all that we may have sent
without its being counted there, is believed where it is less than our own count leaves.
"""

from collections import deque
from dataclasses import dataclass
from itertools import islice
from math import ceil, inf

from proxy.ratelimit.upstream_headers import RateLimitHeader

RESERVE = 33
"""One in so many requests is kept for people, where a bucket has so many."""
_PACED_WINDOW_S = 60.0
"""In a longer window requests are not spaced: nobody would wait for that."""
_PREDICTION_STEPS = 10
"""In a window, at a bucket that others use, when what is left is kept for people."""
_LATENCY_WEIGHT = 0.1


@dataclass(frozen=True, slots=True)
class SentRequest:
    """One request that a bucket counts."""

    at: float
    sent_before: int
    """How many had been sent before it, ever."""
    in_flight: int
    """Others that were in flight then."""
    counted: int
    """What the bucket counted then, this one included."""


@dataclass(frozen=True, slots=True)
class _Observed:
    """What the request sent last of all that were answered was told."""

    sent: SentRequest
    remaining: RateLimitHeader
    other_clients: int
    """So many requests, at least, were other programs'."""


class SlidingWindowLimit:
    """`ceiling` requests in any `window_s` seconds, as the operator allows."""

    def __init__(self, ceiling: int, window_s: float) -> None:
        self.limit = ceiling
        self.window_s = window_s
        self._configured_limit = ceiling
        self._configured_window_s = window_s
        self._in_flight = 0
        self._answered: deque[float] = deque()
        """When; those of a window ago are taken out, so it holds `most` and what is in flight."""
        self._sent = 0
        self._last_at = -inf
        self._latency_s = 0.0
        self._observed: _Observed | None = None
        self._blocked_until = -inf
        self._is_uncertain = False
        """Whether it ran over, and no good answer has come since."""

    def reconfigure(self, ceiling: int, window_s: float) -> None:
        """Another limit, from here on; what was sent still counts."""
        self.limit = self._configured_limit = ceiling
        self.window_s = self._configured_window_s = window_s

    @property
    def reserve(self) -> int:
        """Requests that only people may use."""
        return self.limit // RESERVE

    def used(self, now: float) -> int:
        """Requests that may count at Trello."""
        answered, since = self._answered, now - self.window_s
        while answered and answered[0] <= since:
            answered.popleft()
        return self._in_flight + len(answered)

    def remaining(self, now: float) -> int:
        """Requests that may go at once, the reserve left out."""
        if self.earliest_send_at(now, for_people=True) > now:
            return 0
        return max(
            0, int(min(self.limit - self.used(now), self._remaining_by_header(now))) - self.reserve
        )

    def reset_after_s(self, now: float) -> float:
        """Seconds until all of it is there again, should nothing more be sent."""
        if self._in_flight:
            return self.window_s
        last = self._answered[-1] + self.window_s if self.used(now) else now
        return max(last, self._blocked_until) - now

    def earliest_send_at(self, now: float, *, for_people: bool, in_line: bool = False) -> float:
        """When one more may go; `inf` where only an answer can tell.

        Those that had to wait `in_line`, and all beyond half of it, go evenly spaced, so that the
        next window has no rush; people do not.
        """
        if now < self._blocked_until:
            return self._blocked_until
        kept = 0 if for_people else self.reserve
        used = self.used(now)
        at = max(
            self._free_at(now, used + kept + 1 - self.limit), self._send_at_by_header(now, kept)
        )
        if not for_people and (in_line or used * 2 >= self.limit):
            at = max(at, self._last_at + self._gap_s)
        return at

    def predict(self, now: float, nth: int, *, for_people: bool) -> float:
        """When the `nth` in line may go, should those before it go as they can."""
        kept, gap_s = (0, 0.0) if for_people else (self.reserve, self._gap_s)
        first_at = self.earliest_send_at(now, for_people=for_people, in_line=True)
        at = (first_at if first_at < inf else now) + (nth - 1) * gap_s
        free = self.limit - kept - self.used(now)
        if nth <= free:
            return at
        cycle, place = divmod(nth - free - 1, self.limit - kept)
        round_s = self.window_s + self._latency_s
        freed_at = [each + self.window_s for each in islice(self._answered, place + 1)]
        if freed_at:
            at = max(at, freed_at[0] + (nth - max(0, free) - 1) * gap_s)
        if place >= len(freed_at):
            return max(at, now + round_s + cycle * round_s)
        return max(at, freed_at[place] + cycle * round_s)

    def acquire(self, now: float) -> SentRequest:
        """Count one that goes now."""
        sent = SentRequest(now, self._sent, self._in_flight, self.used(now) + 1)
        self._sent += 1
        self._in_flight += 1
        self._last_at = now
        return sent

    def release(self) -> None:
        """One that was taken never left the machine."""
        self._in_flight -= 1

    def end(self, sent: SentRequest, now: float, said: RateLimitHeader | None = None) -> None:
        """It was answered, which told `said`; or it will not be, and may have arrived."""
        self._in_flight -= 1
        self._answered.append(now)
        self._latency_s += _LATENCY_WEIGHT * (now - sent.at - self._latency_s)
        self._is_uncertain = self._is_uncertain and sent.at < self._blocked_until
        heard = self._observed
        if said is not None and (heard is None or sent.at >= heard.sent.at):
            self._fit(said)
            self._observed = _Observed(sent, said, self._other_clients(sent, said))
        elif heard is not None and sent.at >= heard.sent.at + self.window_s:
            self._observed = None

    def block(self, now: float, jitter: float) -> None:
        """It ran over: nothing more in this window, and a tenth of `jitter`, 0 to 1, of another.

        After that one goes alone, until it is answered.
        """
        self._blocked_until = max(self._blocked_until, now + self.window_s * (1 + jitter / 10))
        self._is_uncertain = True

    @property
    def _gap_s(self) -> float:
        """Between two that are spaced evenly."""
        return self.window_s / self.limit if self.window_s <= _PACED_WINDOW_S else 0.0

    def _free_at(self, now: float, missing: int) -> float:
        """When so many of those that count have ended to."""
        if missing <= 0:
            return now
        if missing > len(self._answered):
            return inf
        return self._answered[missing - 1] + self.window_s

    @property
    def _observed_if_shared(self) -> _Observed | None:
        """What was heard last, where it shows that other programs draw from this bucket too."""
        return (
            self._observed if self._observed is not None and self._observed.other_clients else None
        )

    def _remaining_now(self, heard: _Observed) -> int:
        """What Trello said is left, less all that may not be counted in it."""
        return (
            heard.remaining.remaining
            - heard.sent.in_flight
            - (self._sent - heard.sent.sent_before - 1)
        )

    def _remaining_by_header(self, now: float) -> float:
        """What is left by what was heard; `inf` where that says nothing."""
        heard = self._observed_if_shared
        if self._is_uncertain or (heard and now >= heard.sent.at + self.window_s):
            return 1 - self._in_flight
        if heard is None:
            return inf
        return min(
            self._remaining_now(heard), heard.remaining.limit - self.used(now) - heard.other_clients
        )

    def _send_at_by_header(self, now: float, kept: int) -> float:
        """When what was heard lets one more go.

        Where others draw from it too, an answer in flight is waited for; and after a while without
        one, somebody looks, alone.
        """
        heard = self._observed_if_shared
        if self._is_uncertain or (heard and now >= heard.sent.at + self.window_s):
            return now if not self._in_flight else inf
        if heard is None:
            return now
        left = self._remaining_now(heard)
        free_at = self._free_at(
            now, self.used(now) + heard.other_clients + kept + 1 - heard.remaining.limit
        )
        if left > kept:
            return free_at
        if self._in_flight:
            return inf
        look_s = self.window_s / _PREDICTION_STEPS if left > 0 else self.window_s
        return max(now, heard.sent.at + look_s)

    def _fit(self, said: RateLimitHeader) -> None:
        """No more than the operator allows, and than Trello says; in the longer of two windows."""
        ceiling, window_s = self._configured_limit, self._configured_window_s
        if ceiling * ceil(said.interval_s / window_s) > said.limit:
            ceiling, window_s = min(ceiling, said.limit), max(window_s, said.interval_s)
        self.limit, self.window_s = ceiling, window_s

    def _other_clients(self, sent: SentRequest, said: RateLimitHeader) -> int:
        """Requests in Trello's count that cannot be ours: so many at least."""
        if said.interval_s > self.window_s:
            return 0  # what we sent so long ago is not known any more
        ours = sent.counted + self._sent - sent.sent_before - 1
        return max(0, said.limit - said.remaining - ours)
