"""Members of the fleet: the addresses of all nodes that may be alive. Pure.

During a term the leader's own list decides: the register in Redis is added to it and never
replaces it, because Redis may have lost members.
"""

from collections.abc import Collection, Iterable

from proxy.fleet.lease import MAX_MEMBERS
from proxy.fleet.timing import FORGET_MEMBER_S


class Members:
    """All nodes but this one, and when each was last in contact (CLOCK_BOOTTIME)."""

    def __init__(self, own_address: str) -> None:
        self._own_address = own_address
        self._seen_at: dict[str, float] = {}
        self._forgotten: set[str] = set()

    @property
    def others(self) -> Collection[str]:
        """Addresses of all but this node."""
        return self._seen_at.keys()

    def add(self, addresses: Iterable[str], now: float) -> None:
        """Enter those that are not known yet; others are left as they are."""
        for address in sorted(addresses):
            if address != self._own_address:
                self._seen_at.setdefault(address, now)
                self._forgotten.discard(address)

    def has_room_for(self, address: str) -> bool:
        """Whether the node at `address` can be a member."""
        return address in self._seen_at or len(self._seen_at) < MAX_MEMBERS - 1

    def contact(self, address: str, now: float) -> None:
        """The node at `address` is alive; one that is not a member is not entered."""
        if address in self._seen_at:
            self._seen_at[address] = now

    def leave(self, address: str) -> None:
        """The node at `address` ends, and will not run for leader."""
        if self._seen_at.pop(address, None) is not None:
            self._forgotten.add(address)

    def forget_silent(self, now: float) -> None:
        """Forget members without contact. Only with the lease: they would see it renewed."""
        for address, seen_at in [*self._seen_at.items()]:
            if now > seen_at + FORGET_MEMBER_S:
                self.leave(address)

    @property
    def forgotten(self) -> Collection[str]:
        """Addresses to remove from the register."""
        return tuple(self._forgotten)

    def registered(self, addresses: Iterable[str], removed: Collection[str], now: float) -> None:
        """Redis has `addresses` in its register, after `removed` were removed there."""
        self._forgotten.difference_update(removed)
        self.add(addresses, now)
