"""Page handlers: `/`, `/c/{card}`, `/b/{board}`, and the assets of these pages."""

import re
from collections.abc import Callable
from dataclasses import dataclass
from urllib.parse import parse_qs

from aiohttp import web

from proxy.cache.boards import WatchedBoards
from proxy.credentials.extraction import strip_url
from proxy.errors import MethodNotAllowed, NotFoundAtTrello, ProxyError, UpstreamError
from proxy.http_semantics.cache_control import cache_status
from proxy.http_semantics.fields import serialize
from proxy.http_semantics.target import parse
from proxy.links.paste import UnsupportedLink, to_proxy_link
from proxy.links.rewrite import LinkRewriter
from proxy.model import Detail
from proxy.pages.board_data import (
    Board,
    Card,
    CardParser,
    board_id_of,
    card_target,
)
from proxy.pages.board_page import board_page
from proxy.pages.card_details import CardDetails, parse_details
from proxy.pages.card_page import card_page
from proxy.pages.home import Offer, home_page, home_text
from proxy.pages.json_array import elements
from proxy.pages.layout import ASSETS, PAGE_FIELDS, ROOT_FILES
from proxy.pages.listing import PageContext
from proxy.pages.paste_form import PastedLink
from proxy.pages.user_markdown import UserMarkdown
from proxy.runtime.clock import Clock
from proxy.server.handlers.page_reads import FetchedJson, PageReads, PageRequest, account
from proxy.server.negotiation import TEXT_FIELDS, negotiated_response
from proxy.server.rendered_body import RenderedBody
from proxy.server.request_context import RequestContext
from proxy.server.request_parser import NoSuchAddress, directives_of
from proxy.server.response import WireResponse
from proxy.status.history import Dashboard
from proxy.trello.message import BodyStream

