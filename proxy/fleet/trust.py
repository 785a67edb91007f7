"""Trust of a follower: for how long it may use its near cache. Pure; times are of CLOCK_BOOTTIME.

It is a lease (Gray and Cheriton, 1989): TRUST_S from the moment at which the follower sent a ping
that an acting leader replied to. The leader counts from the ping's arrival, which is later, so a
trust that has ended by its clock has ended at the follower. An invalidation is over when each
follower has acknowledged it, or is trusted no longer.
"""

from dataclasses import dataclass

from proxy.fleet.timing import ACKNOWLEDGE_S, TRUST_S, at_least, at_most

_MAX_PINGS = 16
"""Sent without a reply; the session ends long before there are more."""


class Trust:
    """The follower's side."""

    def __init__(self, until: float = 0.0) -> None:
        self.until = until
        self._pinged_at: dict[int, float] = {}

    def pinged(self, number: int, now: float) -> None:
        """A ping with this number is about to be sent."""
        self._pinged_at[number] = now
        if len(self._pinged_at) > _MAX_PINGS:
            del self._pinged_at[next(iter(self._pinged_at))]

    def confirmed(self, number: int) -> float | None:
        """The acting leader replied to this ping; when it was sent, None if that is not known."""
        pinged_at = self._pinged_at.pop(number, None)
        if pinged_at is not None:
            self.until = max(self.until, pinged_at + at_most(TRUST_S))
        return pinged_at

    def end(self) -> None:
        """Use nothing any more; replies to earlier pings change nothing."""
        self.until = 0.0
        self._pinged_at.clear()


@dataclass(slots=True, eq=False)
class Holder:
    """One session of a follower that may use responses which it was given in it."""

    address: str
    instance: str
    """Random, of the follower's process."""
    acknowledged: int
    """Number of the last invalidation that it has applied."""
    until: float = 0.0
    """When its trust is over; 0 before its first ping, up to which it has no trust."""
    behind_since: float | None = None
    """When the first invalidation was sent that it has not acknowledged; None: it has all."""
    is_gone: bool = False
    """Whether it uses nothing any more; what it has sent before may still arrive."""


@dataclass(slots=True)
class PriorTrust:
    """What a leader waits for after a take-over: trust that an earlier leader gave."""

    until: float
    addresses: set[str] | None = None
    """Of followers that have not joined this leader yet; None: they are not known."""


class Holders:
    """The leader's side: sessions and invalidations of one term."""

    def __init__(self, prior: PriorTrust) -> None:
        self.number = 0
        """Of the last invalidation."""
        self._prior = prior
        self._holders: list[Holder] = []

    def expect(self, addresses: set[str] | None) -> None:
        """Only followers at these addresses may trust the earlier leader; None: any may."""
        self._prior.addresses = addresses

    def join(self, address: str, instance: str) -> Holder:
        """A session that begins now; its first ping says that nothing is used before the reply."""
        return Holder(address, instance, self.number)

    def joined(self, address: str) -> None:
        """The follower at this address uses nothing that an earlier leader gave it."""
        if self._prior.addresses is not None:
            self._prior.addresses.discard(address)

    def gone(self, holder: Holder) -> None:
        """The follower uses nothing any more: it said so, or its process has ended."""
        self.joined(holder.address)
        holder.is_gone = True
        self._holders = [each for each in self._holders if each is not holder]

    def ended(self, address: str) -> None:
        """The process of the follower at this address has ended, as its parent has seen."""
        self._holders = [each for each in self._holders if each.address != address]

    def pinged(self, holder: Holder, now: float) -> bool:
        """Trust the follower for TRUST_S more; False: it must join anew.

        Not if it has acknowledged nothing for long: else one that only pings would hold up writes.
        """
        if holder.is_gone:
            return True
        if holder.behind_since is not None and now > holder.behind_since + ACKNOWLEDGE_S:
            return False
        self.joined(holder.address)
        holder.until = now + at_least(TRUST_S)
        others = [each for each in self._holders if each.instance != holder.instance]
        self._holders = [*(each for each in others if now <= each.until), holder]
        return True

    def publish(self, now: float) -> int:
        """The number of a new invalidation."""
        self.number += 1
        for each in self._holders:
            if each.behind_since is None:
                each.behind_since = now
        return self.number

    def acknowledge(self, holder: Holder, number: int, now: float) -> None:
        """The follower has applied everything up to this number."""
        holder.acknowledged = max(holder.acknowledged, number)
        holder.behind_since = None if holder.acknowledged >= self.number else now

    def waits_until(self, number: int, now: float) -> float:
        """When to look again whether invalidation `number` is over; 0: it is over."""
        ends = [
            each.until for each in self._holders if each.acknowledged < number and now <= each.until
        ]
        if now <= self._prior.until and self._prior.addresses != set():
            ends.append(self._prior.until)
        return min(ends, default=0.0)
