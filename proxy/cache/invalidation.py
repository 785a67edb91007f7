"""Invalidation: the only way in which writes, the operator and detected changes reach the store.

What a write through the proxy changed is purged: no client reads the earlier state again. What
changed elsewhere is marked stale: revalidated before it is served, but better than an upstream
failure (D27).
"""

import asyncio
from collections.abc import Collection
from typing import Literal

from proxy.cache.store.store import ResponseStore
from proxy.model import Tag
from proxy.observability.log import Log
from proxy.observability.metrics import Metrics, count
from proxy.trello.tags import OWNERS_KNOWN

Cause = Literal["write", "purge"]
ExternalCause = Literal["poll", "webhook", "verification", "clock"]
"""How a change made elsewhere was detected; `clock`: set back, so ages are unknown."""


class Invalidator:
    """Invalidates tags in the store, counts and logs it."""

    def __init__(self, responses: ResponseStore, metrics: Metrics, log: Log) -> None:
        self._responses = responses
        self._metrics = metrics
        self._log = log

    def purge(self, tags: Collection[Tag], cause: Cause) -> None:
        """Purge what carries one of `tags`. Synchronous, so that no request comes in between."""
        self._responses.purge(tags)
        self._log_invalidation(tags, cause)

    def mark_stale(self, tags: Collection[Tag], cause: ExternalCause) -> None:
        """Mark what carries one of `tags` stale (soft purge). Synchronous as well."""
        self._responses.mark_stale(tags)
        self._log_invalidation(tags, cause)

    def checkpoint(self) -> int:
        """A `seq` that separates later requests from earlier ones.

        Owners learned before it are no longer used.
        """
        self._responses.mark_stale((OWNERS_KNOWN,))
        return self._responses.seq

    async def settle(self) -> None:
        """Return when no node serves what was invalidated so far, and a crash would not revive it.

        That takes milliseconds; seconds if another node has failed, one if the disk has.
        """
        barrier = self._responses.barrier
        if barrier is None:
            await self.flush()
        else:
            await asyncio.gather(barrier.confirmed(), self.flush())

    async def flush(self) -> bool:
        """Whether the invalidations so far would survive a crash; after a second at most."""
        return await self._responses.flush()

    def _log_invalidation(self, tags: Collection[Tag], cause: Cause | ExternalCause) -> None:
        count(self._metrics.invalidations, cause)
        self._log.event("debug", "invalidated", cause=cause, tags=" ".join(sorted(tags)))
