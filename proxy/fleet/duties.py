"""Duties of a leader: what the app does while this node leads, and not otherwise."""

from typing import Protocol

from proxy.cache.store.succession import Succession


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
