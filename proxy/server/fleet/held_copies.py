"""Held copies: files that the leader takes from other nodes before it requests them from Trello."""

import asyncio
from collections.abc import AsyncGenerator, Callable, Collection
from functools import partial

from proxy.attachments.store.shared_file import FileOffer
from proxy.fleet.redis_holders import RedisHolders
from proxy.observability.metrics import Metrics
from proxy.server.fleet.peer_client import PeerClient
from proxy.server.fleet.peer_fetch import PeerFetch

IDLE_S = 1.0
"""Longest wait for another node's next bytes."""


class HeldCopies:
    """Sources of files whose digest is known (D82)."""

    def __init__(
        self,
        holders: RedisHolders,
        client: PeerClient,
        members: Callable[[], Collection[str]],
        metrics: Metrics,
    ) -> None:
        """`members`: addresses of the fleet's nodes; no other is connected to."""
        self._holders = holders
        self._client = client
        self._members = members
        self._metrics = metrics

    async def of(self, file_id: str, length: int | None) -> AsyncGenerator[PeerFetch, None]:
        """A source for each node that has the file, of this length if it is known."""
        for holder in await self._holders.find(file_id):
            if holder.address in self._members() and length in (None, holder.length):
                offer = FileOffer(
                    id=file_id,
                    length=holder.length,
                    content_type=holder.content_type,
                    start=0,
                    end=holder.length,
                    digest=holder.digest,
                )
                yield PeerFetch(
                    self._client,
                    holder.address,
                    offer,
                    0,
                    bound=partial(asyncio.timeout, IDLE_S),
                    metrics=self._metrics,
                )
