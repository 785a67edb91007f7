"""Pages for people: `/`, `/c/{card}`, `/b/{board}`, and what they load."""

import asyncio
import re
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, TypeVar
from urllib.parse import parse_qs

from aiohttp import web

from proxy.clock import Clock
from proxy.edge.intake import Intake, directives_of
from proxy.edge.readable import TEXT_FIELDS, wants_page
from proxy.edge.record import Record
from proxy.edge.rendered import Rendered
from proxy.errors import MethodNotAllowed, NoSuchPage, NotVisible, ProxyError, Unusable
from proxy.flow.ask import Answer
from proxy.flow.overview import Overview
from proxy.flow.read_through import ReadThrough
from proxy.policy.cache_status import cache_status
from proxy.policy.codings import TooLong, gunzip
from proxy.policy.credentials import strip_address
from proxy.policy.directives import Directives
from proxy.policy.json_value import value_of
from proxy.policy.links import Links
from proxy.policy.pages.files import (
    CARD_FIELDS,
    FILE_FIELDS,
    Board,
    Card,
    FileReader,
    board_of,
    members_of,
)
from proxy.policy.pages.home import Offer, Pasted, home_page, home_text
from proxy.policy.pages.lists import Around, board_page, card_page
from proxy.policy.pages.shell import ASSETS, PAGE_FIELDS
from proxy.policy.pasted import NotALink, link_of
from proxy.policy.target import parse
from proxy.policy.trouble import is_trouble
from proxy.policy.wire import head_of

MOST_BYTES = 64 * 1024 * 1024
"""A board whose cards take more JSON is not shown as a page."""
_TOO_LONG = "That is more than fits a page; open the cards one by one."
_ASIDE_BYTES = 64 * 1024
"""What is made of more JSON is made beside the loop."""
_NAME = re.compile(r"[0-9A-Za-z]{1,64}")

_Made = TypeVar("_Made")


@dataclass(frozen=True, slots=True)
class Heard:
    """An answer's JSON, and how old it is when Trello gave no newer one."""

    body: bytes
    answer: Answer

    @property
    def stale_since(self) -> float | None:
        """POSIX seconds."""
        stored = self.answer.stored
        is_stale = self.answer.outcome.detail == "stale-if-error"
        return stored.asked_at if stored is not None and is_stale else None


