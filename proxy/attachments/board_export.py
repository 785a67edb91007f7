"""A board's export: streamed to whoever asks, and never kept."""

from collections.abc import AsyncIterator

from proxy.attachments.content_policy import disposition, safe_fields
from proxy.attachments.fetcher import (
    AttachmentFetch,
    FetchDeps,
    UpstreamRefused,
)
from proxy.attachments.store.shared_file import FileInfo
from proxy.cache.results import response_from_buffered
from proxy.http_semantics.fields import serialize
from proxy.model import Fwd, Outcome
from proxy.trello.message import ApiRequest, ApiResponse


class FetchStream:
    """A download's bytes; closing it lets go of the connection, begun or not."""

    def __init__(self, fetch: AttachmentFetch) -> None:
        self._fetch = fetch
        self._chunks = fetch.chunks()

    def __aiter__(self) -> AsyncIterator[bytes]:
        return self._chunks

    async def aclose(self) -> None:
        await self._chunks.aclose()
        await self._fetch.aclose()


class BoardExport:
    """Downloads that are made for one asker."""

    def __init__(self, origin: FetchDeps) -> None:
        self._origin = origin

    async def serve(self, request: ApiRequest) -> ApiResponse:
        """The file, or Trello's own refusal; UpstreamError when storage does not give it."""
        outcome = Outcome(fwd=Fwd.BYPASS)
        fetch = AttachmentFetch(self._origin, request, FileInfo(None, ""))
        try:
            header = await fetch.open()
        except UpstreamRefused as refused:
            await fetch.aclose()
            return response_from_buffered(refused.response, outcome)
        except BaseException:
            await fetch.aclose()
            raise
        fields = (
            ("Content-Type", header.content_type),
            ("Content-Disposition", disposition(header.content_type, request.match.segments[-1])),
            *safe_fields(header.content_type),
            ("Cache-Control", "private, no-cache"),
        )
        return ApiResponse(
            200, serialize(fields), FetchStream(fetch), outcome, length=header.length
        )
