"""File copies: files that a follower sends from its own store, and copies from the leader (D82).

A client's request is permitted by the leader each time. Bytes that are not here are fetched once
for all readers, while they arrive at the leader; a part far ahead of them is fetched for its reader
alone. When a leader is lost, each reader has its request permitted by the next one, and goes on
from its offset.
"""

import re
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable
from contextlib import aclosing
from dataclasses import replace
from functools import partial

import aiohttp

from proxy.attachments.body import AttachmentBody
from proxy.attachments.store.shared_file import FileInfo, FileOffer, SharedFile
from proxy.attachments.store.store import AttachmentStore
from proxy.errors import ChecksumMismatch, IncompleteResponse, StoreError
from proxy.fleet.node import Leader
from proxy.observability.metrics import Metrics
from proxy.server.fleet.peer_client import PeerClient
from proxy.server.fleet.peer_fetch import PeerFetch
from proxy.server.fleet.session_bound import IDLE_S, SessionBound

AHEAD_BYTES = 1024 * 1024
"""A reader does not wait for a copy that has further to go, if the leader has its bytes."""
MAX_ATTEMPTS = 5
"""Of one reader, to go on after its source was lost, without a byte in between."""
_ATTACHMENT = re.compile(r"/attachments/([0-9a-f]{24})/download")
"""Its id in a target that is not a preview's."""

PermitAgain = Callable[[FileOffer], Awaitable[tuple[Leader, FileOffer]]]
"""The leader that permits the same request now, and its offer of the same file; UpstreamError."""


class FileCopies:
    """The copies in this node's store."""

    def __init__(
        self, store: AttachmentStore, client: PeerClient, bound: SessionBound, metrics: Metrics
    ) -> None:
        self._store = store
        self._client = client
        self._bound = bound
        self._metrics = metrics

    @property
    def are_possible(self) -> bool:
        """Whether this node can store files now."""
        return self._store.is_working

    def lacks(self, target: str) -> bool:
        """Whether the file of a target is, for all that it says, neither here nor on its way."""
        found = _ATTACHMENT.search(target)
        return found is not None and self._store.lacks(found[1])

    async def open(
        self,
        offer: FileOffer,
        leader: Leader,
        permit: PermitAgain,
        response: aiohttp.ClientResponse | None = None,
    ) -> AttachmentBody:
        """The part that `leader` offers; `response`: with the bytes of the whole file."""
        file = await self.share(offer, leader, offer.start, response)
        rest = partial(LeaderFetch, self, offer, permit)
        body = AttachmentBody(
            rest,
            FileInfo(offer.length, offer.content_type),
            file=file,
            fetch=None if file else rest(offer.start, leader),
        )
        body.set_range(offer.start, offer.end)
        return body

    async def share(
        self,
        offer: FileOffer,
        leader: Leader,
        at: int,
        response: aiohttp.ClientResponse | None = None,
    ) -> SharedFile | None:
        """The file, stored here or on its way, retained; None: fetch what follows `at` alone."""
        source, is_used = self.fetch(offer, leader, 0, response), False
        try:
            file = await self._find(offer)
            if file is None and not leader.is_self:
                file, is_joined = self._store.start_download(offer.id, source)
                is_used = not is_joined
        except StoreError:
            return None
        finally:
            if not is_used:
                await source.aclose()
        if file is not None and min(at, offer.written) > file.written + AHEAD_BYTES:
            file.release()
            return None
        return file

    async def _find(self, offer: FileOffer) -> SharedFile | None:
        """The same file, stored here, or one with its id that is on its way."""
        found = await self._store.open(offer.id)
        if found is None or found.row is None:
            return found and found.file
        is_same = offer.digest in ("", found.row.digest)
        if is_same and offer.length in (None, found.file.written):
            return found.file
        found.file.release()
        return None

    def fetch(
        self,
        offer: FileOffer,
        leader: Leader,
        at: int,
        response: aiohttp.ClientResponse | None = None,
    ) -> PeerFetch:
        """The file from `at` on, from the leader; `response`: if it sends it already."""
        return PeerFetch(
            self._client,
            leader.address,
            offer,
            at,
            bound=lambda: self._bound.until_lost(leader, IDLE_S),
            metrics=self._metrics,
            response=response,
        )


class LeaderFetch:
    """A PartSource of one reader: the leader's bytes, and those of the next one if it is lost."""

    def __init__(
        self,
        copies: FileCopies,
        offer: FileOffer,
        permit: PermitAgain,
        start: int,
        leader: Leader | None = None,
    ) -> None:
        """`leader`: that has offered it; None: `open` has the request permitted again."""
        self.start = start
        self.digest = offer.digest
        self.info: FileInfo | None = FileInfo(offer.length, offer.content_type)
        self._copies = copies
        self._offer = offer
        self._permit = permit
        self._leader = leader
        self._is_shared = leader is None
        """Whether bytes may come from the store; it has just failed otherwise."""
        self._chunks = self._read()

    async def open(self) -> FileInfo:
        """As ByteSource.open; UpstreamError if the file is not to be had any more."""
        self._leader, offer = await self._permit(self._offer)
        self._offer = replace(offer, digest=offer.digest or self._offer.digest)
        return FileInfo(offer.length, offer.content_type)

    def __aiter__(self) -> AsyncIterator[bytes]:
        return self._chunks

    async def aclose(self) -> None:
        """Release what it reads from."""
        await self._chunks.aclose()

    async def _read(self) -> AsyncGenerator[bytes, None]:
        at, attempts = self.start, 0
        while attempts < MAX_ATTEMPTS:
            attempts += 1
            try:
                async with aclosing(self._pieces(at)) as pieces:
                    async for piece in pieces:
                        at, attempts = at + len(piece), 0
                        yield piece
            except ChecksumMismatch as error:
                raise IncompleteResponse("A kept file is damaged; ask again.") from error
            except StoreError:
                await self.open()
            else:
                return
        raise IncompleteResponse("The nodes that had the file were lost; ask again.")

    async def _pieces(self, at: int) -> AsyncGenerator[bytes, None]:
        if self._leader is None:
            raise IncompleteResponse("A file was not opened.")
        is_shared, self._is_shared = self._is_shared, not self._is_shared
        file = await self._copies.share(self._offer, self._leader, at) if is_shared else None
        if file is not None:
            try:
                while piece := await file.read(at):
                    at += len(piece)
                    yield bytes(piece)
            finally:
                file.release()
            return
        fetch = self._copies.fetch(self._offer, self._leader, at)
        try:
            await fetch.open()
            async for chunk in fetch:
                yield chunk
        finally:
            await fetch.aclose()
