"""Page handlers: `/`, `/c/{card}`, `/b/{board}`, and the assets of these pages."""

import asyncio
import json
import re
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import TypeVar
from urllib.parse import parse_qs

from aiohttp import web

from proxy.access.client import Client
from proxy.cache.read_through import ReadThrough
from proxy.cache.scoping.scoping import Scoping
from proxy.credentials.extraction import strip_url
from proxy.errors import InvalidResponse, MethodNotAllowed, NotFound, NotFoundAtTrello, ProxyError
from proxy.http_semantics.cache_control import Directives, cache_status
from proxy.http_semantics.content import TooLong, gunzip
from proxy.http_semantics.fields import serialize
from proxy.http_semantics.target import parse
from proxy.links.paste import UnsupportedLink, to_proxy_link
from proxy.links.rewrite import LinkRewriter
from proxy.model import Detail
from proxy.pages.board_data import (
    Board,
    CardParser,
    board_id_of,
    board_target,
    card_target,
    cards_target,
    parse_board,
)
from proxy.pages.board_page import board_page
from proxy.pages.card_details import parse_details
from proxy.pages.card_page import card_page
from proxy.pages.home import Offer, PastedLink, home_page, home_text
from proxy.pages.json_array import elements
from proxy.pages.layout import ASSETS, PAGE_FIELDS
from proxy.pages.listing import PageContext
from proxy.pages.user_markdown import UserMarkdown
from proxy.runtime.clock import Clock
from proxy.runtime.tasks import run_for_client
from proxy.server.negotiation import TEXT_FIELDS, negotiated_response
from proxy.server.request_context import RequestContext
from proxy.server.request_parser import RequestParser, directives_of
from proxy.server.response import WireResponse
from proxy.status.history import Dashboard
from proxy.trello.failures import is_upstream_failure
from proxy.trello.message import ApiResponse, BodyStream

MAX_JSON_BYTES = 64 * 1024 * 1024
"""Larger JSON is not shown as a page."""
_STEP_BYTES = 1024 * 1024
"""What one step of a board's page is taken for: it is always done in a thread."""
_TOO_LARGE = "That is more than fits a page; open the cards one by one."
_ID = re.compile(r"[0-9A-Za-z]{1,64}")
_T = TypeVar("_T")


@dataclass(frozen=True, slots=True)
class FetchedJson:
    """A response and its JSON, as bytes: parsed objects take many times the memory."""

    body: bytes
    response: ApiResponse

    async def use(self, make: Callable[[object], _T]) -> _T:
        """The result of `make(value)`, in a thread for a long body; InvalidResponse."""
        return await run_for_client(len(self.body), self._use, make)

    def _use(self, make: Callable[[object], _T]) -> _T:
        with _readable():
            value = json.loads(self.body)
        return make(value)


@dataclass(frozen=True, slots=True)
class _PageRequest:
    """What the reads of one page have in common."""

    directives: Directives
    client: Client


@dataclass(frozen=True, slots=True, kw_only=True)
class PageHandler:
    """Handlers of pages; data is read through the cache, with the stored credential."""

    parser: RequestParser
    reads: ReadThrough
    scoping: Scoping
    links: LinkRewriter
    clock: Clock
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
        """A stylesheet, script or icon."""
        path = request.raw_path.partition("?")[0]
        context.route = path
        check_read(request)
        fields, body = ASSETS[path]
        return WireResponse(200, serialize(fields), body)

    async def card(self, request: web.BaseRequest, context: RequestContext) -> WireResponse:
        """A card's files; NotFoundAtTrello, UpstreamError.

        Redirects to the board if the name is a board's: both have shortLinks of the same form.
        """
        context.route = "/c/{card}"
        name, page = _name_in(request), _PageRequest(directives_of(request), context.client)
        try:
            card = await self._fetch(card_target(name), page)
        except NotFoundAtTrello:
            await self._board(name, page)
            return WireResponse(302, serialize((("Location", f"/b/{name}"), *TEXT_FIELDS)))
        _account(context, card)
        board_id = await card.use(board_id_of)
        board = await self._board_of_card(board_id, page)
        page_context, now = self._page_context(card), self.clock.now()
        names = board.member_names if board else {}
        parse_card = CardParser(self.links, now, names).parse
        markdown = UserMarkdown(self.links, now)

        def render(value: object) -> bytes:
            details = parse_details(value)
            return card_page(parse_card(value), details, board, markdown, page_context)

        return _page_response(card, await card.use(render))

    async def board(self, request: web.BaseRequest, context: RequestContext) -> WireResponse:
        """A board's files on `?page=`, or those that match `?q=`; raises as `card`."""
        context.route = "/b/{board}"
        name, page = _name_in(request), _PageRequest(directives_of(request), context.client)
        query = _query_of(request).get("q", "")[:200]
        board = await self._board(name, page)
        cards = await self._fetch(cards_target(name), page)
        _account(context, cards)
        parse_card = CardParser(self.links, self.clock.now(), board.member_names).parse
        page_context = self._page_context(cards)
        chunks = board_page(board, elements(cards.body), parse_card, query, page_context)
        return _page_response(cards, await Rendering.start(chunks))

    async def _board(self, name: str, page: _PageRequest) -> Board:
        fetched = await self._fetch(board_target(name), page)
        return await fetched.use(lambda board: parse_board(board, name))

    async def _board_of_card(self, board_id: str, page: _PageRequest) -> Board | None:
        """The board; None if it is not available: the page is shown without it."""
        try:
            return await self._board(board_id, page) if board_id else None
        except ProxyError:
            return None

    def _page_context(self, fetched: FetchedJson) -> PageContext:
        stored, now = fetched.response.stored, self.clock.now()
        return PageContext(
            origin=self.links.public_url,
            now=now,
            requested_at=stored.requested_at if stored is not None else now,
            is_stale=fetched.response.outcome.detail is Detail.STALE_IF_ERROR,
        )

    async def _fetch(self, target: str, page: _PageRequest) -> FetchedJson:
        """The JSON at an API target; NotFoundAtTrello or UpstreamError for any status but 200."""
        request = self.parser.page(target, page.directives, page.client)
        visible = await self.scoping.visible_to(request)
        if visible is None:
            response = await self.reads.serve(request)
        else:
            response = await self.scoping.reads.read(request, visible)
        return await fetched_json(response)


