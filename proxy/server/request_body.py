"""Request body without the client's credential: forms and JSON are buffered, the rest is streamed.

Nothing here blocks the event loop for long: buffered bodies are short, and parsed in a thread
unless they are very short; streamed ones are searched in slices.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping, Sequence, Set
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
    OutsideScope,
    RequestTimeout,
    UnsupportedContentEncoding,
)
from proxy.http_semantics.content import check_charset
from proxy.http_semantics.parameters import Parameter
from proxy.http_semantics.target import MAX_TARGET_BYTES
from proxy.runtime.memory_budget import Hold
from proxy.runtime.tasks import run_for_client

MAX_FORM_OR_JSON_BYTES = 256 * 1024
"""Of a form or JSON. Trello's longest text, a description of 16,384 characters, takes 192 KiB if
each of them is four bytes, percent-encoded."""
IDLE_S = 30.0
"""A client that sends no byte of a body for this long is disconnected."""
BODY_S = 60.0
"""For a whole body, plus one second for each MIN_BYTES_PER_S of it."""
MIN_BYTES_PER_S = 4096
_STREAM_BYTES = 128 * 1024
"""Memory for a streamed body, besides the connection's own buffer."""
_START_BYTES = 512
"""Enough to distinguish a form, JSON and anything else."""
_SINGLE_FIELDS = ("Content-Encoding", "Content-Type", "Transfer-Encoding")
"""Fields that decide how a body is read; of two of one name, two parsers could read one each."""
_MULTIPART_START_BYTES = 64 * 1024
_SLICE_BYTES = 16 * 1024
"""Of a multipart body, searched at once."""


@dataclass(slots=True, kw_only=True)
class RequestBody:
    """The body to send to Trello, and the credential and parameters found in it."""

    content: bytes | AsyncIterator[bytes] | None = field(default=None, repr=False)
    credential: ExtractedCredential = NOTHING
    params: Callable[[], Mapping[str, str]] = dict
    """Complete once the body has been sent."""
    parameters: Sequence[Parameter] = ()
    """Every parameter that a form or JSON may set."""
    length: int | None = None
    """Of a streamed body, in bytes, if the client announced it."""
    failure: ClientError | None = None
    """Why receiving a streamed body failed."""
    parts: "PartNames | None" = None
    """Of a multipart body."""


class PartNames:
    """Names of the parts of a multipart body, judged while it is streamed."""

    def __init__(self, stripper: MultipartStripper) -> None:
        self._stripper = stripper
        self._allowed: Set[str] | None = None

    def allow_only(self, names: Set[str]) -> None:
        """From now on any other part ends the body; OutsideScope if one was received."""
        self._allowed = names
        self.check()

    def check(self) -> None:
        """OutsideScope for a part that is not allowed, or parts that were not read."""
        if self._allowed is None:
            return
        if self._stripper.is_unread or not self._stripper.names <= self._allowed:
            raise OutsideScope(f"Upload with no parts but {', '.join(sorted(self._allowed))}.")


class _Receiver:
    """Receiver of one request body; each wait for the client is bounded, and so is their sum."""

    def __init__(self, request: web.BaseRequest, hold: Hold) -> None:
        self._content = request.content
        self.length = request.content_length
        self._hold = hold
        self._waited_s = 0.0
        self._received_bytes = 0

    async def read_chunk(self) -> bytes:
        """The next bytes; empty at the end. RequestTimeout, IncompleteBody."""
        loop = asyncio.get_running_loop()
        started_at = loop.time()
        left_s = BODY_S + self._received_bytes / MIN_BYTES_PER_S - self._waited_s
        try:
            async with asyncio.timeout(min(IDLE_S, left_s)):
                chunk = await self._content.readany()
        except TimeoutError as error:
            raise RequestTimeout("The body stopped arriving, or arrived too slowly.") from error
        except ConnectionError as error:
            raise IncompleteBody("The connection ended before the body did.") from error
        self._waited_s += loop.time() - started_at
        self._received_bytes += len(chunk)
        return chunk

    async def read_start(self) -> bytes:
        """The first bytes, at least _START_BYTES unless the body is shorter."""
        start = b""
        while len(start) < _START_BYTES and (chunk := await self.read_chunk()):
            start += chunk
        return start

    async def read_all(self, start: bytes, max_bytes: int) -> bytes:
        """The whole body, of which `start` was read; BodyTooLarge, MemoryFull."""
        body, chunk = bytearray(), start or await self.read_chunk()
        while chunk:
            if max(len(body) + len(chunk), self.length or 0) > max_bytes:
                raise BodyTooLarge(
                    f"Send a form or JSON of at most {max_bytes // 1024} KiB; a file as multipart."
                )
            self._hold.take("requests", len(chunk))
            body += chunk
            chunk = await self.read_chunk()
        return bytes(body)

    async def read_parsed(self, start: bytes, parse: Callable[[bytes], ParsedBody]) -> RequestBody:
        """The whole body, parsed."""
        body = await self.read_all(start, MAX_FORM_OR_JSON_BYTES)
        parsed = await run_for_client(len(body), parse, body)
        return RequestBody(
            content=parsed.body,
            credential=parsed.credential,
            params=lambda: parsed.params,
            parameters=parsed.parameters,
        )

    def stream(self, start: bytes, stripper: MultipartStripper | None = None) -> RequestBody:
        """The body from `start` on, as it arrives; unchanged without a stripper."""
        self._hold.take("requests", _STREAM_BYTES)
        body = RequestBody(length=self.length)
        if stripper is not None:
            body.credential, body.params = stripper.credential, lambda: stripper.params
            body.parts = PartNames(stripper)

        async def chunks() -> AsyncIterator[bytes]:
            try:
                yield start
                while chunk := await self.read_chunk():
                    passed = await _strip(stripper, chunk) if stripper else chunk
                    if body.parts is not None:
                        body.parts.check()
                    yield passed
                while stripper and (rest := stripper.finish()):
                    yield rest
            except ClientError as error:
                body.failure = error
                raise

        body.content = chunks()
        return body


