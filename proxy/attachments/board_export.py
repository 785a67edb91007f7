"""Board export: a file that is streamed to one client, and never stored."""

from proxy.attachments.content_policy import disposition, safe_fields
from proxy.attachments.fetcher import AttachmentFetch, FetchDeps, UpstreamRefused
from proxy.attachments.store.shared_file import FileInfo
from proxy.cache.results import response_from_buffered
from proxy.http_semantics.fields import serialize
from proxy.model import Fwd, Outcome
from proxy.trello.message import ApiRequest, ApiResponse


class BoardExport:
    """Serves the export routes of boards."""

    def __init__(self, deps: FetchDeps) -> None:
        self._fetch_deps = deps

    async def serve(self, request: ApiRequest) -> ApiResponse:
        """The file, or Trello's error response; UpstreamError if the storage fails."""
        outcome = Outcome(fwd=Fwd.BYPASS)
        fetch = AttachmentFetch(self._fetch_deps, request, FileInfo(None, ""))
        try:
            info = await fetch.open()
        except UpstreamRefused as refused:
            await fetch.aclose()
            return response_from_buffered(refused.response, outcome)
        except BaseException:
            await fetch.aclose()
            raise
        fields = (
            ("Content-Type", info.content_type),
            ("Content-Disposition", disposition(info.content_type, request.match.segments[-1])),
            *safe_fields(info.content_type),
            ("Cache-Control", "private, no-cache"),
        )
        return ApiResponse(200, serialize(fields), fetch, outcome, length=info.length)
