"""A client's request body, without its credentials: held when it is a form, streamed when not."""

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass, field
from urllib.parse import quote, urlencode

from aiohttp import web

from proxy.errors import BodyCut, BodyTooLarge, ClientError, CodedBody, RequestTimeout
from proxy.policy.bodies import (
    body_form,
    form_params,
    form_query,
    json_params,
    json_query,
    strip_form,
    strip_json,
)
from proxy.policy.credentials import NOTHING, Found
from proxy.policy.multipart import MultipartStripper, boundary_of
from proxy.policy.target import MAX_TARGET_BYTES

HELD_BYTES = 4 * 1024 * 1024
"""A form or JSON body must be read whole; Trello's longest text is a fraction of this."""
IDLE_S = 30.0
"""A client that sends nothing for so long in mid-body is gone, or holds a connection."""
_FIRST_BYTES = 64 * 1024


@dataclass(slots=True)
class Incoming:
    """What may go to Trello, and what was taken out of it."""

    body: bytes | AsyncIterator[bytes] | None = field(default=None, repr=False)
    found: Found = NOTHING
    params: Callable[[], Mapping[str, str]] = dict
    length: int | None = None
    """Of a streamed body, when the client announced it."""
    failure: ClientError | None = None
    """Why the client's body ended early; set while it is being streamed."""


async def receive(request: web.BaseRequest) -> Incoming:
    """The request's body, its credentials removed; BodyTooLarge, CodedBody or RequestTimeout."""
    if not request.body_exists:
        return Incoming()
    _check_coding(request)
    content_type = request.headers.get("Content-Type")
    first = await _chunk(request)
    boundary = boundary_of(content_type or "")
    match body_form(content_type, first):
        case "form":
            stripped, found = strip_form(await _whole(request, first))
            return Incoming(stripped, found, lambda: form_params(stripped))
        case "json":
            stripped, found = strip_json(await _whole(request, first))
            return Incoming(stripped, found, lambda: json_params(stripped))
        case "multipart" if boundary is not None:
            return await _multipart(request, first, boundary)
        case _:
            return _opaque(request, first)


async def receive_parameters(request: web.BaseRequest) -> tuple[str, Found]:
    """The parameters in the body of a GET or HEAD as a raw query, and the credentials in it.

    A body of another kind is read and dropped: no read is sent with one (RFC 9110 §9.3.1).
    BodyTooLarge, CodedBody or RequestTimeout.
    """
    if not request.body_exists:
        return "", NOTHING
    body = await receive_raw(request, MAX_TARGET_BYTES)
    content_type = request.headers.get("Content-Type", "")
    boundary = boundary_of(content_type)
    match body_form(content_type, body):
        case "form":
            stripped, found = strip_form(body)
            return form_query(stripped), found
        case "json":
            stripped, found = strip_json(body)
            return json_query(stripped), found
        case "multipart" if boundary is not None:
            stripper = MultipartStripper(boundary, None)
            stripper.feed(body)
            stripper.finish()
            return urlencode(stripper.params, quote_via=quote), stripper.found
    return "", NOTHING


async def receive_raw(request: web.BaseRequest, most_bytes: int) -> bytes:
    """The body as it came, at most so long, and within the time that a client may be idle."""
    _check_coding(request)
    if (request.content_length or 0) > most_bytes:
        raise BodyTooLarge(f"Send {most_bytes // 2**10} KiB at most.")
    chunks, size = [], 0
    try:
        async with asyncio.timeout(IDLE_S):
            while chunk := await _chunk(request):
                size += len(chunk)
                if size > most_bytes:
                    raise BodyTooLarge(f"Send {most_bytes // 2**10} KiB at most.")
                chunks.append(chunk)
    except TimeoutError as error:
        raise RequestTimeout(f"The body did not arrive within {IDLE_S:.0f} s.") from error
    return b"".join(chunks)


def _check_coding(request: web.BaseRequest) -> None:
    if request.headers.get("Content-Encoding", "identity").lower() != "identity":
        raise CodedBody("Leave Content-Encoding out: the body is looked into as it comes.")


async def _whole(request: web.BaseRequest, first: bytes) -> bytes:
    chunks, size = [first], len(first)
    while chunk := await _chunk(request):
        size += len(chunk)
        if size > HELD_BYTES:
            raise BodyTooLarge(
                f"Send forms and JSON of at most {HELD_BYTES // 2**20} MiB; files as multipart."
            )
        chunks.append(chunk)
    return b"".join(chunks)


async def _multipart(request: web.BaseRequest, first: bytes, boundary: bytes) -> Incoming:
    # Credentials come before the file, as a rule: in the first bytes they are seen in time to
    # be judged; wherever they come, they are removed.
    stripper = MultipartStripper(boundary, request.content_length)
    seen, out = len(first), [stripper.feed(first)]
    while seen < _FIRST_BYTES and (chunk := await _chunk(request)):
        seen += len(chunk)
        out.append(stripper.feed(chunk))
    incoming = Incoming(found=stripper.found, params=lambda: stripper.params)
    incoming.length = request.content_length

    async def stream() -> AsyncIterator[bytes]:
        yield b"".join(out)
        async for chunk in _rest(request, incoming):
            yield stripper.feed(chunk)
        while rest := stripper.finish():
            yield rest

    incoming.body = stream()
    return incoming


def _opaque(request: web.BaseRequest, first: bytes) -> Incoming:
    incoming = Incoming(length=request.content_length)

    async def stream() -> AsyncIterator[bytes]:
        yield first
        async for chunk in _rest(request, incoming):
            yield chunk

    incoming.body = stream()
    return incoming


async def _rest(request: web.BaseRequest, incoming: Incoming) -> AsyncIterator[bytes]:
    try:
        while chunk := await _chunk(request):
            yield chunk
    except ClientError as error:
        incoming.failure = error
        raise


async def _chunk(request: web.BaseRequest) -> bytes:
    try:
        async with asyncio.timeout(IDLE_S):
            return await request.content.readany()
    except TimeoutError as error:
        raise RequestTimeout(f"The body stopped arriving for {IDLE_S:.0f} s.") from error
    except ConnectionError as error:
        raise BodyCut("The connection ended before the body did.") from error
