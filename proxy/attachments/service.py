"""Attachment service: authorizes a client for an attachment or preview, and opens the file.

A client is authorized by the attachment's metadata, read through the cache with its own credential
and at most as old as that route allows. Bytes are shared by all clients: a stored file is served, a
download in progress is joined, else one is started, always of the whole file. A file that cannot be
stored is streamed to its client only.
"""

from dataclasses import dataclass
from functools import partial
from urllib.parse import parse_qsl, quote

from proxy.attachments.body import AttachmentBody
from proxy.attachments.content_policy import first_content_type
from proxy.attachments.fetcher import AttachmentFetch, FetchDeps, UpstreamRefused
from proxy.attachments.store.catalog import AttachmentRow
from proxy.attachments.store.shared_file import FileInfo, SharedFile
from proxy.attachments.store.store import AttachmentStore
from proxy.cache.lookup import LookupResult
from proxy.cache.read_through import ReadThrough
from proxy.cache.results import response_from_buffered
from proxy.errors import (
    AttachmentDeleted,
    AttachmentIsLink,
    FileTooLarge,
    InvalidResponse,
    MaliciousFile,
    NotInCache,
    StoreError,
)
from proxy.http_semantics.content import identity_of
from proxy.http_semantics.target import target_of
from proxy.model import Detail, Fwd, Outcome
from proxy.trello.attachment_metadata import (
    Link,
    Malicious,
    Unreadable,
    UploadedFile,
    parse_attachment,
    preview_of_size,
)
from proxy.trello.message import ApiRequest, ApiResponse
from proxy.trello.routes import RouteTable


@dataclass(frozen=True, slots=True)
class AuthorizedAttachment:
    """A file that the client may read."""

    file: UploadedFile
    request: ApiRequest
    outcome: Outcome
    """Of the read of the metadata."""


@dataclass(frozen=True, slots=True)
class OpenAttachment:
    """A file of which any range can be sent; its `body` must be closed."""

    info: FileInfo
    outcome: Outcome
    body: AttachmentBody


