"""Peer fetch: a file's bytes from another node's store, from an offset on (D82).

The envelope says that it is the node's own request: a client's may have the same target.
"""

from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, suppress
from dataclasses import replace
from urllib.parse import quote

import aiohttp
from multidict import CIMultiDict

from proxy.attachments.store.download_task import SourceLost
from proxy.attachments.store.shared_file import FileInfo, FileOffer
from proxy.errors import ChecksumMismatch
from proxy.http_semantics.content import Utf8Probe, lacks_charset, with_utf8_charset
from proxy.observability.metrics import Metrics
from proxy.server.fleet.envelope import FILES, Envelope
from proxy.server.fleet.peer_client import PeerClient, PeerLost, PeerUnreachable

Bound = Callable[[], AbstractAsyncContextManager[object]]
"""Bounds one wait for the other node: TimeoutError, PeerUnreachable."""
_FAILURES = (PeerUnreachable, PeerLost, TimeoutError, aiohttp.ClientError, OSError)


class PeerFetch:
    """A PartSource; SourceLost if the other node has not got the file or does not send its end."""

    def __init__(
        self,
        client: PeerClient,
        address: str,
        offer: FileOffer,
        start: int,
        *,
        bound: Bound,
        metrics: Metrics,
        response: aiohttp.ClientResponse | None = None,
    ) -> None:
        """`offer`: what is known of the file. `response`: if it has been requested already."""
        self.start = start
        self.digest = offer.digest
        self.info: FileInfo | None = None
        self._client, self._address = client, address
        self._offer = offer
        self._bound = bound
        self._metrics = metrics
        is_probed = start == 0 and lacks_charset(offer.content_type)
        self._probe = Utf8Probe() if is_probed else None
        self._response = response
        self._chunks = self._read()

    async def open(self) -> FileInfo:
        """As ByteSource.open; ChecksumMismatch if the other node has a file of another length."""
        response = self._response or await self._request()
        length = self._offer.length
        if response.content_length is not None:
            length = self.start + response.content_length
        if self._offer.length not in (None, length):
            raise ChecksumMismatch("another node's copy has another length")
        self.info = FileInfo(length, self._offer.content_type)
        return self.info

    async def _request(self) -> aiohttp.ClientResponse:
        fields = CIMultiDict({"Range": f"bytes={self.start}-"} if self.start else {})
        request = "GET", FILES + quote(self._offer.id, safe=""), fields
        try:
            async with self._bound():
                envelope = Envelope("", "", "", reads_file=True)
                response = await self._client.send(self._address, request, envelope, None)
        except _FAILURES:
            raise SourceLost("the node that has it does not respond") from None
        self._response = response
        if response.status != (206 if self.start else 200):
            raise SourceLost(f"the node that had it responded with {response.status}")
        return response

    def __aiter__(self) -> AsyncIterator[bytes]:
        return self._chunks

    async def aclose(self) -> None:
        """Give the connection back; one that has more to send is closed."""
        await self._chunks.aclose()
        response, self._response = self._response, None
        if response is not None:
            with suppress(aiohttp.ClientError, OSError):
                if response.content.at_eof():
                    response.release()
                else:
                    response.close()

    async def _read(self) -> AsyncGenerator[bytes, None]:
        while chunk := await self._next_chunk():
            self._metrics.copied_bytes += len(chunk)
            if self._probe is not None:
                self._probe.feed(chunk)
            yield chunk
        if self.info is not None and self._probe is not None and self._probe.is_utf8():
            content_type = with_utf8_charset(self.info.content_type)
            self.info = replace(self.info, content_type=content_type)

    async def _next_chunk(self) -> bytes:
        """The bytes that have arrived, at least one; none at the end."""
        if self._response is None:
            raise SourceLost("it was not opened")
        try:
            async with self._bound():
                return await self._response.content.readany()
        except _FAILURES:
            raise SourceLost("the node that has it was lost") from None
