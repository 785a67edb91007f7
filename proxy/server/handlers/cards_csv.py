"""CSV handler: `/b/{board}/cards.csv`, made of two reads of the API while it is sent (D73)."""

import asyncio
from dataclasses import dataclass

from aiohttp import web
from yarl import URL

from proxy.attachments.content_policy import disposition
from proxy.http_semantics.cache_control import cache_status
from proxy.http_semantics.conditional import etag_of, not_modified
from proxy.http_semantics.fields import serialize
from proxy.pages.cards_csv import board_target, cards_target, csv_chunks, parse_names
from proxy.pages.json_addresses import board_of_csv, credential_of
from proxy.pages.json_array import elements
from proxy.runtime.tasks import run_if_large
from proxy.server.handlers.page_reads import FetchedJson, PageReads, account
from proxy.server.handlers.pages import check_read
from proxy.server.negotiation import wants_page
from proxy.server.rendered_body import RenderedBody
from proxy.server.request_context import RequestContext
from proxy.server.response import WireResponse
from proxy.trello.message import ApiRequest

ROUTE = "/b/{board}/cards.csv"
_FORMAT = "1"
"""Part of the ETag: another one when the same cards are written in another way."""
_FIELDS = (
    ("Content-Type", "text/csv; charset=utf-8; header=present"),
    ("Cache-Control", "private, no-cache"),
    ("Vary", "Accept, Sec-Fetch-Mode"),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class CardsCsvHandler:
    """Handler of a board's cards as CSV; who may read them as JSON may do so here."""

    reads: PageReads

    async def handle(self, request: web.BaseRequest, context: RequestContext) -> WireResponse:
        """The CSV, or 304; NotFoundAtTrello, UpstreamError, and what the API's parser raises."""
        context.route = ROUTE
        check_read(request)
        board = board_of_csv(request.raw_path)
        targets = board_target(board), cards_target(board)
        requests = [await self._parse(request, context, target) for target in targets]
        names_read, cards = await asyncio.gather(*map(self.reads.read, requests))
        account(context, cards)
        names, has_bom = await names_read.use(parse_names), wants_page(request)
        tags = [await _etag(each) for each in (names_read, cards)]
        etag = f'"{"-".join((*tags, _FORMAT, "bom" if has_bom else "plain"))}"'
        fields = serialize((*_FIELDS, ("ETag", etag)))
        if not_modified(request.headers.get("If-None-Match", ""), etag):
            response = WireResponse(304, fields)
        else:
            name = disposition("text/csv", f"{names.title}.csv", save=True)
            fields += serialize((("Content-Disposition", name),))
            chunks = csv_chunks(names, elements(cards.body), has_bom=has_bom)
            response = WireResponse(200, fields, await RenderedBody.start(chunks))
        outcome = cache_status(context.outcome)
        response.dynamic_headers += b"Cache-Status: %b\r\n" % outcome.encode()
        return response

    async def _parse(
        self, request: web.BaseRequest, context: RequestContext, target: str
    ) -> ApiRequest:
        """A read of the API, with the credentials, client and directives of the request."""
        target = "&".join((target, *credential_of(request.raw_path)))
        clone = request.clone(method="GET", rel_url=URL(target, encoded=True))
        try:
            return (await self.reads.parser.parse(clone, context))[0]
        finally:
            context.route = ROUTE


async def _etag(fetched: FetchedJson) -> str:
    """Of the identity bytes, whatever coding they are stored in."""
    stored = fetched.response.stored
    return stored.etag if stored else await run_if_large(len(fetched.body), etag_of, fetched.body)
