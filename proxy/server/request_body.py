"""A client's request body, without its credentials: held when it is a form, streamed when not.

Nothing here takes the event loop for long: what is held is short, and understood in a thread
unless it is very short; what is streamed is looked into in slices.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from urllib.parse import quote, urlencode

from aiohttp import web

from proxy.credentials.body_extraction import (
    ParsedBody,
    body_form,
    form_query,
    json_query,
    parse_form,
    parse_json,
)
from proxy.credentials.extraction import NOTHING, ExtractedCredential
from proxy.credentials.multipart_extraction import MultipartStripper, boundary_of
from proxy.errors import (
    BodyTooLarge,
    ClientError,
    IncompleteBody,
    MalformedJson,
    MalformedRequest,
    RequestTimeout,
    UnsupportedContentEncoding,
)
from proxy.http_semantics.media_type import check_charset
from proxy.http_semantics.parameters import Parameter
from proxy.http_semantics.target import MAX_TARGET_BYTES
from proxy.runtime.memory_budget import Hold
from proxy.runtime.offload import run_for_client

MAX_BUFFERED_BYTES = 256 * 1024
"""A form or JSON body is read whole. Trello's longest text, a description of 16,384 characters,
takes 192 KiB when each of them is four bytes, percent-encoded."""
IDLE_S = 30.0
"""A client that sends nothing for so long in mid-body is gone, or holds a connection."""
BODY_S = 60.0
"""A client is waited for so long in all, and a second longer for each LEAST_BYTES_PER_S."""
LEAST_BYTES_PER_S = 4096
_STREAM_BYTES = 128 * 1024
"""What a body on its way to Trello takes in memory, besides the connection's own buffer."""
_HEAD_BYTES = 512
"""Enough to tell a form from JSON and both from the rest."""
_SINGLE = ("Content-Encoding", "Content-Type", "Transfer-Encoding")
"""Fields that say how a body is read; of two, two readers could heed different ones."""
_FIRST_BYTES = 64 * 1024
_SLICE_BYTES = 16 * 1024
"""Of a multipart body, looked into at once."""


@dataclass(slots=True)
class RequestBody:
    """What may go to Trello, and what was taken out of it."""

    content: bytes | AsyncIterator[bytes] | None = field(default=None, repr=False)
    credential: ExtractedCredential = NOTHING
    params: Callable[[], Mapping[str, str]] = dict
    parameters: Sequence[Parameter] = ()
    """All that a form or JSON may set."""
    length: int | None = None
    """Of a streamed body, when the client announced it."""
    failure: ClientError | None = None
    """Why the client's body ended early; set while it is being streamed."""


class _Arrival:
    """A request body as it arrives: each wait for the client is bounded, and so are all of them."""

    def __init__(self, request: web.BaseRequest, hold: Hold) -> None:
        self._content = request.content
        self.length = request.content_length
        self._hold = hold
        self._waited_s = 0.0
        self._received_bytes = 0

    async def chunk(self) -> bytes:
        """The next bytes; empty at the end. RequestTimeout, BodyCut."""
        loop = asyncio.get_running_loop()
        began = loop.time()
        left_s = BODY_S + self._received_bytes / LEAST_BYTES_PER_S - self._waited_s
        try:
            async with asyncio.timeout(min(IDLE_S, left_s)):
                chunk = await self._content.readany()
        except TimeoutError as error:
            raise RequestTimeout("The body stopped arriving, or arrived too slowly.") from error
        except ConnectionError as error:
            raise IncompleteBody("The connection ended before the body did.") from error
        self._waited_s += loop.time() - began
        self._received_bytes += len(chunk)
        return chunk

    async def head(self) -> bytes:
        """The first bytes: as many as tell how the body is written, or all."""
        head = b""
        while len(head) < _HEAD_BYTES and (chunk := await self.chunk()):
            head += chunk
        return head

    async def whole(self, head: bytes, most_bytes: int) -> bytes:
        """All of it, counted as it comes; BodyTooLarge, MemoryFull."""
        held, chunk = bytearray(), head or await self.chunk()
        while chunk:
            if max(len(held) + len(chunk), self.length or 0) > most_bytes:
                raise BodyTooLarge(
                    f"Send a form or JSON of at most {most_bytes // 1024} KiB; a file as multipart."
                )
            self._hold.take("requests", len(chunk))
            held += chunk
            chunk = await self.chunk()
        return bytes(held)

    async def parsed(self, head: bytes, parse: Callable[[bytes], ParsedBody]) -> RequestBody:
        """All of it, understood."""
        body = await self.whole(head, MAX_BUFFERED_BYTES)
        parsed = await run_for_client(len(body), parse, body)
        return RequestBody(parsed.body, parsed.credential, lambda: parsed.params, parsed.parameters)

    def streamed(self, first: bytes, stripper: MultipartStripper | None = None) -> RequestBody:
        """All of it from `first` on, as it comes; what is not multipart passes as sent."""
        self._hold.take("requests", _STREAM_BYTES)
        incoming = RequestBody(length=self.length)
        if stripper is not None:
            incoming.credential, incoming.params = stripper.credential, lambda: stripper.params

        async def stream() -> AsyncIterator[bytes]:
            try:
                yield first
                while chunk := await self.chunk():
                    yield await _fed(stripper, chunk) if stripper else chunk
                while stripper and (rest := stripper.finish()):
                    yield rest
            except ClientError as error:
                incoming.failure = error
                raise

        incoming.content = stream()
        return incoming


