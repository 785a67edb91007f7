"""Attachment download: a file's bytes from Trello's API, or from the storage it redirects to.

The API is sent the proxy's credential; the storage is not. The redirect leads to a signed URL that
is valid for a short time: it is followed once, to a listed host only, without credential, cookie or
referrer, and is never shown. A body that breaks off is resumed if the storage supports it (RFC 9110
§13.1.5), else requested again and skipped; the rest must belong to the same file.
"""

import hashlib
from collections import deque
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import AsyncExitStack, aclosing
from dataclasses import dataclass, replace

from yarl import URL

from proxy.attachments.content_policy import first_content_type, is_listed_by_name, is_storage_host
from proxy.attachments.store.shared_file import FileInfo
from proxy.errors import IncompleteResponse, InvalidResponse, UpstreamError
from proxy.http_semantics.conditional import resume_offset
from proxy.http_semantics.content import Utf8Probe, lacks_charset, with_utf8_charset
from proxy.model import Fields
from proxy.observability.metrics import Metrics
from proxy.trello.message import ApiRequest
from proxy.upstream.client import REDIRECTS
from proxy.upstream.exchange import BufferedResponse, UpstreamExchange, is_gzip
from proxy.upstream.transport import Transport, UpstreamRequest, UpstreamResponse

MAX_ATTEMPTS = 5
"""Responses per download; each attempt begins at Trello's API."""
AHEAD_BYTES = 256 * 1024
"""Longest text without a charset that is buffered until its charset is known."""
_STORAGE_FIELDS: Fields = (("Accept", "*/*"), ("Accept-Encoding", "identity"))


class UpstreamRefused(Exception):
    """Trello's response instead of the file, for clients of this partition."""

    def __init__(self, response: BufferedResponse, partition: str) -> None:
        super().__init__(response, partition)
        self.response = response
        self.partition = partition


class FileChanged(InvalidResponse):
    """A response does not continue the bytes of those before it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StorageHosts:
    """The hosts to which Trello may redirect a download, and how to connect to them.

    A host that is listed by name may have any address, as its operator chose it; one that matches a
    pattern must have a public address.
    """

    hosts: tuple[str, ...]
    named: Transport
    wildcard: Transport

    def transport_for(self, location: str) -> Transport:
        """The transport for a redirect; InvalidResponse if its host is not listed.

        Nor may it have userinfo, which would be sent as an Authorization field (RFC 9110 §4.2.4).
        """
        try:
            url = URL(location, encoded=True)
            host, port = url.host or "", url.port
        except ValueError as error:
            raise InvalidResponse("Trello redirected a download to no address.") from error
        if "@" in url.raw_authority:
            raise InvalidResponse("Trello redirected a download to an address with a password.")
        if url.scheme not in {"http", "https"} or not is_storage_host(host, port, self.hosts):
            raise InvalidResponse(
                "Trello redirected a download to a host that is not in upstream.storage_hosts; "
                "the operator can add it to proxy.yaml."
            )
        return self.named if is_listed_by_name(host, port, self.hosts) else self.wildcard


@dataclass(frozen=True, slots=True, kw_only=True)
class FetchDeps:
    """What every download uses."""

    exchange: UpstreamExchange
    storage_hosts: StorageHosts
    metrics: Metrics


class Continuation:
    """The part of a response that continues the delivered bytes. Deterministic, no I/O.

    Bytes before `resume_at` are dropped: they must equal the delivered ones. The last bytes of the
    file are returned only when the response has ended with them. FileChanged otherwise.
    """

    __slots__ = ("_at", "_digest", "_last", "_length", "_repeated", "_resume_at", "_start")

    def __init__(
        self, start: int, resume_at: int, offset: int, *, length: int | None, digest: bytes | None
    ) -> None:
        """`offset`: of the response in the file; `length`: of the file, if known.

        `digest`: SHA-256 of the bytes delivered from `start` up to `resume_at`; None if a strong
        validator shows that the file is the same (RFC 9110 §8.8.1).
        """
        self._start = start
        self._resume_at = resume_at
        self._at = offset
        self._length = length
        self._digest = digest
        self._repeated = hashlib.sha256()
        self._last = b""

    def feed(self, chunk: bytes) -> bytes:
        """The part of the response's next chunk to deliver."""
        offset, self._at = self._at, self._at + len(chunk)
        resume_at = max(0, self._resume_at - offset)
        if self._digest is not None:
            self._repeated.update(chunk[max(0, self._start - offset) : resume_at])
        if self._at <= self._resume_at:
            return b""
        if self._digest not in (None, self._repeated.digest()):
            raise FileChanged("A file changed while it was being fetched; try again.")
        self._digest = None
        if self._length is None or self._at < self._length:
            return chunk[resume_at:]
        if self._at > self._length:
            raise FileChanged("A file came longer than was said; try again later.")
        self._last += chunk[resume_at:]
        return b""

    def finish(self) -> bytes:
        """The last bytes of the file, after the end of the response."""
        return self._last


