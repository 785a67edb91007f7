"""API request handling: from the HTTP request to Trello's response."""

from dataclasses import dataclass
from typing import Any

from aiohttp import web

from proxy.fake_trello import auth, batch, body, responses
from proxy.fake_trello.auth import SentCredential
from proxy.fake_trello.errors import TEXT, Refusal
from proxy.fake_trello.faults import Faults
from proxy.fake_trello.limits import Limits
from proxy.fake_trello.request import (
    Download,
    File,
    Request,
    Requester,
)
from proxy.fake_trello.request_log import ReceivedRequest, RequestLog
from proxy.fake_trello.responses import Response
from proxy.fake_trello.routes.attachments import DOWNLOADS, HEADER_ONLY
from proxy.fake_trello.routes.tokens import PROBED
from proxy.fake_trello.routing import Handler
from proxy.fake_trello.service import (
    Trello,
    find_route,
    segments_of,
)
from proxy.fake_trello.storage import Signer, file_path
from proxy.fake_trello.webhooks import Deliveries


@dataclass(slots=True)
class Parts:
    """The components of the fake Trello."""

    trello: Trello
    request_log: RequestLog
    faults: Faults
    limits: Limits
    signer: Signer
    deliveries: Deliveries
    storage_host: str = ""


@dataclass(slots=True)
class _Exchange:
    """What is known of a request so far; needed for the response to a refusal too."""

    requester: Requester
    callback: str = ""
    download: bool = False


class Api:
    """Handles `/1/…` as Trello does."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts

    async def respond(self, request: web.Request, received: ReceivedRequest) -> Response:
        """Trello's response with all header fields."""
        exchange = _Exchange(Requester())
        try:
            response = await self._handle(request, received, exchange)
        except Refusal as refusal:
            response = responses.from_refusal(refusal)
        now = self._parts.trello.clock.now()
        if exchange.callback:
            responses.wrap_in_callback(response, exchange.callback)
        responses.add_fields(response, now, download=exchange.download)
        if not exchange.download:
            responses.compress(response, request.headers.get("Accept-Encoding", ""))
        response.fields.extend(self._parts.limits.fields(exchange.requester))
        return response

    async def _handle(
        self, request: web.Request, received: ReceivedRequest, exchange: _Exchange
    ) -> Response:
        path, _, query = request.raw_path.partition("?")
        in_query = body.parse_query(query)
        in_body, file, received.body_bytes = await body.parse_body(request)
        method = "GET" if request.method == "HEAD" else request.method
        if method == "GET":
            method = str(in_query.pop("_method", method)).upper()
            exchange.callback = str(in_query.pop("callback", ""))
        if method == "OPTIONS":
            return Response(200, b"", TEXT)
        handler, ids = _route(method, path)
        if handler is batch.run:
            in_query["urls"] = batch.parse_urls(query)
        exchange.download = handler in DOWNLOADS
        sent = _sent_credential(request, in_query, in_body)
        received.credential = sent.location
        if handler in HEADER_ONLY and sent.location != "header":
            sent = SentCredential()
        exchange.requester = auth.identify(self._parts.trello, sent, self._parts.trello.keys)
        self._count(exchange.requester, path)
        params = auth.without_credentials(in_query) | auth.without_credentials(in_body)
        client = request.headers.get("X-Trello-Client-Identifier")
        api_request = Request(method, ids, params, exchange.requester, file, client)
        if handler in PROBED:
            await self._parts.deliveries.probe(api_request.text("callbackURL"))
        return self._respond_with(handler(self._parts.trello, api_request))

    def _count(self, requester: Requester, path: str) -> None:
        refusal = self._parts.limits.take(requester, segments_of(path) or ())
        if refusal is not None:
            self._parts.request_log.refused += 1
            raise refusal

    def _respond_with(self, value: Any) -> Response:
        match value:
            case File():
                return Response(200, value.body, value.content_type)
            case Download():
                return self._download(value)
            case _:
                return responses.from_value(value)

    def _download(self, download: Download) -> Response:
        if self._parts.faults.direct_downloads:
            file = self._parts.trello.files[download.file_id]
            return Response(200, file.body, file.content_type or "application/octet-stream")
        path = self._parts.signer.sign(file_path(download.file_id, download.name))
        url = f"http://{self._parts.storage_host}{path}"
        response = Response(302, f"Found. Redirecting to {url}".encode(), TEXT)
        response.fields["Location"] = url
        return response


def _route(method: str, path: str) -> tuple[Handler, tuple[str, ...]]:
    if method == "GET" and tuple(map(str.lower, segments_of(path) or ())) == ("batch",):
        return batch.run, ()
    match = find_route(method, path)
    return match.handler, match.ids


def _sent_credential(
    request: web.Request, in_query: dict[str, Any], in_body: dict[str, Any]
) -> SentCredential:
    """The credential of the header, else of the query, else of the body."""
    sent = auth.from_header(request.headers.get("Authorization"))
    if sent.location is None:
        sent = auth.from_params(in_query, "query")
    return sent if sent.location else auth.from_params(in_body, "body")