class AttachmentService:
    """Serves the file routes of attachments."""

    def __init__(
        self,
        read_through: ReadThrough,
        routes: RouteTable,
        fetch_deps: FetchDeps,
        store: AttachmentStore,
    ) -> None:
        self._read_through = read_through
        self._routes = routes
        self._fetch_deps = fetch_deps
        self._store = store

    async def read_metadata(self, metadata_request: ApiRequest) -> ApiResponse:
        """The response by which the client is authorized for a file."""
        return await self._read_through.serve(metadata_request)

    def authorize(
        self, request: ApiRequest, response: ApiResponse
    ) -> AuthorizedAttachment | ApiResponse:
        """The requested file, or Trello's response if the client may not read it.

        `response`: to `metadata_request`. AttachmentDeleted if this client has read the file
        before; AttachmentIsLink, MaliciousFile, InvalidResponse according to the metadata.
        """
        params = dict(request.match.params)
        card, attachment = params["id"], params["idAttachment"]
        seen = _seen_link(request, card, attachment)
        if response.status == 404 and seen in self._store.seen_links:
            raise AttachmentDeleted("It was here, and Trello has it no more; look at the card.")
        if response.status != 200:
            return response
        metadata = _identity_body(response)
        match parse_attachment(metadata, _preview(request, metadata)):
            case UploadedFile() as file:
                self._store.seen_links.add(seen)
                return AuthorizedAttachment(file, request, response.outcome)
            case Link(url):
                raise AttachmentIsLink(f"It leads to {url}")
            case Malicious():
                raise MaliciousFile("Ask whoever attached it; the proxy does not hand it out.")
            case Unreadable():
                raise InvalidResponse(
                    "Trello's response about an attachment is not one; try again later."
                )

    async def predict(self, request: ApiRequest) -> tuple[LookupResult, Outcome | None]:
        """The lookup of the metadata, and the outcome of the file after it.

        None: there is no file to send, according to stored metadata.
        """
        params = dict(request.match.params)
        card, attachment = params["id"], params["idAttachment"]
        prediction = await self._read_through.predict(self.metadata_request(request))
        stored, preview = prediction.stored, params.get("idPreview")
        file_id = attachment if preview is None else f"{attachment}/{preview}"
        if stored is not None and prediction.outcome.hit:
            if stored.status != 200:
                is_gone = _seen_link(request, card, attachment) in self._store.seen_links
                return prediction, None if is_gone else prediction.outcome
            metadata = identity_of(stored.body, gzip=stored.gzip)
            file = parse_attachment(metadata, _preview(request, metadata))
            if not isinstance(file, UploadedFile):
                return prediction, None
            if self._is_too_long(file):
                return prediction, Outcome(fwd=Fwd.BYPASS, detail=Detail.TOO_LARGE)
            file_id = file.id
        is_stored = self._store.contains(file_id)
        return prediction, Outcome(hit=True) if is_stored else Outcome(fwd=Fwd.URI_MISS)

    async def open(self, authorized: AuthorizedAttachment, at: int) -> OpenAttachment | ApiResponse:
        """The file, or Trello's error response; UpstreamError if it cannot be fetched.

        `at`: the first byte to be sent, as far as it is known before the file's length is.
        """
        file, directives = authorized.file, authorized.request.directives
        pass_through = partial(self._pass_through, authorized, at)
        try:
            found = await self._store.open(file.id)
            if found is not None and found.row is not None:
                info = _info_of(found.file, found.row)
                body = self._body(authorized, info, found.file)
                return OpenAttachment(info, _hit_outcome(authorized), body)
            if directives.only_if_cached and not (found and found.file.complete):
                if found is not None:
                    found.file.release()
                raise NotInCache("Ask again without only-if-cached.")
            if found is not None:
                return await self._join_download(authorized, found.file, at, joined=True)
            if self._is_too_long(file):
                return await pass_through(Detail.TOO_LARGE)
            if directives.no_store:
                return await pass_through(Detail.REQUEST_NO_STORE)
            copies = self._store.copies_of(file.id, file.length)
            source = self._fetch(authorized, 0)
            shared, joined = self._store.start_download(file.id, source, copies)
            return await self._join_download(authorized, shared, at, joined=joined)
        except StoreError as error:
            return await pass_through(_reason(error))

    def open_stored(
        self, authorized: AuthorizedAttachment, info: FileInfo
    ) -> AttachmentBody | None:
        """The file without waiting; None unless it is stored as it was, and verified."""
        file = self._stored_file(authorized, info)
        return None if file is None else self._body(authorized, info, file)

    def read_stored(
        self, authorized: AuthorizedAttachment, info: FileInfo, start: int, end: int
    ) -> bytearray | None:
        """The bytes from `start` up to `end`, as `open_stored`; None if they are not in memory."""
        file = self._stored_file(authorized, info)
        if file is None:
            return None
        try:
            return file.read_now(start, end - start)
        finally:
            file.release()

    def _stored_file(self, authorized: AuthorizedAttachment, info: FileInfo) -> SharedFile | None:
        found = self._store.open_verified(authorized.file.id)
        if found is None:
            return None
        file, row = found
        if _info_of(file, row) == info:
            return file
        file.release()
        return None

    async def _join_download(
        self, authorized: AuthorizedAttachment, shared: SharedFile, at: int, *, joined: bool
    ) -> OpenAttachment | ApiResponse:
        """The file as it arrives; Trello's error response if that applies to this client."""
        is_complete = shared.complete
        try:
            info = await shared.info_ready()
        except UpstreamRefused as refused:
            shared.release()
            if refused.partition != authorized.request.partition:  # of another credential
                return await self._pass_through(authorized, at, Detail.REFUSED)
            return response_from_buffered(
                refused.response, Outcome(fwd=Fwd.URI_MISS, collapsed=joined)
            )
        except BaseException:
            shared.release()
            raise
        outcome = Outcome(fwd=Fwd.URI_MISS, fwd_status=200, stored=not joined, collapsed=joined)
        if is_complete or shared.was_copied:  # and about to be stored
            outcome = Outcome(hit=True)
        return OpenAttachment(info, outcome, self._body(authorized, info, shared))

    async def _pass_through(
        self, authorized: AuthorizedAttachment, at: int, reason: Detail
    ) -> OpenAttachment | ApiResponse:
        """The file from Trello, for this client only."""
        fetch = self._fetch(authorized, at)
        try:
            info = await fetch.open()
        except UpstreamRefused as refused:
            await fetch.aclose()
            return response_from_buffered(refused.response, Outcome(fwd=Fwd.BYPASS))
        except BaseException:
            await fetch.aclose()
            raise
        outcome = Outcome(fwd=Fwd.BYPASS, detail=reason)
        body = AttachmentBody(partial(self._fetch, authorized), info, fetch=fetch)
        return OpenAttachment(info, outcome, body)

    def _body(
        self, authorized: AuthorizedAttachment, info: FileInfo, shared: SharedFile
    ) -> AttachmentBody:
        return AttachmentBody(partial(self._fetch, authorized), info, file=shared)

    def _fetch(self, authorized: AuthorizedAttachment, at: int) -> AttachmentFetch:
        """A download from an offset on; not yet opened."""
        file = authorized.file
        request = _download_request(authorized.request, file)
        return AttachmentFetch(
            self._fetch_deps, request, FileInfo(file.length, file.content_type), at
        )

    def _is_too_long(self, file: UploadedFile) -> bool:
        return (file.length or 0) > self._store.max_file_bytes

    def metadata_request(self, request: ApiRequest) -> ApiRequest:
        """The request for the metadata without parameters, as clients send it: they share it."""
        params = dict(request.match.params)
        segments = "cards", params["id"], "attachments", params["idAttachment"]
        match = self._routes.classify("GET", segments)
        return request.derive(target=target_of(match.segments, ""), match=match)


