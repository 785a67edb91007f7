"""An attachment or a preview: who may have it, and its bytes, fetched once for everybody.

Permission is the attachment's metadata, read through the cache in the asker's own name; it is at
most as old as that route allows. Bytes are shared: what is kept is served, what is on its way is
joined, else one download begins, always of the whole file. What cannot be kept passes through.
"""

from dataclasses import dataclass
from functools import partial
from urllib.parse import parse_qsl, quote

from proxy.attachments.body import AttachmentBody
from proxy.attachments.content_policy import first_content_type
from proxy.attachments.fetcher import (
    AttachmentFetch,
    FetchDeps,
    UpstreamRefused,
)
from proxy.attachments.store.shared_file import FileInfo, SharedFile
from proxy.attachments.store.store import AttachmentStore
from proxy.cache.read_through import ReadThrough
from proxy.cache.results import Prediction, response_from_buffered
from proxy.errors import (
    AttachmentDeleted,
    AttachmentIsLink,
    FileTooLarge,
    InvalidResponse,
    MaliciousFile,
    StoreError,
)
from proxy.errors import NotInCache as NothingStored
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
    """A file that the asker may have."""

    file: UploadedFile
    request: ApiRequest
    outcome: Outcome
    """Of reading the metadata."""


@dataclass(frozen=True, slots=True)
class OpenAttachment:
    """A file, ready to be sent in any part; its `body` must be closed."""

    info: FileInfo
    outcome: Outcome
    body: AttachmentBody


class AttachmentService:
    """Serves the file routes of attachments."""

    def __init__(
        self, reads: ReadThrough, table: RouteTable, origin: FetchDeps, files: AttachmentStore
    ) -> None:
        self._read_through = reads
        self._routes = table
        self._fetch_deps = origin
        self._store = files

    async def authorize(self, request: ApiRequest) -> AuthorizedAttachment | ApiResponse:
        """The file that is asked for, or Trello's word why not.

        FileGone where it was there before; NotAFile, MaliciousFile by what Trello says of it.
        """
        params = dict(request.match.params)
        card, attachment = params["id"], params["idAttachment"]
        link = f"{card}/{attachment}"
        response = await self._read_through.serve(self._metadata_request(request, card, attachment))
        if response.status == 404 and link in self._store.seen_links:
            raise AttachmentDeleted("It was here, and Trello has it no more; look at the card.")
        if response.status != 200:
            return response
        metadata = _identity_body(response)
        match parse_attachment(metadata, _preview(request, metadata)):
            case UploadedFile() as upload:
                self._store.seen_links.add(link)
                return AuthorizedAttachment(upload, request, response.outcome)
            case Link(url):
                raise AttachmentIsLink(f"It leads to {url}")
            case Malicious():
                raise MaliciousFile("Ask whoever attached it; the proxy does not hand it out.")
            case Unreadable():
                raise InvalidResponse(
                    "Trello's answer about an attachment is not one; try again later."
                )

    async def predict(self, request: ApiRequest) -> tuple[Prediction, Outcome | None]:
        """The reading of the metadata, and what the file's Cache-Status would say after it.

        None: there would be none, for Trello has said that there is no file to hand out.
        """
        params = dict(request.match.params)
        card, attachment = params["id"], params["idAttachment"]
        prediction = await self._read_through.predict(
            self._metadata_request(request, card, attachment)
        )
        stored, preview = prediction.lookup.stored, params.get("idPreview")
        file_id = attachment if preview is None else f"{attachment}/{preview}"
        if stored is not None and prediction.outcome.hit:
            if stored.status != 200:
                is_gone = f"{card}/{attachment}" in self._store.seen_links
                return prediction, None if is_gone else prediction.outcome
            metadata = identity_of(stored.body, gzip=stored.gzip)
            described = parse_attachment(metadata, _preview(request, metadata))
            if not isinstance(described, UploadedFile):
                return prediction, None
            if self._is_too_long(described):
                return prediction, Outcome(fwd=Fwd.BYPASS, detail=Detail.TOO_LARGE)
            file_id = described.id
        is_here = self._store.contains(file_id)
        return prediction, Outcome(hit=True) if is_here else Outcome(fwd=Fwd.URI_MISS)

    async def open(self, permitted: AuthorizedAttachment, at: int) -> OpenAttachment | ApiResponse:
        """The file, or Trello's own refusal; UpstreamError when it cannot be had.

        `at`: the first byte that will be wanted, as far as that is known by now.
        """
        upload, directives = permitted.file, permitted.request.directives
        through = partial(self._pass_through, permitted, at)
        try:
            found = await self._store.open(upload.id)
            if found is not None and found[1] is not None:
                content_type = first_content_type([found[1].content_type])
                header = FileInfo(found[0].written, content_type)
                return OpenAttachment(
                    header, _is_stored(permitted), self._body(permitted, header, found[0])
                )
            if directives.only_if_cached and not (found and found[0].complete):
                if found is not None:
                    found[0].release()
                raise NothingStored("Ask again without only-if-cached.")
            if found is not None:
                return await self._join_download(permitted, found[0], at, joined=True)
            if self._is_too_long(upload):
                return await through(Detail.TOO_LARGE)
            if directives.no_store:
                return await through(Detail.REQUEST_NO_STORE)
            held, joined = self._store.start_download(upload.id, self._fetch(permitted, 0))
            return await self._join_download(permitted, held, at, joined=joined)
        except StoreError as error:
            return await through(_reason(error))

    async def _join_download(
        self, permitted: AuthorizedAttachment, held: SharedFile, at: int, *, joined: bool
    ) -> OpenAttachment | ApiResponse:
        is_complete = held.complete
        try:
            header = await held.info_ready()
        except UpstreamRefused as refused:
            held.release()
            if refused.partition != permitted.request.partition:  # it is somebody else's
                return await self._pass_through(permitted, at, Detail.REFUSED)
            return response_from_buffered(
                refused.response, Outcome(fwd=Fwd.URI_MISS, collapsed=joined)
            )
        except BaseException:
            held.release()
            raise
        outcome = Outcome(fwd=Fwd.URI_MISS, fwd_status=200, stored=not joined, collapsed=joined)
        if is_complete:  # and about to be kept
            outcome = Outcome(hit=True)
        return OpenAttachment(header, outcome, self._body(permitted, header, held))

    async def _pass_through(
        self, permitted: AuthorizedAttachment, at: int, reason: Detail
    ) -> OpenAttachment | ApiResponse:
        """The file from Trello, for this asker alone."""
        fetch = self._fetch(permitted, at)
        try:
            header = await fetch.open()
        except UpstreamRefused as refused:
            await fetch.aclose()
            return response_from_buffered(refused.response, Outcome(fwd=Fwd.BYPASS))
        except BaseException:
            await fetch.aclose()
            raise
        outcome = Outcome(fwd=Fwd.BYPASS, detail=reason)
        body = AttachmentBody(partial(self._fetch, permitted), header, fetch=fetch)
        return OpenAttachment(header, outcome, body)

    def _body(
        self, permitted: AuthorizedAttachment, header: FileInfo, held: SharedFile
    ) -> AttachmentBody:
        return AttachmentBody(partial(self._fetch, permitted), header, held=held)

    def _fetch(self, permitted: AuthorizedAttachment, at: int) -> AttachmentFetch:
        """A download from an offset on."""
        upload = permitted.file
        request = _download_request(permitted.request, upload)
        return AttachmentFetch(
            self._fetch_deps, request, FileInfo(upload.length, upload.content_type), at
        )

    def _is_too_long(self, upload: UploadedFile) -> bool:
        return (upload.length or 0) > self._store.max_file_bytes

    def _metadata_request(self, request: ApiRequest, card: str, attachment: str) -> ApiRequest:
        """The plain question about an attachment: the one that tools ask, so they share it."""
        match = self._routes.classify("GET", ("cards", card, "attachments", attachment))
        return request.derive(target=target_of(match.segments, ""), match=match)