_ID = re.compile(r"[0-9A-Za-z]{1,64}")
FILES = {**ASSETS, **ROOT_FILES}
"""Served to everyone, by path."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PageHandler:
    """Handlers of pages; data is read through the cache, with the stored credential."""

    reads: PageReads
    links: LinkRewriter
    clock: Clock
    watched: WatchedBoards
    dashboard: Dashboard
    offer: Callable[[web.BaseRequest, RequestContext], Offer]

    async def home(self, request: web.BaseRequest, context: RequestContext) -> WireResponse:
        """The home page; with `?url=` also the proxy's link for a URL of Trello's, or 400."""
        context.route = "/"
        check_read(request)
        pasted = _query_of(request).get("url", "")
        link = fault = ""
        try:
            link = to_proxy_link(pasted, self.links, self.clock.now()) if pasted else ""
        except UnsupportedLink as error:
            fault = str(error)

        offer = self.offer(request, context)

        def page() -> bytes:
            form = PastedLink(strip_url(pasted), link, fault)
            url, data = self.links.public_url, self.dashboard.data()
            return home_page(url, form, data, offer)

        def text() -> bytes:
            if pasted:
                return f"{link or fault}\n".encode()
            return home_text(self.links.public_url, self.dashboard.data(), offer)

        return negotiated_response(request, page=page, text=text, status=400 if fault else 200)

    async def asset(self, request: web.BaseRequest, context: RequestContext) -> WireResponse:
        """A stylesheet, script or icon, or `/robots.txt`."""
        path = request.raw_path.partition("?")[0]
        context.route = path
        check_read(request)
        fields, body = FILES[path]
        return WireResponse(200, serialize(fields), body)

    async def card(self, request: web.BaseRequest, context: RequestContext) -> WireResponse:
        """A card; NotFoundAtTrello, UpstreamError.

        Redirects to the board if the name is a board's: both have shortLinks of the same form.
        """
        context.route = "/c/{card}"
        name, page = name_in(request), PageRequest(directives_of(request), context.client)
        try:
            card = await self.reads.fetch(card_target(name), page)
        except NotFoundAtTrello:
            await self.reads.board(name, page)
            return WireResponse(302, serialize((("Location", f"/b/{name}"), *TEXT_FIELDS)))
        except UpstreamError:
            response = await self._card_on_its_board(name, page, context)
            if response is None:
                raise
            return response
        account(context, card)
        board = await self._board_of_card(await card.use(board_id_of), page.after(card))
        parse_card = self._card_parser(board).parse
        shown, details = await card.use(lambda value: (parse_card(value), parse_details(value)))
        return await self._card_response(card, shown, details, board)

    async def board(self, request: web.BaseRequest, context: RequestContext) -> WireResponse:
        """A board's cards, or those that match `?q=`; raises as `card`."""
        context.route = "/b/{board}"
        name, page = name_in(request), PageRequest(directives_of(request), context.client)
        query = _query_of(request).get("q", "")[:200]
        board, cards = await self.reads.board_with_cards(name, page)
        account(context, cards)
        parse_card = self._card_parser(board).parse
        page_context = self._page_context(cards)
        chunks = board_page(board, elements(cards.body), parse_card, query, page_context)
        return _page_response(cards, await RenderedBody.start(chunks))

    async def _card_on_its_board(
        self, name: str, page: PageRequest, context: RequestContext
    ) -> WireResponse | None:
        """The card with what its board's page shows of it; None unless that was read."""
        found = await self.reads.card_on_its_board(name, page)
        if found is None:
            return None
        account(context, found.cards)
        board = await self._board_of_card(found.board_id, page.without_trello)
        card = self._card_parser(board).parse(found.card)
        return await self._card_response(found.cards, card, None, board)

    def _card_parser(self, board: Board | None) -> CardParser:
        return CardParser(self.links, self.clock.now(), board.member_names if board else {})

    async def _card_response(
        self, fetched: FetchedJson, card: Card, details: CardDetails | None, board: Board | None
    ) -> WireResponse:
        markdown = UserMarkdown(self.links, self.clock.now())
        chunks = card_page(card, details, board, markdown, self._page_context(fetched))
        return _page_response(fetched, await RenderedBody.start(chunks))

    async def _board_of_card(self, board_id: str, page: PageRequest) -> Board | None:
        """The board; None if it is not available: the page is shown without it."""
        try:
            return await self.reads.board(board_id, page) if board_id else None
        except ProxyError:
            return None

    def _page_context(self, fetched: FetchedJson) -> PageContext:
        """A fresh response that is watched was still so at the last poll."""
        outcome, stored = fetched.response.outcome, fetched.response.stored
        now = self.clock.now()
        known_at = now if stored is None else stored.requested_at
        if stored is not None and outcome.result == "hit" and self.watched.watches(stored):
            known_at = max(known_at, self.watched.polled_at)
        return PageContext(
            origin=self.links.public_url,
            now=now,
            known_at=known_at,
            is_stale=outcome.detail is Detail.STALE_IF_ERROR,
        )


def _page_response(fetched: FetchedJson, body: BodyStream) -> WireResponse:
    response = WireResponse(200, serialize(PAGE_FIELDS), body)
    outcome = cache_status(fetched.response.outcome)
    response.dynamic_headers += b"Cache-Status: %b\r\n" % outcome.encode()
    return response


def name_in(request: web.BaseRequest) -> str:
    """The id or shortLink in `/c/{name}/…`; NotFound if there is none."""
    check_read(request)
    path = request.raw_path.partition("?")[0]
    segments = parse("/".join(path.split("/")[:3])).segments  # the rest is a title for people
    if len(segments) < 2 or not _ID.fullmatch(segments[1]):
        raise NoSuchAddress("Use a card's or board's web address, with this proxy for trello.com.")
    return segments[1]


def check_read(request: web.BaseRequest) -> None:
    """MethodNotAllowed for anything but GET and HEAD."""
    if request.method not in {"GET", "HEAD"}:
        raise MethodNotAllowed("Pages are read with GET.", "GET, HEAD, OPTIONS")


def _query_of(request: web.BaseRequest) -> dict[str, str]:
    """The query's parameters, decoded; of a repeated one the last."""
    query = request.raw_path.partition("?")[2]
    parameters = parse_qs(query, errors="replace", keep_blank_values=True)
    return {name: values[-1] for name, values in parameters.items()}
