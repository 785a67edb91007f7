"""The one door for invalidation: writes, the operator, and whatever else learns of a change.

What a write through the proxy touched is removed: nobody reads the state before it again. What
changed elsewhere is outdated: stale at once, and better than nothing while Trello fails.
"""

from collections.abc import Collection
from typing import Literal

from proxy.cache.store.store import ResponseStore
from proxy.model import Tag
from proxy.observability.log import Log
from proxy.observability.metrics import Metrics, count
from proxy.trello.tags import OWNERS_KNOWN

Cause = Literal["write", "purge"]
ExternalCause = Literal["poll", "webhook", "verification", "clock"]
"""How a change made elsewhere became known; `proof`: by a hit that was asked again; `clock`: none
did, but the clock was set back, and no age is known."""


class Invalidator:
    """Advances the store, and tells why."""

    def __init__(self, responses: ResponseStore, metrics: Metrics, log: Log) -> None:
        self._responses = responses
        self._metrics = metrics
        self._log = log

    def invalidate(self, tags: Collection[Tag], cause: Cause) -> None:
        """From here on nobody is told what was so before; synchronous, so nothing slips between."""
        self._responses.invalidate(tags)
        self._log_invalidation(tags, cause)

    def mark_stale(self, tags: Collection[Tag], cause: ExternalCause) -> None:
        """From here on what was so before is stale, and serves an error at most; synchronous."""
        self._responses.mark_stale(tags)
        self._log_invalidation(tags, cause)

    def checkpoint(self) -> int:
        """This moment, as a `seq` that whatever is asked from now on has, and nothing before.

        What was learned of owners before it is believed no more.
        """
        self._responses.mark_stale((OWNERS_KNOWN,))
        return self._responses.seq

    async def flush(self) -> None:
        """Return when the invalidations so far would survive a crash, or after a second at most."""
        await self._responses.flush()

    def _log_invalidation(self, tags: Collection[Tag], cause: Cause | ExternalCause) -> None:
        count(self._metrics.invalidations, cause)
        self._log.event("debug", "invalidated", cause=cause, tags=" ".join(sorted(tags)))
