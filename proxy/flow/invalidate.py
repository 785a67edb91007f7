"""The one door for invalidation: writes, the operator, and whatever else learns of a change."""

from collections.abc import Collection
from typing import Literal

from proxy.log import Log
from proxy.metrics import Metrics, count
from proxy.model import Tag
from proxy.store.responses import Responses

Cause = Literal["write", "purge", "webhook"]


class Invalidate:
    """Advances the store, and tells why."""

    def __init__(self, responses: Responses, metrics: Metrics, log: Log) -> None:
        self._responses = responses
        self._metrics = metrics
        self._log = log

    def apply(self, tags: Collection[Tag], cause: Cause) -> None:
        """From here on nobody is told what was so before; synchronous, so nothing slips between."""
        self._responses.invalidate(tags)
        count(self._metrics.invalidations, cause)
        self._log.event("debug", "invalidated", cause=cause, tags=" ".join(sorted(tags)))

    async def settled(self) -> None:
        """Return when the invalidations so far would survive a crash, or after a second at most."""
        await self._responses.flushed()
