"""Body of an upstream response: received within a budget, inflated, redacted, links rewritten.

`ReceivedBody` reads it, `BodyFilter` processes it complete, `StreamedBody` as it arrives. Nothing
reaches a client, the store or the log before it is filtered.
"""

import asyncio
from collections import deque
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import dataclass, field

from proxy.credentials.redaction import Redactor
from proxy.errors import IncompleteResponse, MemoryFull
from proxy.http_semantics.content import (
    Gunzip,
    InvalidEncoding,
    gunzip,
    gzipped,
    identity_length,
)
from proxy.links.rewrite import LinkRewriter
from proxy.observability.metrics import Metrics, count
from proxy.runtime.memory_budget import MemoryBudget
from proxy.upstream.transport import UpstreamResponse

MAX_PLAIN_BYTES = 32 * 1024 * 1024
"""Identity form of a body that is held complete; a longer one is streamed."""
UNCOUNTED_BYTES = 256 * 1024
"""Part of each body that does not count towards `limits.memory`. There are at most as many bodies
as connections to Trello."""
_GZIP_RATIO = 8
"""Lower bound of the ratio between the identity form of Trello's bodies and gzip."""


class ReceivedBody:
    """The received bytes of one body; they count towards `limits.memory` until it is closed."""

    def __init__(self, response: UpstreamResponse, metrics: Metrics, memory: MemoryBudget) -> None:
        self._response = response
        self._metrics = metrics
        self._hold = memory.hold()
        self._chunks: deque[bytes] = deque()
        self._size_bytes = self._counted_bytes = 0

    async def receive(self, max_bytes: int) -> bool:
        """Receive the body; False if it is longer than `max_bytes` or than memory allows now."""
        while chunk := await self._receive_chunk():
            self._chunks.append(chunk)
            if not self.may_hold(len(chunk)) or self._size_bytes > max_bytes:
                return False
        return True

    def may_hold(self, more_bytes: int) -> bool:
        """Whether memory allows `more_bytes` more for this body; they are counted then."""
        self._size_bytes += more_bytes
        if self._size_bytes <= UNCOUNTED_BYTES:
            return True
        try:
            self._hold.take("responses", more_bytes)
        except MemoryFull:
            return False
        self._counted_bytes += more_bytes
        return True

    def data(self) -> bytes:
        """The bytes received so far."""
        return b"".join(self._chunks)

    async def read_chunk(self) -> bytes:
        """The next bytes of the body, from its first on; none at its end. They are released."""
        if not self._chunks:
            return await self._receive_chunk()
        chunk = self._chunks.popleft()
        counted_bytes = min(len(chunk), self._counted_bytes)
        self._counted_bytes -= counted_bytes
        self._hold.give_back("responses", counted_bytes)
        return chunk

    def close(self) -> None:
        """Release all memory of the body."""
        self._hold.release()

    async def _receive_chunk(self) -> bytes:
        chunk = await self._response.read_chunk()
        count(self._metrics.upstream_bytes, "received", len(chunk))
        return chunk


@dataclass(frozen=True, slots=True)
class Representation:
    """One body in both forms (RFC 9110 §8.4)."""

    body: bytes = field(repr=False)
    """The form to store: as received, unless it had to be changed. Gzip has one member."""
    plain: bytes = field(repr=False)
    """The identity form."""
    gzip: bool
    was_redacted: bool


@dataclass(frozen=True, slots=True)
class BodyFilter:
    """Redacts secrets, and rewrites attachment links (D4); CPU work, linear in the body."""

    redactor: Redactor
    link_rewriter: LinkRewriter | None
    """None: links are left as they are."""
    now: float
    """POSIX seconds, for the signatures of links."""

    def apply(self, body: bytes, *, gzip: bool) -> Representation:
        """A complete body in both forms; InvalidEncoding, TooLong beyond MAX_PLAIN_BYTES."""
        gzip = gzip and bool(body)
        plain = gunzip(body, MAX_PLAIN_BYTES) if gzip else body
        redacted = self.redactor.redact(plain)
        was_redacted = redacted is not plain
        if was_redacted:
            body, plain, gzip = redacted, redacted, False
        linked = plain
        if self.link_rewriter is not None:
            linked = self.link_rewriter.rewrite(plain, self.now)
        if not gzip:
            body = linked
        elif linked is not plain or identity_length(body) != len(plain):
            body = gzipped(linked)
        return Representation(body, linked, gzip, was_redacted)


def work_bytes(body: bytes, *, gzip: bool) -> int:
    """The bytes that `BodyFilter.apply` processes, estimated without inflating the body."""
    return max(len(body) * _GZIP_RATIO, identity_length(body)) if gzip else len(body)


class StreamedBody:
    """A body as it arrives, in its identity form, filtered.

    Its end or `aclose`, also before the first byte, releases its connection and memory.
    """

    def __init__(
        self, received: ReceivedBody, body_filter: BodyFilter, owner: AsyncExitStack, *, gzip: bool
    ) -> None:
        """`owner` closes the response and releases `received`."""
        self._received = received
        self._gunzip = Gunzip() if gzip else None
        self._redaction = body_filter.redactor.stream()
        rewriter = body_filter.link_rewriter
        self._links = None if rewriter is None else rewriter.stream(body_filter.now)
        self._owner = owner
        self._chunks = self._read()

    def __aiter__(self) -> AsyncIterator[bytes]:
        return self._chunks

    async def aclose(self) -> None:
        await self._chunks.aclose()
        await self._owner.aclose()  # a generator that was never started closes nothing

    async def _read(self) -> AsyncGenerator[bytes, None]:
        """The chunks; IncompleteResponse if the body is truncated or is not gzip."""
        async with self._owner:
            try:
                while chunk := await self._received.read_chunk():
                    if self._gunzip is None:
                        yield self._feed(chunk)
                        continue
                    async for piece in inflate(self._gunzip, chunk):
                        yield self._feed(piece)
                if self._gunzip is not None:
                    self._gunzip.finish()
            except InvalidEncoding as error:
                raise IncompleteResponse("Trello's response was truncated or damaged.") from error
            yield self._finish()

    def _feed(self, chunk: bytes) -> bytes:
        redacted = self._redaction.feed(chunk)
        return redacted if self._links is None else self._links.feed(redacted)

    def _finish(self) -> bytes:
        rest = self._redaction.finish()
        return rest if self._links is None else self._links.feed(rest) + self._links.finish()


async def inflate(gunzip_stream: Gunzip, chunk: bytes) -> AsyncGenerator[bytes, None]:
    """The inflated chunk in pieces, each inflated in a thread; InvalidEncoding."""
    pieces = gunzip_stream.feed(chunk)
    while piece := await asyncio.to_thread(next, pieces, b""):
        yield piece
