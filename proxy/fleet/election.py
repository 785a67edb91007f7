"""Election: whether this node may take the lease now. Pure; times are of CLOCK_BOOTTIME.

A node takes the lease only after it has seen it unchanged for longer than the lease, by its own
clock: the last renewal was before, so its holder does not act by the lease any more. Whatever
Redis loses or whatever its clock does starts that wait again. A released lease is taken at once.
"""

from proxy.fleet.lease import Record, Sighting
from proxy.fleet.timing import APART_AFTER_S, LEASE_S, PROMISE_S, at_least


class Election:
    """What one node saw of the lease, and what it promised."""

    def __init__(self, started_at: float) -> None:
        """A process does not know what the one before it promised, so it begins bound."""
        self._promised_until = started_at + PROMISE_S
        self._seen: Sighting | None = None
        self._seen_at = started_at
        self._is_free = False
        self.is_renewed = False
        """Whether the lease had been renewed when it was last read: its holder is alive."""
        self._seeking_since: float | None = started_at

    def promise(self, now: float) -> None:
        """Do not run for PROMISE_S."""
        self._promised_until = max(self._promised_until, now + PROMISE_S)

    def has_promised(self, now: float) -> bool:
        """Whether a promise binds this node."""
        return now < self._promised_until

    def saw(self, sighting: Sighting, now: float) -> None:
        """The lease was like this, at `now` or before."""
        self._is_free = False
        if sighting != self._seen:
            self._seen, self._seen_at = sighting, now

    def looked(self, record: Record, now: float) -> None:
        """The lease was read from Redis; the reply arrived at `now`."""
        self.is_renewed = self._seen is not None and record.sighting != self._seen
        self.saw(record.sighting, now)
        self._is_free = record.is_free

    def is_forgotten(self, record: Record) -> bool:
        """Whether Redis has lost the lease since this node last looked, and no node has it."""
        seen = self._seen
        is_same_server = seen is not None and seen.run_id == record.run_id
        return record.term == 0 and is_same_server and seen != record.sighting

    def wait_s(self, now: float) -> float:
        """Seconds until this node may run, if the lease does not change; 0: it may now."""
        if self._is_free:
            return 0.0
        may_run_at = max(self._promised_until, self._seen_at + at_least(LEASE_S))
        return max(0.0, may_run_at - now)

    def seek(self, now: float) -> None:
        """This node has no leader, from now on."""
        if self._seeking_since is None:
            self._seeking_since = now

    def settle(self) -> None:
        """This node has a leader."""
        self._seeking_since = None

    def apart_in_s(self, now: float) -> float | None:
        """Seconds until this node serves by itself; 0: it does; None: it has a leader."""
        if self._seeking_since is None:
            return None
        return max(0.0, self._seeking_since + APART_AFTER_S - now)