async def fetched_json(response: ApiResponse) -> FetchedJson:
    """The JSON of a response; NotFoundAtTrello or UpstreamError for any status but 200."""
    body = await _read_body(response)
    if response.status == 200:
        return FetchedJson(body, response)
    if is_upstream_failure(response.status, body, own=True):
        raise InvalidResponse(f"Trello answered {response.status}; try again in a minute.")
    raise NotFoundAtTrello(
        "It was deleted, its address is not complete, or the proxy's account is not on the "
        "board: check the address, then ask the operator."
    )


async def _read_body(response: ApiResponse) -> bytes:
    """The plain body; InvalidResponse if it is longer than MAX_JSON_BYTES."""
    if isinstance(response.body, bytes):
        if not response.gzip:
            return response.body
        with suppress(TooLong):
            return await asyncio.to_thread(gunzip, response.body, MAX_JSON_BYTES)
        raise InvalidResponse(_TOO_LARGE)
    body = bytearray()
    try:
        async for chunk in response.body:
            body += chunk
            if len(body) > MAX_JSON_BYTES:
                raise InvalidResponse(_TOO_LARGE)
    finally:
        await response.body.aclose()
    return bytes(body)


def _account(context: RequestContext, fetched: FetchedJson) -> None:
    """Log the page with the outcome of its main read, and count its body in `limits.memory`."""
    context.outcome = fetched.response.outcome
    context.hold.take("responses", len(fetched.body))


class Rendering:
    """A page's body, rendered in a thread, chunk by chunk, as the client receives it."""

    def __init__(self, first: bytes, chunks: Iterator[bytes]) -> None:
        self._first = first
        self._chunks = chunks

    @classmethod
    async def start(cls, chunks: Iterator[bytes]) -> "Rendering":
        """The body, of which the first chunk is rendered; InvalidResponse."""
        return cls(await cls._next(chunks) or b"", chunks)

    @staticmethod
    async def _next(chunks: Iterator[bytes]) -> bytes | None:
        with _readable():
            return await run_for_client(_STEP_BYTES, next, chunks, None)

    async def __aiter__(self) -> AsyncIterator[bytes]:
        yield self._first
        while (chunk := await self._next(self._chunks)) is not None:
            yield chunk

    async def aclose(self) -> None:
        """Nothing is open."""


@contextmanager
def _readable() -> Iterator[None]:
    """InvalidResponse for unreadable JSON."""
    try:
        yield
    except (ValueError, RecursionError) as error:
        raise InvalidResponse("Trello sent unreadable JSON; try again later.") from error


def _page_response(fetched: FetchedJson, body: bytes | BodyStream) -> WireResponse:
    response = WireResponse(200, serialize(PAGE_FIELDS), body)
    outcome = cache_status(fetched.response.outcome)
    response.dynamic_headers += b"Cache-Status: %b\r\n" % outcome.encode()
    return response


def _name_in(request: web.BaseRequest) -> str:
    """The id or shortLink in `/c/{name}/…`; NotFound if there is none."""
    check_read(request)
    path = request.raw_path.partition("?")[0]
    segments = parse("/".join(path.split("/")[:3])).segments  # the rest is a title for people
    if len(segments) < 2 or not _ID.fullmatch(segments[1]):
        raise NotFound("Use a card's or board's web address, with this proxy for trello.com.")
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