class Pages:
    """Reads through the cache like any client, in the stored identity."""

    def __init__(
        self,
        intake: Intake,
        reads: ReadThrough,
        links: Links,
        clock: Clock,
        overview: Overview,
        offer: Callable[[web.BaseRequest], Offer],
    ) -> None:
        """`offer`: what there is at this address for who asks."""
        self._offer = offer
        self._intake = intake
        self._reads = reads
        self._links = links
        self._clock = clock
        self._overview = overview

    async def home(self, request: web.BaseRequest, record: Record) -> Rendered:
        """What this is; with `?url=` the proxy's link for an address of Trello's."""
        record.route = "/"
        _check_method(request)
        pasted = _parameters(request).get("url", "")
        link = fault = ""
        try:
            link = link_of(pasted, self._links, self._clock.now()) if pasted else ""
        except NotALink as error:
            fault = str(error)
        status = 400 if fault else 200
        if wants_page(request):
            shown = Pasted(strip_address(pasted), link, fault)
            url, figures = self._links.public_url, self._overview.figures()
            body = home_page(url, shown, figures, self._offer(request))
            return Rendered(status, head_of(PAGE_FIELDS), body)
        if pasted:
            said = f"{link or fault}\n".encode()
        else:
            figures = self._overview.figures()
            said = home_text(self._links.public_url, figures, self._offer(request))
        return Rendered(status, head_of(TEXT_FIELDS), said)

    async def asset(self, request: web.BaseRequest, record: Record) -> Rendered:
        """A style, a script or an icon."""
        path = request.raw_path.partition("?")[0]
        record.route = path
        _check_method(request)
        fields, body = ASSETS[path]
        return Rendered(200, head_of(fields), body)

    async def card(self, request: web.BaseRequest, record: Record) -> Rendered:
        """A card's files; NotVisible, or UpstreamError when there is not even a stale answer.

        A board's name leads to the board: a bare shortLink does not say whose it is.
        """
        record.route = "/c/{card}"
        name, wanted = _named(request), directives_of(request)
        query = f"fields={CARD_FIELDS}&attachments=true&attachment_fields={FILE_FIELDS}"
        try:
            heard = await self._read(f"/1/cards/{name}?{query}", wanted)
        except NotVisible:
            await self._board(name, wanted)
            return Rendered(302, head_of((("Location", f"/b/{name}"), *TEXT_FIELDS)))
        record.outcome = heard.answer.outcome
        record.hold.take("responses", len(heard.body))
        card = await self._made(heard, lambda value: self._reader({}).card(_object(value)))
        board, members = await asyncio.gather(
            self._board_of(card, wanted), self._members(card.id_board, wanted)
        )
        card = await self._made(heard, lambda value: self._reader(members).card(_object(value)))
        return _rendered(heard, card_page(card, board, self._around(heard)))

    async def board(self, request: web.BaseRequest, record: Record) -> Rendered:
        """A board's files, or those that `?q=` finds; errors as with a card."""
        record.route = "/b/{board}"
        name, wanted = _named(request), directives_of(request)
        parameters = _parameters(request)
        query = f"fields={CARD_FIELDS}&attachments=true&attachment_fields={FILE_FIELDS}"
        board = await self._board(name, wanted)
        heard, members = await asyncio.gather(
            self._read(f"/1/boards/{name}/cards?{query}", wanted), self._members(name, wanted)
        )
        record.outcome = heard.answer.outcome
        record.hold.take("responses", len(heard.body))
        number = parameters.get("page", "")
        page = int(number) if re.fullmatch(r"[0-9]{1,6}", number) else 1
        around = self._around(heard)

        def render(value: object) -> bytes:
            cards = [self._reader(members).card(_object(each)) for each in _array(value)]
            return board_page(board, cards, parameters.get("q", "")[:200], page, around)

        return _rendered(heard, await self._made(heard, render))

    async def _board(self, name: str, wanted: Directives) -> Board:
        heard = await self._read(f"/1/boards/{name}?fields=name,shortLink,url", wanted)
        return await self._made(heard, lambda value: board_of(_object(value), name))

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
            return await self._made(heard, members_of)
        except ProxyError:
            return {}

    def _reader(self, members: Mapping[str, str]) -> FileReader:
        return FileReader(self._links, self._clock.now(), members)

    def _around(self, heard: Heard) -> Around:
        return Around(self._links.public_url, heard.stale_since)

    async def _read(self, target: str, wanted: Directives) -> Heard:
        ask = self._intake.page(target, wanted)
        answer = await self._reads.serve(ask)
        body = await _whole(answer)
        if answer.status == 200:
            return Heard(body, answer)
        if is_trouble(answer.status, body, own=True):
            raise Unusable(f"Trello answered {answer.status}; try again in a minute.")
        raise NotVisible(
            "It was deleted, its address is not complete, or the proxy's account is not on the "
            "board: check the address, then ask the operator."
        )

    @staticmethod
    async def _made(heard: Heard, make: Callable[[Any], _Made]) -> _Made:
        """What is made of the JSON; Unusable when it is none."""
        if len(heard.body) > _ASIDE_BYTES:
            return await asyncio.to_thread(_of_json, heard.body, make)
        return _of_json(heard.body, make)


def _of_json(body: bytes, make: Callable[[Any], _Made]) -> _Made:
    try:
        value = value_of(body)
    except (ValueError, RecursionError) as error:
        raise Unusable("Trello sent JSON that cannot be read; try again later.") from error
    return make(value)


async def _whole(answer: Answer) -> bytes:
    if isinstance(answer.body, bytes) and answer.gzip:
        with suppress(TooLong):
            return await asyncio.to_thread(gunzip, answer.body, MOST_BYTES)
        raise Unusable(_TOO_LONG)
    if isinstance(answer.body, bytes):
        return answer.body
    held = bytearray()
    try:
        async for chunk in answer.body:
            held += chunk
            if len(held) > MOST_BYTES:
                raise Unusable(_TOO_LONG)
    finally:
        await answer.body.aclose()
    return bytes(held)


def _rendered(heard: Heard, body: bytes) -> Rendered:
    rendered = Rendered(200, head_of(PAGE_FIELDS), body)
    rendered.told += b"Cache-Status: %b\r\n" % cache_status(heard.answer.outcome).encode()
    return rendered


def _named(request: web.BaseRequest) -> str:
    """The id or shortLink in `/c/{name}/…`; NoSuchPage when there is none."""
    _check_method(request)
    path = request.raw_path.partition("?")[0]
    segments = parse("/".join(path.split("/")[:3])).segments  # what follows decides nothing
    if len(segments) < 2 or not _NAME.fullmatch(segments[1]):
        raise NoSuchPage("Use a card's or board's web address, with this proxy for trello.com.")
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