async def read_body(request: web.BaseRequest, hold: Hold) -> RequestBody:
    """The request's body, its credentials removed; `hold` takes what it takes in memory.

    BodyTooLarge, CharsetNotUtf8, IncompleteBody, MalformedJson, MalformedRequest, MemoryFull,
    RequestTimeout, UnsupportedContentEncoding.
    """
    if not request.body_exists:
        return RequestBody()
    arrival = await _begun(request, hold)
    content_type = request.headers.get("Content-Type", "")
    head, boundary = await arrival.head(), boundary_of(content_type)
    match body_form(content_type, head):
        case "form":
            check_charset(content_type, head)
            return await arrival.parsed(head, parse_form)
        case "json":
            check_charset(content_type, head)
            return await arrival.parsed(head, partial(parse_json, content_type=content_type))
        case "multipart" if boundary is not None:
            return await _multipart(arrival, head, MultipartStripper(boundary, arrival.length))
        case _:
            return arrival.streamed(head)


async def receive_parameters(
    request: web.BaseRequest, hold: Hold
) -> tuple[str, ExtractedCredential]:
    """The parameters in the body of a GET or HEAD as a raw query, and the credentials in it.

    A body of another kind is read and dropped: no read is sent with one (RFC 9110 §9.3.1). Raises
    as `receive`.
    """
    if not request.body_exists:
        return "", NOTHING
    body = await read_limited(request, hold, MAX_TARGET_BYTES)
    return await run_for_client(
        len(body), _parameters, request.headers.get("Content-Type", ""), body
    )


async def read_limited(request: web.BaseRequest, hold: Hold, most_bytes: int) -> bytes:
    """The body as it came; BodyTooLarge when it is longer, else as `receive`."""
    return await (await _begun(request, hold)).whole(b"", most_bytes)


async def _begun(request: web.BaseRequest, hold: Hold) -> _Arrival:
    """The body, asked for where the client waits for that (RFC 9110 §10.1.1).

    MalformedRequest, UnsupportedContentEncoding.
    """
    headers = request.headers
    if headers.get("Transfer-Encoding", "chunked").strip().lower() != "chunked":
        raise MalformedRequest(
            "Send the body as it is or chunked; no other transfer coding is read."
        )
    if any(len(headers.getall(name, ())) > 1 for name in _SINGLE):
        raise MalformedRequest(f"Send one field each of {' and '.join(_SINGLE)}.")
    if headers.get("Content-Encoding", "identity").lower() != "identity":
        raise UnsupportedContentEncoding(
            "Leave Content-Encoding out: the body is looked into as it comes."
        )
    if request.headers.get("Expect", "").lower() == "100-continue":
        await request.writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
    return _Arrival(request, hold)


async def _multipart(arrival: _Arrival, head: bytes, stripper: MultipartStripper) -> RequestBody:
    # Credentials come before the file, as a rule: in the first bytes they are seen in time to
    # be judged; wherever they come, they are removed.
    seen, out = len(head), [await _fed(stripper, head)]
    while seen < _FIRST_BYTES and (chunk := await arrival.chunk()):
        seen += len(chunk)
        out.append(await _fed(stripper, chunk))
    return arrival.streamed(b"".join(out), stripper)


async def _fed(stripper: MultipartStripper, chunk: bytes) -> bytes:
    """What can be sent on; the loop has other work done between slices."""
    if len(chunk) <= _SLICE_BYTES:
        return stripper.feed(chunk)
    out = []
    for at in range(0, len(chunk), _SLICE_BYTES):
        out.append(stripper.feed(chunk[at : at + _SLICE_BYTES]))
        await asyncio.sleep(0)
    return b"".join(out)


def _parameters(content_type: str, body: bytes) -> tuple[str, ExtractedCredential]:
    """The parameters in a whole body as a raw query, and the credentials in it."""
    boundary = boundary_of(content_type)
    match body_form(content_type, body):
        case "form":
            check_charset(content_type, body)
            parsed = parse_form(body)
            return form_query(parsed.body), parsed.credential
        case "json":
            check_charset(content_type, body)
            try:
                parsed = parse_json(body, content_type)
            except MalformedJson:
                return "", NOTHING
            return json_query(parsed.body), parsed.credential
        case "multipart" if boundary is not None:
            stripper = MultipartStripper(boundary, None)
            stripper.feed(body)
            stripper.finish()
            return urlencode(stripper.params, quote_via=quote), stripper.credential
    return "", NOTHING
