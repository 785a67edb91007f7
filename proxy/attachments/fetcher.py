"""A file's bytes from Trello: asked of its API with our credential, of its storage without it.

Trello answers with the file, or with a redirect to a signed, short-lived address. That address is
followed by hand, once, to a listed host only; no credential, cookie or referrer goes along, and
nobody sees it. A body that breaks off is resumed where the storage can (RFC 9110 §13.1.5), else
begun again and skipped; what comes then must be the same file.
"""

import hashlib
from collections.abc import AsyncGenerator
from contextlib import ExitStack, aclosing
from dataclasses import dataclass, replace

from yarl import URL

from proxy.attachments.content_policy import (
    first_content_type,
    is_listed_by_name,
    is_storage_host,
)
from proxy.attachments.store.shared_file import FileInfo
from proxy.errors import (
    IncompleteResponse,
    InvalidResponse,
    UpstreamError,
)
from proxy.http_semantics.conditional import resume_offset
from proxy.http_semantics.media_type import (
    Utf8Probe,
    lacks_charset,
    with_utf8_charset,
)
from proxy.model import Fields
from proxy.observability.metrics import Metrics
from proxy.trello.message import ApiRequest
from proxy.upstream.client import REDIRECTS
from proxy.upstream.exchange import (
    BufferedResponse,
    UpstreamExchange,
    is_gzip,
)
from proxy.upstream.transport import (
    Transport,
    UpstreamRequest,
    UpstreamResponse,
)

MAX_ATTEMPTS = 5
"""To get one file whole; each goes to Trello's API first."""
AHEAD_BYTES = 256 * 1024
"""Bytes of a text without a charset that are buffered before its type is sent."""
_RANGE_HEADERS: Fields = (("Accept", "*/*"), ("Accept-Encoding", "identity"))


class UpstreamRefused(Exception):
    """Trello's own word instead of the file, to whoever is of this partition."""

    def __init__(self, whole: BufferedResponse, partition: str) -> None:
        super().__init__(whole, partition)
        self.response = whole
        self.partition = partition


class _Changed(InvalidResponse):
    """What comes now is not what came before."""


@dataclass(frozen=True, slots=True)
class StorageHosts:
    """Where Trello keeps files: the hosts it may redirect to, and two ways to connect.

    To a host that stands in the list by its name, its operator's word is taken for the network it
    is in; one that only fits a pattern must have a public address.
    """

    hosts: tuple[str, ...]
    named: Transport
    wildcard: Transport

    def transport_for(self, location: str) -> Transport:
        """How to connect there; Unusable where nothing may."""
        try:
            url = URL(location, encoded=True)
            host, port = url.host or "", url.port
        except ValueError as error:
            raise InvalidResponse("Trello redirected a download to no address.") from error
        if url.scheme not in {"http", "https"} or not is_storage_host(host, port, self.hosts):
            raise InvalidResponse(
                "Trello redirected a download to a host that is not in upstream.storage_hosts; "
                "the operator can add it to proxy.yaml."
            )
        return self.named if is_listed_by_name(host, port, self.hosts) else self.wildcard


@dataclass(frozen=True, slots=True)
class FetchDeps:
    """Where files come from, and what counts them."""

    exchange: UpstreamExchange
    storage_hosts: StorageHosts
    metrics: Metrics


