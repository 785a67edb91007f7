"""Pages for people: `/`, `/c/{card}`, `/b/{board}`, and what they load."""

import asyncio
import re
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, TypeVar
from urllib.parse import parse_qs

from aiohttp import web

from proxy.cache.read_through import ReadThrough
from proxy.credentials.extraction import strip_url
from proxy.errors import (
    InvalidResponse,
    MethodNotAllowed,
    NotFound,
    NotFoundAtTrello,
    ProxyError,
)
from proxy.http_semantics.cache_control import Directives, cache_status
from proxy.http_semantics.content import TooLong, gunzip
from proxy.http_semantics.fields import serialize
from proxy.http_semantics.target import parse
from proxy.links.paste import UnsupportedLink, to_proxy_link
from proxy.links.rewrite import LinkRewriter
from proxy.model import Detail
from proxy.pages.board_data import (
    CARD_FIELDS,
    FILE_FIELDS,
    Board,
    BoardReader,
    Card,
    board_of,
    members_of,
    value_of,
)
from proxy.pages.home import (
    Offer,
    Pasted,
    home_page,
    home_text,
)
from proxy.pages.layout import ASSETS, PAGE_FIELDS
from proxy.pages.listing import (
    PageContext,
    board_page,
    card_page,
)
from proxy.runtime.clock import Clock
from proxy.server.negotiation import (
    TEXT_FIELDS,
    wants_page,
)
from proxy.server.request_context import RequestContext
from proxy.server.request_parser import RequestParser, directives_of
from proxy.server.response import WireResponse
from proxy.status.history import Dashboard
from proxy.trello.failures import is_upstream_failure
from proxy.trello.message import ApiResponse

MAX_JSON_BYTES = 64 * 1024 * 1024
"""A board whose cards take more JSON is not shown as a page."""
_TOO_LONG = "That is more than fits a page; open the cards one by one."
_OFFLOAD_BYTES = 64 * 1024
"""What is made of more JSON is made beside the loop."""
_NAME = re.compile(r"[0-9A-Za-z]{1,64}")

_Made = TypeVar("_Made")


@dataclass(frozen=True, slots=True)
class FetchedJson:
    """An answer's JSON, and how old it is when Trello gave no newer one."""

    body: bytes
    response: ApiResponse

    @property
    def stale_since(self) -> float | None:
        """POSIX seconds."""
        stored = self.response.stored
        is_stale = self.response.outcome.detail is Detail.STALE_IF_ERROR
        return stored.requested_at if stored is not None and is_stale else None


