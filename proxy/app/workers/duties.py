"""Standing duties: of a leader that is given, whose components live as long as it does (D74)."""

from collections.abc import Collection

from proxy.app.components import Components
from proxy.cache.store.succession import Succession
from proxy.fleet.barrier import Barrier
from proxy.model import CacheKey
from proxy.runtime.clock import Clock


class StandingDuties:
    """Duties of the parent; those of a worker, which never leads, are empty."""

    is_behind = False

    def __init__(self, clock: Clock) -> None:
        self.barrier: Barrier | None = None
        """Once it leads."""
        self.components: Components | None = None
        """Once they are built."""
        self._clock = clock

    async def take_over(self, succession: Succession, barrier: Barrier) -> bool:  # noqa: ARG002
        """As Duties.take_over."""
        self.barrier = barrier
        return True

    def step_down(self) -> None:
        """As Duties.step_down."""

    async def hand_over(self) -> None:
        """As Duties.hand_over."""

    @property
    def watched_s(self) -> float:
        """As Duties.watched_s."""
        if self.components is None:
            return 0.0
        until = self.components.services.cache.watched.current_until
        return max(0.0, until - self._clock.now())

    @property
    def wants_sample(self) -> bool:
        """As Duties.wants_sample."""
        return self.components is not None and self.components.services.verifier.wants_sample

    def note_uses(self, keys: Collection[CacheKey]) -> None:
        """As Duties.note_uses."""
        if self.components is not None and keys:
            cache = self.components.services.cache
            cache.watched.note_read()
            cache.recent_reads.note_uses(keys)

    def invalidate_copies(self) -> None:
        """Have the workers drop everything that they keep."""
        if self.barrier is not None:
            self.barrier.publish((), is_of_all=True)
