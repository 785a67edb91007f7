"""An attachment or a preview: who may have it, and its bytes, fetched once for everybody.

Permission is the attachment's metadata, read through the cache in the asker's own name; it is at
most as old as that route allows. Bytes are shared: what is kept is served, what is on its way is
joined, else one download begins, always of the whole file. What cannot be kept passes through.
"""

from dataclasses import dataclass, replace
from functools import partial
from urllib.parse import parse_qsl, quote

from proxy.errors import FileGone, MaliciousFile, NotAFile, StoreError, TooLarge, Unusable
from proxy.errors import NotStored as NothingStored
from proxy.flow.answers import from_whole
from proxy.flow.ask import Answer, Ask
from proxy.flow.fetch import Fetch, Origin, Refused
from proxy.flow.file_body import FileBody
from proxy.flow.foresight import Foreseen
from proxy.flow.read_through import STALE_IF_ERROR, ReadThrough
from proxy.model import Fwd, Outcome
from proxy.policy.attachments import (
    Link,
    Malicious,
    Unreadable,
    Upload,
    describe,
    preview_of_size,
)
from proxy.policy.cache_key import key_of
from proxy.policy.codings import identity_of
from proxy.policy.files import content_type_of
from proxy.policy.routes import RouteTable
from proxy.policy.storability import Reason
from proxy.policy.target import target_of
from proxy.store.files import Files
from proxy.store.held import Header, Held

_TOO_LARGE = "too-large"


@dataclass(frozen=True, slots=True)
class Permitted:
    """A file that the asker may have."""

    upload: Upload
    ask: Ask
    outcome: Outcome
    """Of reading the metadata."""


@dataclass(frozen=True, slots=True)
class OpenFile:
    """A file, ready to be sent in any part; its `body` must be closed."""

    header: Header
    outcome: Outcome
    body: FileBody