class PageHandler:
    """Reads through the cache like any client, in the stored identity."""

    def __init__(
        self,
        parser: RequestParser,
        reads: ReadThrough,
        links: LinkRewriter,
        clock: Clock,
        overview: Dashboard,
        offer: Callable[[web.BaseRequest], Offer],
    ) -> None:
        """`offer`: what there is at this address for who asks."""
        self._offer = offer
        self._parser = parser
        self._reads = reads
        self._link_rewriter = links
        self._clock = clock
        self._dashboard = overview

    async def home(self, request: web.BaseRequest, record: RequestContext) -> WireResponse:
        """What this is; with `?url=` the proxy's link for an address of Trello's."""
        record.route = "/"
        _check_method(request)
        pasted = _parameters(request).get("url", "")
        link = fault = ""
        try:
            link = to_proxy_link(pasted, self._link_rewriter, self._clock.now()) if pasted else ""
        except UnsupportedLink as error:
            fault = str(error)
        status = 400 if fault else 200
        if wants_page(request):
            shown = Pasted(strip_url(pasted), link, fault)
            url, figures = self._link_rewriter.public_url, self._dashboard.figures()
            body = home_page(url, shown, figures, self._offer(request))
            return WireResponse(status, serialize(PAGE_FIELDS), body)
        if pasted:
            said = f"{link or fault}\n".encode()
        else:
            figures = self._dashboard.figures()
            said = home_text(self._link_rewriter.public_url, figures, self._offer(request))
        return WireResponse(status, serialize(TEXT_FIELDS), said)

    async def asset(self, request: web.BaseRequest, record: RequestContext) -> WireResponse:
        """A style, a script or an icon."""
        path = request.raw_path.partition("?")[0]
        record.route = path
        _check_method(request)
        fields, body = ASSETS[path]
        return WireResponse(200, serialize(fields), body)

    async def card(self, request: web.BaseRequest, record: RequestContext) -> WireResponse:
        """A card's files; NotVisible, or UpstreamError when there is not even a stale answer.

        A board's name leads to the board: a bare shortLink does not say whose it is.
        """
        record.route = "/c/{card}"
        name, wanted = _named(request), directives_of(request)
        query = f"fields={CARD_FIELDS}&attachments=true&attachment_fields={FILE_FIELDS}"
        try:
            heard = await self._read(f"/1/cards/{name}?{query}", wanted)
        except NotFoundAtTrello:
            await self._board(name, wanted)
            return WireResponse(302, serialize((("Location", f"/b/{name}"), *TEXT_FIELDS)))
        record.outcome = heard.response.outcome
        record.hold.take("responses", len(heard.body))
        card = await self._decode(heard, lambda value: self._board_reader({}).card(_object(value)))
        board, members = await asyncio.gather(
            self._board_of(card, wanted), self._members(card.id_board, wanted)
        )
        card = await self._decode(
            heard, lambda value: self._board_reader(members).card(_object(value))
        )
        return _rendered(heard, card_page(card, board, self._page_context(heard)))

    async def board(self, request: web.BaseRequest, record: RequestContext) -> WireResponse:
        """A board's files, or those that `?q=` finds; errors as with a card."""
        record.route = "/b/{board}"
        name, wanted = _named(request), directives_of(request)
        parameters = _parameters(request)
        query = f"fields={CARD_FIELDS}&attachments=true&attachment_fields={FILE_FIELDS}"
        board = await self._board(name, wanted)
        heard, members = await asyncio.gather(
            self._read(f"/1/boards/{name}/cards?{query}", wanted), self._members(name, wanted)
        )
        record.outcome = heard.response.outcome
        record.hold.take("responses", len(heard.body))
        number = parameters.get("page", "")
        page = int(number) if re.fullmatch(r"[0-9]{1,6}", number) else 1
        around = self._page_context(heard)

        def render(value: object) -> bytes:
            cards = [self._board_reader(members).card(_object(each)) for each in _array(value)]
            return board_page(board, cards, parameters.get("q", "")[:200], page, around)

        return _rendered(heard, await self._decode(heard, render))

    async def _board(self, name: str, wanted: Directives) -> Board:
        heard = await self._read(f"/1/boards/{name}?fields=name,shortLink,url", wanted)
        return await self._decode(heard, lambda value: board_of(_object(value), name))

    async def _board_of(self, card: Card, wanted: Directives) -> Board | None:
        """None where Trello does not tell: the files are there all the same."""
        try:
            return await self._board(card.id_board, wanted) if card.id_board else None
        except ProxyError:
            return None

    async def _members(self, board: str, wanted: Directives) -> Mapping[str, str]:
        """Names by id; none where Trello does not tell."""
        if not board:
            return {}
        try:
            heard = await self._read(f"/1/boards/{board}/members?fields=fullName,username", wanted)
            return await self._decode(heard, members_of)
        except ProxyError:
            return {}

    def _board_reader(self, members: Mapping[str, str]) -> BoardReader:
        return BoardReader(self._link_rewriter, self._clock.now(), members)

    def _page_context(self, heard: FetchedJson) -> PageContext:
        return PageContext(self._link_rewriter.public_url, heard.stale_since)

    async def _read(self, target: str, wanted: Directives) -> FetchedJson:
        request = self._parser.page(target, wanted)
        response = await self._reads.serve(request)
        body = await _read_all(response)
        if response.status == 200:
            return FetchedJson(body, response)
        if is_upstream_failure(response.status, body, own=True):
            raise InvalidResponse(f"Trello answered {response.status}; try again in a minute.")
        raise NotFoundAtTrello(
            "It was deleted, its address is not complete, or the proxy's account is not on the "
            "board: check the address, then ask the operator."
        )

    @staticmethod
    async def _decode(heard: FetchedJson, make: Callable[[Any], _Made]) -> _Made:
        """What is made of the JSON; Unusable when it is none."""
        if len(heard.body) > _OFFLOAD_BYTES:
            return await asyncio.to_thread(_parse_json, heard.body, make)
        return _parse_json(heard.body, make)


def _parse_json(body: bytes, make: Callable[[Any], _Made]) -> _Made:
    try:
        value = value_of(body)
    except (ValueError, RecursionError) as error:
        raise InvalidResponse("Trello sent JSON that cannot be read; try again later.") from error
    return make(value)


async def _read_all(response: ApiResponse) -> bytes:
    if isinstance(response.body, bytes) and response.gzip:
        with suppress(TooLong):
            return await asyncio.to_thread(gunzip, response.body, MAX_JSON_BYTES)
        raise InvalidResponse(_TOO_LONG)
    if isinstance(response.body, bytes):
        return response.body
    held = bytearray()
    try:
        async for chunk in response.body:
            held += chunk
            if len(held) > MAX_JSON_BYTES:
                raise InvalidResponse(_TOO_LONG)
    finally:
        await response.body.aclose()
    return bytes(held)


def _rendered(heard: FetchedJson, body: bytes) -> WireResponse:
    rendered = WireResponse(200, serialize(PAGE_FIELDS), body)
    rendered.dynamic_headers += (
        b"Cache-Status: %b\r\n" % cache_status(heard.response.outcome).encode()
    )
    return rendered


def _named(request: web.BaseRequest) -> str:
    """The id or shortLink in `/c/{name}/…`; NoSuchPage when there is none."""
    _check_method(request)
    path = request.raw_path.partition("?")[0]
    segments = parse("/".join(path.split("/")[:3])).segments  # what follows decides nothing
    if len(segments) < 2 or not _NAME.fullmatch(segments[1]):
        raise NotFound("Use a card's or board's web address, with this proxy for trello.com.")
    return segments[1]


def _check_method(request: web.BaseRequest) -> None:
    if request.method not in {"GET", "HEAD"}:
        raise MethodNotAllowed("Pages are read with GET.", "GET, HEAD, OPTIONS")


def _parameters(request: web.BaseRequest) -> dict[str, str]:
    """The query's parameters, decoded; of a repeated one the last."""
    query = request.raw_path.partition("?")[2]
    parsed = parse_qs(query, errors="replace", keep_blank_values=True)
    return {name: values[-1] for name, values in parsed.items()}


def _object(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def _array(value: object) -> list[object]:
    return value if isinstance(value, list) else []