async def read_body(request: web.BaseRequest, hold: Hold) -> RequestBody:
    """The request's body without credentials; `hold` accounts for its memory.

    BodyTooLarge, CharsetNotUtf8, IncompleteBody, MalformedJson, MalformedRequest, MemoryFull,
    RequestTimeout, UnsupportedContentEncoding.
    """
    if not request.body_exists:
        return RequestBody()
    receiver = await _start_receiving(request, hold)
    content_type = request.headers.get("Content-Type", "")
    start, boundary = await receiver.read_start(), boundary_of(content_type)
    match body_form(content_type, start):
        case "form":
            check_charset(content_type, start)
            return await receiver.read_parsed(start, parse_form)
        case "json":
            check_charset(content_type, start)
            parse = partial(parse_json, content_type=content_type)
            return await receiver.read_parsed(start, parse)
        case "multipart" if boundary is not None:
            stripper = MultipartStripper(boundary, receiver.length)
            return await _read_multipart(receiver, start, stripper)
        case _:
            return receiver.stream(start)


async def read_parameters(request: web.BaseRequest, hold: Hold) -> tuple[str, ExtractedCredential]:
    """The parameters in the body of a GET or HEAD as a raw query, and the credentials in it.

    Any other body is read and dropped, because no read is sent with one (RFC 9110 §9.3.1, D10).
    Raises as `read_body`.
    """
    body = await read_limited(request, hold, MAX_TARGET_BYTES)
    content_type = request.headers.get("Content-Type", "")
    return await run_for_client(len(body), _query_of, content_type, body)


async def read_limited(request: web.BaseRequest, hold: Hold, max_bytes: int) -> bytes:
    """The body as it was sent; BodyTooLarge if it is longer, otherwise raises as `read_body`."""
    receiver = await _start_receiving(request, hold)
    return await receiver.read_all(b"", max_bytes)


async def stream_body(request: web.BaseRequest, hold: Hold) -> RequestBody:
    """The body as it is received, unchanged; raises as `read_body`."""
    return (await _start_receiving(request, hold)).stream(b"")


async def _start_receiving(request: web.BaseRequest, hold: Hold) -> _Receiver:
    """Send 100 (Continue) if the client waits for it (RFC 9110 §10.1.1).

    MalformedRequest, UnsupportedContentEncoding.
    """
    headers = request.headers
    if headers.get("Transfer-Encoding", "chunked").strip().lower() != "chunked":
        raise MalformedRequest(
            "Send the body with a Content-Length or chunked; no other transfer coding is accepted."
        )
    if any(len(headers.getall(name, ())) > 1 for name in _SINGLE_FIELDS):
        raise MalformedRequest(f"Send one field each of {' and '.join(_SINGLE_FIELDS)}.")
    if headers.get("Content-Encoding", "identity").lower() != "identity":
        raise UnsupportedContentEncoding(
            "Leave Content-Encoding out: the body is searched for credentials as it is received."
        )
    if request.headers.get("Expect", "").lower() == "100-continue":
        await request.writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
    return _Receiver(request, hold)


async def _read_multipart(
    receiver: _Receiver, start: bytes, stripper: MultipartStripper
) -> RequestBody:
    # Credentials usually precede the file: those in the first bytes are found before the request
    # is sent, so they can be used for it. Later ones are removed as well.
    received, stripped = len(start), [await _strip(stripper, start)]
    while received < _MULTIPART_START_BYTES and (chunk := await receiver.read_chunk()):
        received += len(chunk)
        stripped.append(await _strip(stripper, chunk))
    return receiver.stream(b"".join(stripped), stripper)


async def _strip(stripper: MultipartStripper, chunk: bytes) -> bytes:
    """What to send of a chunk; between slices the event loop serves other requests."""
    if len(chunk) <= _SLICE_BYTES:
        return stripper.feed(chunk)
    out = []
    for at in range(0, len(chunk), _SLICE_BYTES):
        out.append(stripper.feed(chunk[at : at + _SLICE_BYTES]))
        await asyncio.sleep(0)
    return b"".join(out)


def _query_of(content_type: str, body: bytes) -> tuple[str, ExtractedCredential]:
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