class AttachmentFetch:
    """One download from `start` on, a stream of bytes: `open` it, iterate, `aclose` it.

    It ends only when all bytes were delivered; UpstreamError otherwise.
    """

    def __init__(
        self, deps: FetchDeps, request: ApiRequest, expected: FileInfo, start: int = 0
    ) -> None:
        """`expected`: length and type in the attachment's metadata."""
        self._exchange = deps.exchange
        self._storage = deps.storage_hosts
        self._metrics = deps.metrics
        self._request = request
        self._expected = expected
        self.start = self._at = start
        self._etag = ""
        """The file's strong validator, if the first response had one."""
        self._digest = hashlib.sha256()
        """Of the delivered bytes, if there is no strong validator."""
        self.digest = ""
        """Trello names none."""
        self._connection = AsyncExitStack()
        self._response: UpstreamResponse | None = None
        self._attempts = 0
        self._probe: Utf8Probe | None = None
        self._ahead: deque[bytes] = deque()
        """Chunks buffered by `open`."""
        self._chunks = self._read()
        self.info: FileInfo | None = None
        """Length and type; the charset of a long text is known after its last byte only."""

    async def open(self) -> FileInfo:
        """Length and type of the file; UpstreamRefused or UpstreamError if there is none."""
        response = self._response = await self._send()
        is_inflated, length = is_gzip(response), _complete_length(response)
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
        self.info = FileInfo(length, self._content_type(response))
        if self.start == 0 and lacks_charset(self.info.content_type):
            self._probe = Utf8Probe()
            if (length or 0) <= AHEAD_BYTES:
                await self._read_ahead()
        return self.info

    def __aiter__(self) -> AsyncIterator[bytes]:
        return self

    async def __anext__(self) -> bytes:
        return self._ahead.popleft() if self._ahead else await anext(self._chunks)

    async def aclose(self) -> None:
        """Release the connection, whether or not the download was begun."""
        await self._chunks.aclose()
        await self._connection.aclose()

    async def _read_ahead(self) -> None:
        """Buffer a short text, so that its charset is known before its first byte is sent."""
        size = 0
        while size <= AHEAD_BYTES and (chunk := await anext(self._chunks, None)) is not None:
            self._ahead.append(chunk)
            size += len(chunk)

    async def _read(self) -> AsyncGenerator[bytes, None]:
        """All bytes from `start` on, resumed where a connection breaks off."""
        while True:
            try:
                response, info = self._response, self.info
                if response is None or info is None:
                    raise InvalidResponse("A file was not opened.")
                continuation = self._continue_with(response, info)
                async with aclosing(self._exchange.file_body(response)) as body:
                    async for chunk in body:
                        yield self._deliver(continuation.feed(chunk))
                yield self._deliver(continuation.finish())
                if info.length in (None, self._at):
                    self._set_charset(info)
                    return
                raise IncompleteResponse(
                    "A file was cut short on its way from Trello; try again later."
                )
            except UpstreamError as error:
                await self._resume(error)

    def _deliver(self, chunk: bytes) -> bytes:
        self._at += len(chunk)
        if not self._etag:
            self._digest.update(chunk)
        self._metrics.downloaded_bytes += len(chunk)
        if self._probe is not None:
            self._probe.feed(chunk)
        return chunk

    def _set_charset(self, info: FileInfo) -> None:
        """Add `charset=utf-8` to the type if every byte was; after the last chunk."""
        if self._probe is not None and self._probe.is_utf8():
            self.info = replace(info, content_type=with_utf8_charset(info.content_type))

    def _content_type(self, response: UpstreamResponse) -> str:
        """The type in the response, or else in the metadata; without the proxy's credential."""
        types = (response.content_type, self._expected.content_type)
        return first_content_type(
            each for each in types if not self._exchange.contains_secret(each)
        )

    def _continue_with(self, response: UpstreamResponse, info: FileInfo) -> Continuation:
        """How a response continues the delivered bytes; InvalidResponse if it cannot."""
        offset, length = 0, _complete_length(response)
        if response.status == 206:
            content_range = resume_offset(response.content_range)
            if content_range is None or content_range[0] != self._at or is_gzip(response):
                raise InvalidResponse(
                    "Trello's storage gives another part of a file than was asked for."
                )
            offset = content_range[0]
        has_other_length = None not in (length, info.length) and length != info.length
        if has_other_length or (self._etag and response.etag != self._etag):
            raise FileChanged("A file changed while it was being fetched; try again.")
        digest = None if self._etag else self._digest.digest()
        return Continuation(self.start, self._at, offset, length=info.length, digest=digest)

    async def _resume(self, error: UpstreamError) -> None:
        """Send another request for the rest; raises the last error after MAX_ATTEMPTS."""
        while True:
            self._attempts += 1
            if self._attempts >= MAX_ATTEMPTS or isinstance(error, FileChanged):
                raise error
            try:
                self._response = await self._send()
            except UpstreamRefused as refused:
                raise error from refused
            except UpstreamError as another:
                error = another
            else:
                return

    async def _send(self) -> UpstreamResponse:
        """A response with the file or its rest, open until `_connection` is closed."""
        await self._connection.aclose()
        range_fields = self._range_fields()
        request = replace(self._request, fields=(*self._request.fields, *range_fields))
        response = await self._connection.enter_async_context(
            self._exchange.send(request, "identity")
        )
        if response.status in REDIRECTS:
            return await self._follow(response.location, range_fields)
        if response.status not in (200, 206):
            refusal = await self._exchange.read_error_body(self._request, response)
            raise UpstreamRefused(refusal, self._request.partition)
        return response

    async def _follow(self, location: str, range_fields: Fields) -> UpstreamResponse:
        """The storage's response to the same request; the API's connection is released."""
        if self._exchange.contains_secret(location):
            raise InvalidResponse("Trello redirected a download to an address with a credential.")
        transport = self._storage.transport_for(location)
        await self._connection.aclose()
        request = UpstreamRequest("GET", location, (*_STORAGE_FIELDS, *range_fields))
        response = await self._connection.enter_async_context(
            self._exchange.send_to_storage(transport, request)
        )
        if response.status not in (200, 206):
            raise InvalidResponse(f"Trello's storage answered {response.status}; try again later.")
        return response

    def _range_fields(self) -> Fields:
        """Range and If-Range for the missing bytes; none if the file must be requested whole."""
        if self._at == 0 or (self.info is not None and not self._etag):
            return ()
        condition = (("If-Range", self._etag),) if self._etag else ()
        return (("Range", f"bytes={self._at}-"), *condition)


def _complete_length(response: UpstreamResponse) -> int | None:
    """The length of the whole file, if the response has it."""
    if is_gzip(response):
        return None
    if response.status == 206:
        return (resume_offset(response.content_range) or (0, None))[1]
    return response.length
