"""Lease in Redis: a record that the leader renews, and that others may take when it stands still.

The record has no lifetime in Redis: whether it stands still is measured by the clock of the node
that wants it (`election.py`), so steps of Redis's clock do no harm. A term is fencing token and
number of the election: each is larger than all before.
"""

from collections.abc import Collection
from dataclasses import dataclass, field
from typing import NamedTuple, Protocol

MAX_MEMBERS = 32
"""Nodes in the register; one more cannot join."""


class Sighting(NamedTuple):
    """What changes with each renewal; equal sightings mean that there was none in between."""

    run_id: str
    """Of the Redis server: another one may have lost renewals."""
    term: int
    beat: int
    """Number of the renewal in the term; of a lease that no node holds, any number used once."""


@dataclass(frozen=True, slots=True)
class Record:
    """The lease as a node found it; term 0 if no node holds it."""

    run_id: str
    """Of the Redis server that was asked."""
    term: int = 0
    beat: int = 0
    address: str = ""
    """Of the holder."""
    free_on: str = ""
    """Run id of the server on which its holder released it; empty: it did not."""
    members: frozenset[str] = field(default_factory=frozenset)
    """Addresses in the register."""

    @property
    def is_free(self) -> bool:
        """Whether no node acts: it was released, and the server has run ever since."""
        return self.free_on != "" and self.free_on == self.run_id

    @property
    def sighting(self) -> Sighting:
        """To compare with a later one."""
        return Sighting(self.run_id, self.term, self.beat)


@dataclass(frozen=True, slots=True)
class Renewal:
    """A renewal that Redis confirmed."""

    run_id: str
    members: frozenset[str]


class LeaseStore(Protocol):
    """The lease and the register of members; methods raise only StoreError, within TIMEOUT_S.

    A StoreError says nothing about whether the command was carried out, or will be.
    """

    async def look(self) -> Record:
        """The lease as it is; enters this node in the register.

        Where there is none, one that no node holds is made.
        """

    async def acquire(self, seen: Sighting, known_term: int) -> int | None:
        """Take the lease if it still is as it was seen.

        The new term, larger than `known_term`; None if the lease has changed.
        """

    async def renew(
        self, term: int, beat: int, members: Collection[str], forgotten: Collection[str]
    ) -> Renewal | None:
        """Confirm the lease and complete the register; None if another node has taken the lease.

        A lease that Redis lost is set again.
        """

    async def release(self, term: int, *, leaves: bool = False) -> None:
        """Mark the lease free, if it is still this node's: it does not act any more.

        `leaves`: it leaves the register too.
        """

    async def close(self) -> None:
        """Leave the register, if Redis responds, and close the connection."""
