"""Attachment handler: conditional and range requests, and how a browser may show the file.

The same for a stored file, one that is being downloaded, and one that is only passed through.
"""

from collections.abc import Mapping
from functools import partial
from urllib.parse import parse_qsl

from aiohttp import web

from proxy.attachments.body import AttachmentBody
from proxy.attachments.content_policy import MAX_AGE_S, disposition, etag_of_file, safe_fields
from proxy.attachments.service import AttachmentService, AuthorizedAttachment, OpenAttachment
from proxy.cache.lookup import StoredLookup
from proxy.http_semantics.conditional import (
    Part,
    Slice,
    Unsatisfiable,
    Validators,
    content_range,
    resolve,
)
from proxy.http_semantics.content import lacks_charset
from proxy.http_semantics.fields import serialize
from proxy.model import Fields, Outcome
from proxy.runtime.clock import Clock
from proxy.server.request_context import RequestContext
from proxy.server.response import CachedFile, WireResponse, cached_hit, file_response
from proxy.trello.attachment_metadata import UploadedFile
from proxy.trello.message import ApiRequest, ApiResponse

_CACHE_CONTROL = ("Cache-Control", f"private, max-age={MAX_AGE_S}, immutable")
_HIT = Outcome(hit=True)
_NO_STORE = ("Cache-Control", "private, no-store")


class AttachmentHandler:
    """Handler of …/attachments/{a}/download and …/previews/{p}/download."""

    def __init__(self, downloads: AttachmentService, lookup: StoredLookup, clock: Clock) -> None:
        self._attachments = downloads
        self._lookup = lookup
        self._clock = clock

    def metadata_request(self, request: ApiRequest) -> ApiRequest:
        """The read by which a client is authorized for a file."""
        return self._attachments.metadata_request(request)

    async def handle(
        self,
        request: web.BaseRequest,
        api_request: ApiRequest,
        context: RequestContext,
        metadata: ApiResponse | None = None,
    ) -> WireResponse | ApiResponse:
        """The file, or Trello's response in its place; `context` gets the outcome of a file.

        `metadata`: the response to `metadata_request`, if the client has been given that already.
        """
        metadata_request = self._attachments.metadata_request(api_request)
        if metadata is None:
            metadata = await self._attachments.read_metadata(metadata_request)
        permitted = self._attachments.authorize(api_request, metadata)
        if isinstance(permitted, ApiResponse):
            return permitted
        validators = self._validators(permitted.file)
        unsent = _unless_preconditions(request.headers, validators, permitted, context)
        if unsent is not None:
            return unsent
        part = _part(request, validators, permitted.file.length)
        at = part.start if isinstance(part, Slice) else 0
        opened = await self._attachments.open(permitted, at)
        if isinstance(opened, ApiResponse):
            return opened
        context.outcome = opened.outcome
        response = await _render(request, permitted, opened, validators)
        is_plain_hit = opened.outcome == _HIT and response.status < 300
        # A client's own credential is not kept in memory.
        if is_plain_hit and api_request.uses_stored_credential:
            response.hit = cached_hit(self._lookup, metadata_request, metadata)
            response.file = CachedFile(
                length=opened.info.length or 0,
                validators=validators,
                if_range=request.headers.get("If-Range", ""),
                read=partial(self._attachments.read_stored, permitted, opened.info),
                open=partial(self._attachments.open_stored, permitted, opened.info),
            )
        if isinstance(response.content, AttachmentBody):
            response.content = await _content(request, context, permitted, response.content)
            if response.content == b"":
                response.content_length_bytes = 0
        return response

    def _validators(self, upload: UploadedFile) -> Validators:
        """ETag and Last-Modified; no date later than the response (RFC 9110 §8.8.2.1)."""
        date = upload.modified_at
        is_past = date is not None and date <= self._clock.now()
        return Validators(etag_of_file(upload.id), date if is_past else None)


def _unless_preconditions(
    headers: Mapping[str, str],
    validators: Validators,
    permitted: AuthorizedAttachment,
    context: RequestContext,
) -> WireResponse | None:
    """412 or 304 by the request's preconditions; None if the file is to be sent."""
    if validators.is_precondition_failed(
        headers.get("If-Match", ""), headers.get("If-Unmodified-Since", "")
    ):
        context.outcome = permitted.outcome
        fields = (("ETag", validators.etag), ("Cache-Control", "no-store"))
        return WireResponse(412, serialize(fields))
    if validators.is_not_modified(
        headers.get("If-None-Match", ""), headers.get("If-Modified-Since", "")
    ):
        context.outcome = Outcome(hit=True)
        return WireResponse(304, serialize((("ETag", validators.etag), _CACHE_CONTROL)))
    return None


async def _render(
    request: web.BaseRequest,
    permitted: AuthorizedAttachment,
    opened: OpenAttachment,
    validators: Validators,
) -> WireResponse:
    part = _part(request, validators, opened.info.length)
    if isinstance(part, Unsatisfiable):
        await opened.body.aclose()
        named = ("Content-Range", content_range(part, opened.info.length or 0))
        etag = ("ETag", validators.etag)
        return WireResponse(416, serialize((named, etag, ("Cache-Control", "no-store"))))
    head = serialize(_fields(request, permitted, opened, validators))
    return file_response(head, opened.body, part, opened.info.length)


async def _content(
    request: web.BaseRequest,
    context: RequestContext,
    permitted: AuthorizedAttachment,
    body: AttachmentBody,
) -> bytes | AttachmentBody:
    """What is sent: a short body at once, and none where another process sends it (D74, D82)."""
    is_get = request.method == "GET"
    if is_get and context.wants_offer:
        context.offer = body.offer(permitted.file.id)
        if context.wants_copy and context.offer is not None and context.offer.is_whole:
            return body
    elif (short := await body.read_small()) is not None:
        return short
    elif is_get and context.wants_file:
        context.file = body.stored_range()
    if context.file is None and context.offer is None:
        return body
    await body.aclose()
    return b""


def _part(request: web.BaseRequest, validators: Validators, length: int | None) -> Part:
    """The requested part of a file of `length` bytes; only GET has ranges (RFC 9110 §14.2)."""
    ranged = request.headers.get("Range", "") if request.method == "GET" else ""
    return resolve(ranged, request.headers.get("If-Range", ""), validators, length)


def _fields(
    request: web.BaseRequest,
    permitted: AuthorizedAttachment,
    opened: OpenAttachment,
    validators: Validators,
) -> Fields:
    content_type = opened.info.content_type
    save = any(
        name == "download"
        for name, _ in parse_qsl(request.raw_path.partition("?")[2], keep_blank_values=True)
    )
    # The charset of a long text is known when it is stored; until then no client may store it.
    is_settled = opened.outcome.hit or not lacks_charset(content_type)
    dated = (("Last-Modified", validators.last_modified),) if validators.last_modified else ()
    return (
        ("Content-Type", content_type),
        ("Content-Disposition", disposition(content_type, permitted.file.name, save=save)),
        ("ETag", validators.etag),
        *dated,
        ("Accept-Ranges", "bytes"),
        _CACHE_CONTROL if is_settled else _NO_STORE,
        *safe_fields(content_type),
    )