class AttachmentFetch:
    """One download, from `start` on; `open` it, read `chunks`, `aclose` it."""

    def __init__(
        self, origin: FetchDeps, request: ApiRequest, expected: FileInfo, start: int = 0
    ) -> None:
        """`expected`: what Trello said of the file elsewhere."""
        self._exchange = origin.exchange
        self._storage = origin.storage_hosts
        self._metrics = origin.metrics
        self._request = request
        self._expected = expected
        self.start = self._at = start
        self._stack = ExitStack()
        self.header: FileInfo | None = None
        """Length and type; a long text's charset is known after the last chunk only."""
        self._etag = ""
        self._response: UpstreamResponse | None = None
        self._attempts = 0
        self._delivered_bytes = hashlib.sha256()
        """What was given, where there is no strong validator to resume with."""
        self._probe: Utf8Probe | None = None
        self._ahead: list[bytes] = []
        """Chunks buffered by `_read_ahead`."""
        self._chunks = self._whole_or_error()

    async def open(self) -> FileInfo:
        """What the file is; Refused, or UpstreamError, where there is none."""
        response = self._response = await self._send()
        is_inflated, length = is_gzip(response), self._length(response)
        expected = None if is_inflated else self._expected.length
        if length is None:
            length = expected
        elif expected not in (None, length):
            raise InvalidResponse(
                "Trello's storage gives a file of another length than Trello says."
            )
        if length is None and not response.length_known:
            raise InvalidResponse("Trello's storage does not say where a file ends.")
        is_strong = not is_inflated and not response.etag.startswith("W/")
        self._etag = response.etag if is_strong else ""
        self.header = FileInfo(length, self._content_type(response))
        if self.start == 0 and lacks_charset(self.header.content_type):
            self._probe = Utf8Probe()
            if (length or 0) <= AHEAD_BYTES:
                await self._read_ahead()
        return self.header

    async def chunks(self) -> AsyncGenerator[bytes, None]:
        """All bytes from the start on; ends only when they were all there, else UpstreamError."""
        async with aclosing(self._chunks) as chunks:
            while self._ahead:
                yield self._ahead.pop(0)
            async for chunk in chunks:
                yield chunk

    async def _read_ahead(self) -> None:
        """Buffer a short text, so that its charset is known before its first byte is sent."""
        size = 0
        while size <= AHEAD_BYTES and (chunk := await anext(self._chunks, None)) is not None:
            self._ahead.append(chunk)
            size += len(chunk)

    async def _whole_or_error(self) -> AsyncGenerator[bytes, None]:
        """All bytes from the start on, resumed where the connection breaks off."""
        while True:
            try:
                async with aclosing(self._bounded()) as chunks:
                    async for chunk in chunks:
                        self._at += len(chunk)
                        self._metrics.downloaded_bytes += len(chunk)
                        if not self._etag:
                            self._delivered_bytes.update(chunk)
                        if self._probe:
                            self._probe.feed(chunk)
                        yield chunk
                if self._is_whole():
                    self._name_charset()
                    return
                raise IncompleteResponse(
                    "A file was cut short on its way from Trello; try again later."
                )
            except UpstreamError as error:
                await self._resume(error)

    async def aclose(self) -> None:
        await self._chunks.aclose()
        self._stack.close()

    def _name_charset(self) -> None:
        """Add `charset=utf-8` to the type if every byte was; after the last chunk."""
        if self.header and self._probe and self._probe.is_utf8():
            content_type = with_utf8_charset(self.header.content_type)
            self.header = replace(self.header, content_type=content_type)

    def _content_type(self, response: UpstreamResponse) -> str:
        """What the reply or else Trello says that it is; never with our credential in it."""
        named = (response.content_type, self._expected.content_type)
        return first_content_type(
            each for each in named if not self._exchange.contains_secret(each)
        )

    def _length(self, response: UpstreamResponse) -> int | None:
        """Of the whole file, as far as the reply tells."""
        if is_gzip(response):
            return None
        if response.status == 206:
            return (resume_offset(response.content_range) or (0, None))[1]
        return response.length

    def _is_whole(self) -> bool:
        length = self.header.length if self.header else None
        return length is None or self._at == length

    async def _resume(self, broken: UpstreamError) -> None:
        """Ask again for the rest, some times; raises what broke it last."""
        while True:
            self._attempts += 1
            if self._attempts >= MAX_ATTEMPTS or isinstance(broken, _Changed):
                raise broken
            try:
                self._response = await self._send()
            except UpstreamRefused as refused:
                raise broken from refused
            except UpstreamError as error:
                broken = error
            else:
                return

    async def _send(self) -> UpstreamResponse:
        """A reply with the file, or the rest of it; `_stack` holds its connection."""
        self._stack.close()
        rest = self._resume_headers()
        request = replace(self._request, fields=(*self._request.fields, *rest))
        response = await self._exchange.open(self._stack, request, "identity")
        if response.status in REDIRECTS:
            if self._exchange.contains_secret(response.location):
                raise InvalidResponse(
                    "Trello redirected a download to an address with a credential."
                )
            upstream = self._storage.transport_for(response.location)
            self._stack.close()
            upstream_request = UpstreamRequest("GET", response.location, (*_RANGE_HEADERS, *rest))
            response = await self._exchange.client.send_to_storage(upstream, upstream_request)
            self._stack.callback(response.close)
            if response.status not in (200, 206):
                raise InvalidResponse(
                    f"Trello's storage answered {response.status}; try again later."
                )
        elif response.status not in (200, 206):
            raise UpstreamRefused(
                await self._exchange.read_error_body(self._request, response),
                self._request.partition,
            )
        return response

    def _resume_headers(self) -> Fields:
        """The fields that ask for what is still missing."""
        if self._at == 0 or (self.header is not None and not self._etag):
            return ()
        condition = (("If-Range", self._etag),) if self._etag else ()
        return (("Range", f"bytes={self._at}-"), *condition)

    async def _bounded(self) -> AsyncGenerator[bytes, None]:
        """As `_from_reply`; the last bytes only when nothing came behind them, else _Changed."""
        length = self.header.length if self.header else None
        at, last = self._at, b""
        async with aclosing(self._from_response()) as chunks:
            async for chunk in chunks:
                at += len(chunk)
                if length is None or at < length:
                    yield chunk
                elif at == length:
                    last += chunk
                else:
                    raise _Changed("A file came longer than was said; try again later.")
        if last:
            yield last

    async def _from_response(self) -> AsyncGenerator[bytes, None]:
        """What the reply gives of the bytes from `_at` on; Unusable where it is another file."""
        response = self._response
        if response is None:
            raise InvalidResponse("A file was not opened.")
        at, is_same, again = self._first_response(response), False, hashlib.sha256()
        streamed = await self._exchange.stream(response, ExitStack())
        async with aclosing(streamed.chunks) as chunks:
            async for chunk in chunks:
                begins_at, at = at, at + len(chunk)
                if begins_at < self._at and not self._etag:
                    again.update(chunk[max(0, self.start - begins_at) : self._at - begins_at])
                if at <= self._at:
                    continue
                if not is_same and again.digest() != self._delivered_bytes.digest():
                    raise _Changed("A file changed while it was being fetched; try again.")
                is_same = True
                yield chunk[max(0, self._at - begins_at) :]

    def _first_response(self, response: UpstreamResponse) -> int:
        """Where in the file the reply begins."""
        first, length, header = 0, self._length(response), self.header
        if response.status == 206:
            named = resume_offset(response.content_range)
            if named is None or named[0] != self._at or is_gzip(response):
                raise InvalidResponse(
                    "Trello's storage gives another part of a file than was asked for."
                )
            first = named[0]
        is_changed = (
            header is not None and None not in (length, header.length) and (length != header.length)
        )
        if is_changed or (self._etag and response.etag != self._etag):
            raise _Changed("A file changed while it was being fetched; try again.")
        return first
