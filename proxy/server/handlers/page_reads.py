"""Page reads: JSON read through the cache for a page, or another form of what the API has."""

import asyncio
import json
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import NamedTuple, TypeVar

from proxy.access.client import Client
from proxy.cache.read_through import ReadThrough
from proxy.cache.scoping.scoping import Scoping
from proxy.errors import CredentialRequired, InvalidResponse, NotFoundAtTrello, ProxyError
from proxy.http_semantics.cache_control import STORED, Directives
from proxy.http_semantics.content import TooLong, gunzip
from proxy.model import Detail
from proxy.pages.board_data import (
    Board,
    board_target,
    card_named,
    card_target,
    cards_target,
    parse_board,
)
from proxy.pages.json_array import elements
from proxy.runtime.tasks import run_for_client
from proxy.server.rendered_body import readable
from proxy.server.request_context import RequestContext
from proxy.server.request_parser import RequestParser
from proxy.trello.failures import is_credential_refused, is_upstream_failure
from proxy.trello.message import ApiRequest, ApiResponse

MAX_JSON_BYTES = 64 * 1024 * 1024
"""Larger JSON is not shown as a page."""
_TOO_LARGE = "That is more than fits a page; open the cards one by one."
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
        with readable():
            value = json.loads(self.body)
        return make(value)


@dataclass(frozen=True, slots=True)
class PageRequest:
    """What the reads of one page have in common."""

    directives: Directives
    client: Client

    @property
    def without_trello(self) -> "PageRequest":
        """After a failure: the page waits for one only, and is made of what is stored."""
        return replace(self, directives=STORED)

    def after(self, fetched: FetchedJson) -> "PageRequest":
        """For what is read next: without Trello if it failed."""
        is_stale = fetched.response.outcome.detail is Detail.STALE_IF_ERROR
        return self.without_trello if is_stale else self


class CardOnBoard(NamedTuple):
    """A card as its board's page shows it."""

    cards: FetchedJson
    """Of its board."""
    card: object
    board_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class PageReads:
    """Reads for pages, of what their clients may see."""

    parser: RequestParser
    reads: ReadThrough
    scoping: Scoping

    async def fetch(self, target: str, page: PageRequest) -> FetchedJson:
        """The JSON at an API target; NotFoundAtTrello or UpstreamError for any status but 200."""
        return await self.read(self.parser.page(target, page.directives, page.client))

    async def read(self, request: ApiRequest) -> FetchedJson:
        """The JSON that the client may see; raises as `fetch`.

        CredentialRequired if Trello refuses the client's own credential.
        """
        visible = await self.scoping.visible_to(request)
        if visible is None:
            response = await self.reads.serve(request)
        else:
            response = await self.scoping.reads.read(request, visible)
        return await _fetched_json(response, own=request.uses_stored_credential)

    async def card_on_its_board(self, name: str, page: PageRequest) -> CardOnBoard | None:
        """The card as its board's page was read; None if it was not. Nothing is sent to Trello."""
        request = self.parser.page(card_target(name), page.directives, page.client)
        root, *rest = self.reads.collection_of(request) or ("",)
        if root != "boards":
            return None
        try:
            cards = await self.fetch(cards_target(rest[0]), page.without_trello)
        except ProxyError:
            return None

        def find() -> object | None:
            with readable():
                return card_named(elements(cards.body), name)

        card = await run_for_client(len(cards.body), find)
        return None if card is None else CardOnBoard(cards, card, rest[0])

    async def board(self, name: str, page: PageRequest) -> Board:
        """A board with its lists and members; raises as `fetch`."""
        fetched = await self.fetch(board_target(name), page)
        return await fetched.use(lambda board: parse_board(board, name))

    async def board_with_cards(self, name: str, page: PageRequest) -> tuple[Board, FetchedJson]:
        """A board, and its cards, requested at the same time; raises as `fetch`."""
        cards = self.fetch(cards_target(name), page)
        return await asyncio.gather(self.board(name, page), cards)


async def _fetched_json(response: ApiResponse, *, own: bool) -> FetchedJson:
    """The JSON of a response; NotFoundAtTrello or UpstreamError for any status but 200.

    `own`: requested with the stored credential; CredentialRequired if Trello refuses a client's.
    """
    body = await _read_body(response)
    if response.status == 200:
        return FetchedJson(body, response)
    if is_upstream_failure(response.status, body, own=own):
        raise InvalidResponse(f"Trello answered {response.status}; try again in a minute.")
    if is_credential_refused(response.status, body):
        raise CredentialRequired("Trello refuses this key and token: send valid ones.")
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


def account(context: RequestContext, fetched: FetchedJson) -> None:
    """Log the page with the outcome of its main read, and count its body in `limits.memory`."""
    context.outcome = fetched.response.outcome
    context.hold.take("responses", len(fetched.body))
