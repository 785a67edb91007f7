"""The body of a reply, as far as it was received: counted, and held until it is handed on."""

from collections import deque
from collections.abc import AsyncGenerator
from contextlib import aclosing

from proxy.errors import MemoryFull
from proxy.observability.metrics import Metrics, count
from proxy.runtime.memory_budget import MemoryBudget
from proxy.upstream.transport import UpstreamResponse

UNCOUNTED_BYTES = 256 * 1024
"""Of one body; what is held beyond it is counted in `limits.memory`. There are at most as many
bodies as connections to Trello."""


class ReceivedBody:
    """One body; `release` ends what is counted of it."""

    def __init__(self, response: UpstreamResponse, metrics: Metrics, memory: MemoryBudget) -> None:
        self._chunks = response.chunks()
        self._metrics = metrics
        self._hold = memory.hold()
        self._held: deque[bytes] = deque()
        self._size_bytes = self._counted_bytes = 0

    async def read(self, most_bytes: int) -> bool:
        """Receive all of it; False where it is longer than that, or than may be held now."""
        async for chunk in self._chunks:
            count(self._metrics.upstream_bytes, "received", len(chunk))
            self._held.append(chunk)
            if not self.may_hold(len(chunk)) or self._size_bytes > most_bytes:
                return False
        return True

    def may_hold(self, more_bytes: int) -> bool:
        """Whether so many more may be held on its account; they are counted then."""
        self._size_bytes += more_bytes
        if self._size_bytes <= UNCOUNTED_BYTES:
            return True
        try:
            self._hold.take("responses", more_bytes)
        except MemoryFull:
            return False
        self._counted_bytes += more_bytes
        return True

    def whole(self) -> bytes:
        """What is held."""
        return b"".join(self._held)

    async def rest(self) -> AsyncGenerator[bytes, None]:
        """All of it, from the first byte on; what is handed on is held no more."""
        while self._held:
            chunk = self._held.popleft()
            counted_bytes = min(len(chunk), self._counted_bytes)
            self._counted_bytes -= counted_bytes
            self._hold.give_back("responses", counted_bytes)
            yield chunk
        async with aclosing(self._chunks) as chunks:
            async for chunk in chunks:
                count(self._metrics.upstream_bytes, "received", len(chunk))
                yield chunk

    def release(self) -> None:
        self._hold.release()
