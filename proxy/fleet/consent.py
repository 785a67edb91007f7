"""Consent: promises of all other members not to run for leader while Redis is away. Pure.

No node can take over without Redis, and none that promised does so with it. So a leader that all
members have promised may act without a lease. A promise is also the notice that Redis may lack
something.
"""

from collections.abc import Collection

from proxy.fleet.timing import PROMISE_S, at_most


class Consent:
    """The leader's side: what it requested, and until when each member's promise holds."""

    def __init__(self) -> None:
        self._number = 0
        self._requested_at: dict[int, float] = {}
        self._until: dict[str, float] = {}

    @property
    def is_requested(self) -> bool:
        """Whether a promise was requested since the last renewal of the lease."""
        return bool(self._requested_at)

    def request(self, now: float) -> int:
        """Number of a new request, sent at `now`."""
        self._number += 1
        self._requested_at[self._number] = now
        recent = {n: at for n, at in self._requested_at.items() if at > now - PROMISE_S}
        self._requested_at = recent
        return self._number

    def give(self, address: str, number: int) -> bool:
        """A member promised; it counts from the sending of the request, if that is known."""
        requested_at = self._requested_at.get(number)
        if requested_at is None:
            return False
        until = requested_at + at_most(PROMISE_S)
        self._until[address] = max(self._until.get(address, 0.0), until)
        return True

    def is_unanimous(self, now: float, others: Collection[str]) -> bool:
        """Whether every other member keeps a promise now."""
        return self.is_requested and all(now < self._until.get(each, 0.0) for each in others)

    def clear(self) -> None:
        """Redis has everything again: promises given so far count no more.

        From now on followers learn from each pong that it is not behind.
        """
        self._requested_at.clear()
        self._until.clear()
