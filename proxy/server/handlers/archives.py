"""Archive handler: all files of a card or board as a ZIP, made while it is sent (D75).

Each file is a request of the client to the API handler, with the priority of `warm`: scopes,
signatures and revoked links, the store and the limits apply as to any download. One after the
other, so that an archive has one download in progress.
"""

from collections.abc import AsyncGenerator, Iterator, Sequence
from contextlib import aclosing
from dataclasses import dataclass

from aiohttp import web
from multidict import CIMultiDict
from yarl import URL

from proxy.attachments.content_policy import disposition
from proxy.attachments.zip_archive import ZipArchive
from proxy.errors import InvalidResponse, MaliciousFile, NotFound, ProxyError, UpstreamError
from proxy.http_semantics.fields import serialize
from proxy.links.rewrite import LinkRewriter
from proxy.pages.board_data import Card, CardParser, File, card_target
from proxy.pages.format import parse_time
from proxy.pages.json_array import elements
from proxy.runtime.clock import Clock
from proxy.runtime.tasks import run_if_large
from proxy.server.handlers.page_reads import PageReads, PageRequest, account
from proxy.server.handlers.pages import name_in
from proxy.server.middleware import Handler
from proxy.server.rendered_body import readable
from proxy.server.request_context import RequestContext
from proxy.server.request_parser import directives_of
from proxy.server.response import WireResponse
from proxy.trello.failures import PREFETCH_USER_AGENT

_NAME = "files.zip"
_TITLE_CHARS = 120
"""Of a card, in the name of its folder, so that its shortLink is in it too."""
_NO_STORE = ("Cache-Control", "private, no-store")
_MALICIOUS = "Trello marks it as such."


@dataclass(frozen=True, slots=True)
class _Entry:
    """A file, and the folder of the archive that it is in."""

    folder: str
    file: File


@dataclass(frozen=True, slots=True, kw_only=True)
class ArchiveHandler:
    """Handlers of `/c/{card}/files.zip` and `/b/{board}/files.zip`; other paths are a page's."""

    reads: PageReads
    api: Handler
    links: LinkRewriter
    clock: Clock

    def of_cards(self, page: Handler) -> Handler:
        """A handler of the archives of cards, and of `page` for all other paths."""

        async def handle(request: web.BaseRequest, context: RequestContext) -> WireResponse:
            return await (self._card if _is_archive(request) else page)(request, context)

        return handle

    def of_boards(self, page: Handler) -> Handler:
        """The same for boards."""

        async def handle(request: web.BaseRequest, context: RequestContext) -> WireResponse:
            return await (self._board if _is_archive(request) else page)(request, context)

        return handle

    async def _card(self, request: web.BaseRequest, context: RequestContext) -> WireResponse:
        context.route = "/c/{card}/files.zip"
        name, page = name_in(request), PageRequest(directives_of(request), context.client)
        try:
            fetched = await self.reads.fetch(card_target(name), page)
            card = await fetched.use(self._parser().parse)
        except UpstreamError:
            found = await self.reads.card_on_its_board(name, page)
            if found is None:
                raise
            fetched, card = found.cards, self._parser().parse(found.card)
        account(context, fetched)
        entries = [_Entry("", file) for file in card.files if file.is_upload]
        context.hold.give_back("responses", len(fetched.body))
        return self._response(request, context, card.title, entries)

    async def _board(self, request: web.BaseRequest, context: RequestContext) -> WireResponse:
        context.route = "/b/{board}/files.zip"
        name, page = name_in(request), PageRequest(directives_of(request), context.client)
        board, fetched = await self.reads.board_with_cards(name, page)
        account(context, fetched)
        entries = await run_if_large(len(fetched.body), self._entries, fetched.body)
        context.hold.give_back("responses", len(fetched.body))
        return self._response(request, context, board.title, entries)

    def _parser(self) -> CardParser:
        return CardParser(self.links, self.clock.now(), {})

    def _entries(self, body: bytes) -> list[_Entry]:
        with readable():
            return list(_uploads(map(self._parser().parse, elements(body))))

    def _response(
        self,
        request: web.BaseRequest,
        context: RequestContext,
        title: str,
        entries: Sequence[_Entry],
    ) -> WireResponse:
        if not entries:
            raise NotFound("No file has been attached yet.")
        fields = (
            ("Content-Type", "application/zip"),
            ("Content-Disposition", disposition("application/zip", f"{title}.zip", save=True)),
            _NO_STORE,
        )
        return WireResponse(200, serialize(fields), self._archive(request, context, entries))

    async def _archive(
        self, request: web.BaseRequest, context: RequestContext, entries: Sequence[_Entry]
    ) -> AsyncGenerator[bytes, None]:
        archive = ZipArchive()
        for entry in entries:
            try:
                async with aclosing(self._add(archive, entry, request, context)) as pieces:
                    async for piece in pieces:
                        yield piece
            except ProxyError as error:
                archive.leave_out(entry.folder, entry.file.name, f"{error.title}. {error}")
            except (TimeoutError, ConnectionError):
                archive.leave_out(entry.folder, entry.file.name, "The download broke off.")
        archive.finish()
        yield archive.take()

    async def _add(
        self,
        archive: ZipArchive,
        entry: _Entry,
        request: web.BaseRequest,
        context: RequestContext,
    ) -> AsyncGenerator[bytes, None]:
        """Add a file; ProxyError, TimeoutError or ConnectionError if there is none, or no whole."""
        if entry.file.is_malicious:
            raise MaliciousFile(_MALICIOUS)
        response = await self._download(entry.file, request, context)
        content, length = response.content, response.content_length_bytes
        try:
            if response.status != 200:
                raise InvalidResponse(f"Trello answered {response.status}.")
            moment = parse_time(entry.file.date)
            with archive.entry(entry.folder, entry.file.name, length, moment):
                if isinstance(content, bytes):
                    archive.write(content)
                else:
                    async for chunk in content:
                        archive.write(chunk)
                        yield archive.take()
        finally:
            if not isinstance(content, bytes):
                await content.aclose()
        yield archive.take()

    async def _download(
        self, file: File, request: web.BaseRequest, context: RequestContext
    ) -> WireResponse:
        """The file as the client would get it; it has been identified already."""
        headers = CIMultiDict(
            {"Host": request.headers.get("Host", ""), "User-Agent": PREFETCH_USER_AGENT}
        )
        route, outcome = context.route, context.outcome
        href = URL(file.href, encoded=True)
        clone = request.clone(method="GET", rel_url=href, headers=headers)
        try:
            return await self.api(clone, context)
        finally:
            context.route, context.outcome = route, outcome


def _is_archive(request: web.BaseRequest) -> bool:
    segments = request.raw_path.partition("?")[0].split("/")
    return len(segments) == 4 and segments[3] == _NAME


def _uploads(cards: Iterator[Card]) -> Iterator[_Entry]:
    """The uploaded files, each card's in a folder of its own."""
    for card in cards:
        folder = f"{card.title[:_TITLE_CHARS]} {card.short_link}"
        yield from (_Entry(folder, file) for file in card.files if file.is_upload)