def _seen_link(request: ApiRequest, card: str, attachment: str) -> str:
    """A link by partition: only clients that have read a file may learn that it was deleted."""
    return f"{request.partition}/{card}/{attachment}"


def _preview(request: ApiRequest, metadata: bytes) -> str | None:
    """The id of the requested preview; None for the attachment itself."""
    if not request.match.route.template.endswith("/previews/download"):
        return dict(request.match.params).get("idPreview")
    query = request.target.partition("?")[2]
    return preview_of_size(metadata, dict(parse_qsl(query)).get("backingUrl", ""))


def _download_request(request: ApiRequest, file: UploadedFile) -> ApiRequest:
    """The same request for any name and query of the client's; the name is Trello's."""
    params = dict(request.match.params)
    segments = ["cards", params["id"], "attachments", params["idAttachment"]]
    segments += ["previews", file.preview] if file.preview else []
    target = target_of((*segments, "download"), "")
    name = file.segment or quote(file.name, safe="", errors="replace")
    if name.strip("."):
        target += f"/{name}"
    return request.derive(target=target)


def _identity_body(response: ApiResponse) -> bytes:
    if not isinstance(response.body, bytes):
        raise InvalidResponse("Trello's response about an attachment is too long to be one.")
    return identity_of(response.body, gzip=response.gzip)


def _info_of(file: SharedFile, row: AttachmentRow) -> FileInfo:
    return FileInfo(file.written, first_content_type([row.content_type]))


def _hit_outcome(authorized: AuthorizedAttachment) -> Outcome:
    """A hit, unless the client was authorized by stale metadata (RFC 5861 §4)."""
    is_stale = authorized.outcome.detail is Detail.STALE_IF_ERROR
    return authorized.outcome if is_stale else Outcome(hit=True)


def _reason(error: StoreError) -> Detail:
    return Detail.TOO_LARGE if isinstance(error, FileTooLarge) else Detail.INSUFFICIENT_SPACE
