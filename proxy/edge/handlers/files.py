"""An attachment's file over HTTP: conditions, ranges, and how it may be shown.

The same for a file that is kept, that is still arriving, and that only passes through.
"""

from typing import assert_never
from urllib.parse import parse_qsl

from aiohttp import web

from proxy.edge.rendered import Rendered
from proxy.flow.ask import Answer, Ask
from proxy.flow.download import Download, OpenFile, Permitted
from proxy.flow.file_body import FileBody
from proxy.model import Fields, Outcome
from proxy.policy.files import MAX_AGE_S, disposition, etag_of_file, safe_fields
from proxy.policy.ranges import Part, Slice, Unsatisfiable, Whole, content_range, resolve
from proxy.policy.validation import not_modified
from proxy.policy.wire import head_of

_CACHE_CONTROL = ("Cache-Control", f"private, max-age={MAX_AGE_S}, immutable")


class FileHandler:
    """Serves …/attachments/{a}/download and …/previews/{p}/download."""

    def __init__(self, downloads: Download) -> None:
        self._downloads = downloads

    async def handle(self, request: web.BaseRequest, ask: Ask) -> tuple[Rendered, Outcome] | Answer:
        """The file, or the answer of Trello's that stands for it."""
        permitted = await self._downloads.permit(ask)
        if isinstance(permitted, Answer):
            return permitted
        etag = etag_of_file(permitted.upload.id)
        if not_modified(request.headers.get("If-None-Match", ""), etag):
            head = head_of((("ETag", etag), _CACHE_CONTROL))
            return Rendered(304, head), Outcome(hit=True)
        part = _part(request, etag, permitted.upload.length)
        at = part.start if isinstance(part, Slice) else 0
        opened = await self._downloads.open(permitted, at)
        if isinstance(opened, Answer):
            return opened
        return await _rendered(request, permitted, opened, etag), opened.outcome


async def _rendered(
    request: web.BaseRequest, permitted: Permitted, opened: OpenFile, etag: str
) -> Rendered:
    length = opened.header.length
    part = _part(request, etag, length)
    match part:
        case Whole():
            fields = _fields(request, permitted, opened, etag)
            return Rendered(200, head_of(fields), await _payload(opened), length)
        case Slice(start, end):
            opened.body.narrow(start, end)
            named = ("Content-Range", content_range(part, length or 0))
            fields = (*_fields(request, permitted, opened, etag), named)
            return Rendered(206, head_of(fields), await _payload(opened), end - start)
        case Unsatisfiable():
            await opened.body.aclose()
            named = ("Content-Range", content_range(part, length or 0))
            return Rendered(416, head_of((named, ("ETag", etag), ("Cache-Control", "no-store"))))
        case never:
            assert_never(never)


def _part(request: web.BaseRequest, etag: str, length: int | None) -> Part:
    """What is asked for of a file of this length; ranges are for GET (RFC 9110 §14.2)."""
    ranged = request.headers.get("Range", "") if request.method == "GET" else ""
    return resolve(ranged, request.headers.get("If-Range", ""), etag, length)


async def _payload(opened: OpenFile) -> bytes | FileBody:
    short = await opened.body.at_once()
    return opened.body if short is None else short


def _fields(request: web.BaseRequest, permitted: Permitted, opened: OpenFile, etag: str) -> Fields:
    header = opened.header
    save = any(
        name == "download"
        for name, _ in parse_qsl(request.raw_path.partition("?")[2], keep_blank_values=True)
    )
    return (
        ("Content-Type", header.content_type),
        ("Content-Disposition", disposition(header.content_type, permitted.upload.name, save=save)),
        ("ETag", etag),
        ("Accept-Ranges", "bytes"),
        _CACHE_CONTROL,
        *safe_fields(header.content_type),
    )
