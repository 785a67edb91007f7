"""Session bound: ends what waits for a leader once this node has no session with it.

Such a leader may never respond. What waits for one through a follower that is not needed any more
has time to end.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from proxy.fleet.node import Leader, Node
from proxy.runtime.tasks import TaskSet
from proxy.server.fleet.peer_client import PeerUnreachable

IDLE_S = 60.0
"""A body that does not go on for this long has ended."""


class SessionBound:
    """Watches the session with the leader."""

    def __init__(self, node: Node) -> None:
        self._node = node
        self._waiting: dict[Leader, set[asyncio.Timeout]] = {}
        self._tasks = TaskSet()

    def start(self) -> None:
        """Watch."""
        self._tasks.spawn(self._run())

    async def stop(self) -> None:
        """Watch no more."""
        await self._tasks.stop()

    @asynccontextmanager
    async def until_lost(
        self, leader: Leader, at_most_s: float | None = None
    ) -> AsyncIterator[None]:
        """TimeoutError once the session is over; PeerUnreachable if it is over already."""
        if not self._node.reaches(leader):
            raise PeerUnreachable  # no later change would end it
        async with asyncio.timeout(at_most_s) as limit:
            waiting = self._waiting.setdefault(leader, set())
            waiting.add(limit)
            try:
                yield
            finally:
                waiting.discard(limit)
                if not waiting and self._waiting.get(leader) is waiting:
                    del self._waiting[leader]

    async def _run(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            for leader, waiting in [*self._waiting.items()]:
                if self._node.reaches(leader):
                    continue
                is_led = self._node.reaches(leader._replace(through=""))
                ends_at = loop.time() + (IDLE_S if is_led else 0)
                for limit in waiting:
                    at = limit.when()
                    if at is None or ends_at < at:
                        limit.reschedule(ends_at)
            await self._node.wait_for_change()
