"""The one door for invalidation: writes, the operator, and whatever else learns of a change.

What a write through the proxy touched is removed: nobody reads the state before it again. What
changed elsewhere is outdated: stale at once, and better than nothing while Trello fails.
"""

from collections.abc import Collection
from typing import Literal

from proxy.log import Log
from proxy.metrics import Metrics, count
from proxy.model import Tag
from proxy.policy.tags import OWNERS_KNOWN
from proxy.store.responses import Responses

Cause = Literal["write", "purge"]
News = Literal["watch", "webhook", "proof", "clock"]
"""How a change made elsewhere became known; `proof`: by a hit that was asked again; `clock`: none
did, but the clock was set back, and no age is known."""


class Invalidate:
    """Advances the store, and tells why."""

    def __init__(self, responses: Responses, metrics: Metrics, log: Log) -> None:
        self._responses = responses
        self._metrics = metrics
        self._log = log

    def apply(self, tags: Collection[Tag], cause: Cause) -> None:
        """From here on nobody is told what was so before; synchronous, so nothing slips between."""
        self._responses.invalidate(tags)
        self._tell(tags, cause)

    def outdate(self, tags: Collection[Tag], cause: News) -> None:
        """From here on what was so before is stale, and serves an error at most; synchronous."""
        self._responses.outdate(tags)
        self._tell(tags, cause)

    def moment(self) -> int:
        """This moment, as a `seq` that whatever is asked from now on has, and nothing before.

        What was learned of owners before it is believed no more.
        """
        self._responses.outdate((OWNERS_KNOWN,))
        return self._responses.seq

    async def settled(self) -> None:
        """Return when the invalidations so far would survive a crash, or after a second at most."""
        await self._responses.flushed()

    def _tell(self, tags: Collection[Tag], cause: Cause | News) -> None:
        count(self._metrics.invalidations, cause)
        self._log.event("debug", "invalidated", cause=cause, tags=" ".join(sorted(tags)))