class Download:
    """Serves the file routes of attachments."""

    def __init__(self, reads: ReadThrough, table: RouteTable, origin: Origin, files: Files) -> None:
        self._reads = reads
        self._table = table
        self._origin = origin
        self._files = files

    async def permit(self, ask: Ask) -> Permitted | Answer:
        """The file that is asked for, or Trello's word why not.

        FileGone where it was there before; NotAFile, MaliciousFile by what Trello says of it.
        """
        params = dict(ask.match.params)
        card, attachment = params["id"], params["idAttachment"]
        link = f"{card}/{attachment}"
        answer = await self._reads.serve(self._metadata_ask(ask, card, attachment))
        if answer.status == 404 and link in self._files.seen:
            raise FileGone("It was here, and Trello has it no more; look at the card.")
        if answer.status != 200:
            return answer
        metadata = _plain(answer)
        match describe(metadata, _preview(ask, metadata)):
            case Upload() as upload:
                self._files.seen.add(link)
                return Permitted(upload, ask, answer.outcome)
            case Link(url):
                raise NotAFile(f"It leads to {url}")
            case Malicious():
                raise MaliciousFile("Ask whoever attached it; the proxy does not hand it out.")
            case Unreadable():
                raise Unusable("Trello's answer about an attachment is not one; try again later.")

    async def foresee(self, ask: Ask) -> tuple[Foreseen, Outcome | None]:
        """The reading of the metadata, and what the file's Cache-Status would say after it.

        None: there would be none, for Trello has said that there is no file to hand out.
        """
        params = dict(ask.match.params)
        card, attachment = params["id"], params["idAttachment"]
        foreseen = await self._reads.foresee(self._metadata_ask(ask, card, attachment))
        stored, preview = foreseen.found.stored, params.get("idPreview")
        file_id = attachment if preview is None else f"{attachment}/{preview}"
        if stored is not None and foreseen.outcome.hit:
            if stored.status != 200:
                is_gone = f"{card}/{attachment}" in self._files.seen
                return foreseen, None if is_gone else foreseen.outcome
            metadata = identity_of(stored.body, gzip=stored.gzip)
            described = describe(metadata, _preview(ask, metadata))
            if not isinstance(described, Upload):
                return foreseen, None
            if self._is_too_long(described):
                return foreseen, Outcome(fwd=Fwd.BYPASS, detail=_TOO_LARGE)
            file_id = described.id
        is_here = self._files.holds(file_id)
        return foreseen, Outcome(hit=True) if is_here else Outcome(fwd=Fwd.URI_MISS)

    async def open(self, permitted: Permitted, at: int) -> OpenFile | Answer:
        """The file, or Trello's own refusal; UpstreamError when it cannot be had.

        `at`: the first byte that will be wanted, as far as that is known by now.
        """
        upload, directives = permitted.upload, permitted.ask.directives
        through = partial(self._through, permitted, at)
        try:
            found = await self._files.find(upload.id)
            if found is not None and found[1] is not None:
                content_type = content_type_of([found[1].content_type])
                header = Header(found[0].written, content_type)
                return OpenFile(header, _kept(permitted), self._body(permitted, header, found[0]))
            if directives.only_if_cached and not (found and found[0].complete):
                if found is not None:
                    found[0].release()
                raise NothingStored("Ask again without only-if-cached.")
            if found is not None:
                return await self._arriving(permitted, found[0], at, joined=True)
            if self._is_too_long(upload):
                return await through(_TOO_LARGE)
            if directives.no_store:
                return await through(Reason.REQUEST)
            held, joined = self._files.begin(upload.id, self._fetch(permitted, 0))
            return await self._arriving(permitted, held, at, joined=joined)
        except StoreError as error:
            return await through(_reason(error))

    async def _arriving(
        self, permitted: Permitted, held: Held, at: int, *, joined: bool
    ) -> OpenFile | Answer:
        is_complete = held.complete
        try:
            header = await held.begun()
        except Refused as refused:
            held.release()
            if refused.partition != permitted.ask.partition:  # it is somebody else's
                return await self._through(permitted, at, "refused")
            return from_whole(refused.whole, Outcome(fwd=Fwd.URI_MISS, collapsed=joined))
        except BaseException:
            held.release()
            raise
        outcome = Outcome(fwd=Fwd.URI_MISS, fwd_status=200, stored=not joined, collapsed=joined)
        if is_complete:  # and about to be kept
            outcome = Outcome(hit=True)
        return OpenFile(header, outcome, self._body(permitted, header, held))

    async def _through(self, permitted: Permitted, at: int, reason: str) -> OpenFile | Answer:
        """The file from Trello, for this asker alone."""
        fetch = self._fetch(permitted, at)
        try:
            header = await fetch.open()
        except Refused as refused:
            await fetch.aclose()
            return from_whole(refused.whole, Outcome(fwd=Fwd.BYPASS))
        except BaseException:
            await fetch.aclose()
            raise
        outcome = Outcome(fwd=Fwd.BYPASS, detail=reason)
        body = FileBody(partial(self._fetch, permitted), header, fetch=fetch)
        return OpenFile(header, outcome, body)

    def _body(self, permitted: Permitted, header: Header, held: Held) -> FileBody:
        return FileBody(partial(self._fetch, permitted), header, held=held)

    def _fetch(self, permitted: Permitted, at: int) -> Fetch:
        """A download from an offset on."""
        upload = permitted.upload
        ask = _download_ask(permitted.ask, upload)
        return Fetch(self._origin, ask, Header(upload.length, upload.content_type), at)

    def _is_too_long(self, upload: Upload) -> bool:
        return (upload.length or 0) > self._files.max_file_bytes

    def _metadata_ask(self, ask: Ask, card: str, attachment: str) -> Ask:
        """The plain question about an attachment: the one that tools ask, so they share it."""
        match = self._table.classify("GET", ("cards", card, "attachments", attachment))
        target = target_of(match.segments, "")
        return replace(
            ask,
            means="GET",
            method="GET",
            target=target,
            match=match,
            query_names=frozenset(),
            key=key_of(ask.partition, target),
        )


def _preview(ask: Ask, metadata: bytes) -> str | None:
    """The id of the preview that is asked for; None for the file itself."""
    if not ask.match.route.template.endswith("/previews/download"):
        return dict(ask.match.params).get("idPreview")
    query = ask.target.partition("?")[2]
    return preview_of_size(metadata, dict(parse_qsl(query)).get("backingUrl", ""))


def _download_ask(ask: Ask, upload: Upload) -> Ask:
    """Always the same request, whatever name and query the client used; the name is Trello's."""
    params = dict(ask.match.params)
    segments = ["cards", params["id"], "attachments", params["idAttachment"]]
    segments += ["previews", upload.preview] if upload.preview else []
    target = target_of((*segments, "download"), "")
    name = upload.segment or quote(upload.name, safe="", errors="replace")
    if name.strip("."):
        target += f"/{name}"
    return replace(ask, means="GET", method="GET", target=target)


def _plain(answer: Answer) -> bytes:
    if not isinstance(answer.body, bytes):
        raise Unusable("Trello's answer about an attachment is too long to be one.")
    return identity_of(answer.body, gzip=answer.gzip)


def _kept(permitted: Permitted) -> Outcome:
    """A hit; or, where its permission is an old one for want of a newer, that."""
    return permitted.outcome if permitted.outcome.detail == STALE_IF_ERROR else Outcome(hit=True)


def _reason(error: StoreError) -> str:
    return _TOO_LARGE if isinstance(error, TooLarge) else "no-room"
