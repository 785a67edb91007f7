"""Duties of a leader: what the app does while this node leads, and not otherwise."""

from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True)
class Succession:
    """How a term begins."""

    term: int
    """Fencing token: Redis refuses changes of any lower term from now on."""
    witnessed_term: int
    """The stored responses are valid if this was the last term that changed Redis, or the last
    leader handed over; else a new generation begins. 0: this node knows of none."""


class Duties(Protocol):
    """The leader's duties."""

    async def take_over(self, succession: Succession) -> None:
        """Open the store and begin; StoreError or cancellation: this node gives the lease back.

        The node acts when this returns.
        """

    def step_down(self) -> None:
        """Stop everything at once and forget what is in memory; requests in progress fail."""

    async def hand_over(self) -> None:
        """Finish requests in progress, write everything to Redis and say there that it is so."""

    @property
    def is_behind(self) -> bool:
        """Whether Redis may lack something that was acknowledged to a client."""
