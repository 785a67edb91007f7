"""No duties: of a node whose part is built apart from the fleet's terms, as with workers (D74)."""

from collections.abc import Collection

from proxy.cache.store.succession import Succession
from proxy.fleet.barrier import Barrier
from proxy.model import CacheKey


class NoDuties:
    """Duties of a parent, whose components live as long as it does, and of workers."""

    is_behind = False
    watched_s = 0.0

    async def take_over(self, succession: Succession, barrier: Barrier) -> bool:  # noqa: ARG002
        """As Duties.take_over."""
        return True

    def step_down(self) -> None:
        """As Duties.step_down."""

    async def hand_over(self) -> None:
        """As Duties.hand_over."""

    def note_uses(self, keys: Collection[CacheKey]) -> None:
        """As Duties.note_uses."""