def _preview(request: ApiRequest, metadata: bytes) -> str | None:
    """The id of the preview that is asked for; None for the file itself."""
    if not request.match.route.template.endswith("/previews/download"):
        return dict(request.match.params).get("idPreview")
    query = request.target.partition("?")[2]
    return preview_of_size(metadata, dict(parse_qsl(query)).get("backingUrl", ""))


def _download_request(request: ApiRequest, upload: UploadedFile) -> ApiRequest:
    """Always the same request, whatever name and query the client used; the name is Trello's."""
    params = dict(request.match.params)
    segments = ["cards", params["id"], "attachments", params["idAttachment"]]
    segments += ["previews", upload.preview] if upload.preview else []
    target = target_of((*segments, "download"), "")
    name = upload.segment or quote(upload.name, safe="", errors="replace")
    if name.strip("."):
        target += f"/{name}"
    return request.derive(target=target)


def _identity_body(response: ApiResponse) -> bytes:
    if not isinstance(response.body, bytes):
        raise InvalidResponse("Trello's answer about an attachment is too long to be one.")
    return identity_of(response.body, gzip=response.gzip)


def _is_stored(permitted: AuthorizedAttachment) -> Outcome:
    """A hit; or, where its permission is an old one for want of a newer, that."""
    is_stale = permitted.outcome.detail is Detail.STALE_IF_ERROR
    return permitted.outcome if is_stale else Outcome(hit=True)


def _reason(error: StoreError) -> Detail:
    return Detail.TOO_LARGE if isinstance(error, FileTooLarge) else Detail.INSUFFICIENT_SPACE
