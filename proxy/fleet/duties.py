"""Duties of a leader: what the app does while this node leads, and not otherwise."""

from collections.abc import Collection
from typing import Protocol

from proxy.cache.store.succession import Succession
from proxy.fleet.barrier import Barrier
from proxy.model import CacheKey


class Duties(Protocol):
    """The leader's duties."""

    async def take_over(self, succession: Succession, barrier: Barrier) -> bool:
        """Open the store and begin; whether Redis has all that the last leader left there.

        StoreError or cancellation: this node gives the lease back. It acts when this returns.
        `barrier`: gets each invalidation of the store.
        """

    def step_down(self) -> None:
        """Stop everything at once and forget what is in memory; requests in progress fail."""

    async def hand_over(self) -> None:
        """Finish requests in progress, write everything to Redis and say there that it is so."""

    @property
    def is_behind(self) -> bool:
        """Whether Redis may lack something that was acknowledged to a client."""

    @property
    def watched_s(self) -> float:
        """Seconds for which watched boards count as watched, without another poll."""

    @property
    def wants_sample(self) -> bool:
        """Whether a hit is due to be verified."""

    def note_uses(self, keys: Collection[CacheKey]) -> None:
        """A follower served responses with these keys, if any, from its near cache."""
