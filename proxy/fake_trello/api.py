"""The API listener: one request from its bytes to Trello's answer."""

from dataclasses import dataclass
from typing import Any

from aiohttp import web

from proxy.fake_trello import answers, auth, batch, body
from proxy.fake_trello.answers import Response
from proxy.fake_trello.auth import Shown
from proxy.fake_trello.errors import SENTENCE, Refusal
from proxy.fake_trello.faults import Faults
from proxy.fake_trello.limits import Limits
from proxy.fake_trello.request import (
    Download,
    File,
    Request,
    Requester,
)
from proxy.fake_trello.request_log import ReceivedRequest, RequestLog
from proxy.fake_trello.routes.attachments import DOWNLOADS, HEADER_ONLY
from proxy.fake_trello.routes.tokens import PROBED
from proxy.fake_trello.routing import Handler
from proxy.fake_trello.service import (
    Trello,
    find_route,
    segments_of,
)
from proxy.fake_trello.storage import Signer, path_of
from proxy.fake_trello.webhooks import Deliveries


@dataclass(slots=True)
class Parts:
    """What the stand-in is made of."""

    trello: Trello
    asked: RequestLog
    faults: Faults
    limits: Limits
    signer: Signer
    deliveries: Deliveries
    storage_host: str = ""


@dataclass(slots=True)
class _Exchange:
    """What is known of a request so far; refusals need it too."""

    asker: Requester
    callback: str = ""
    download: bool = False


class Api:
    """Answers `/1/…` as Trello does."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts

    async def answer(self, request: web.Request, seen: ReceivedRequest) -> Response:
        """Trello's answer, complete with header fields."""
        talk = _Exchange(Requester())
        try:
            response = await self._reply(request, seen, talk)
        except Refusal as refusal:
            response = answers.from_refusal(refusal)
        now = self._parts.trello.clock.now()
        if talk.callback:
            answers.padded(response, talk.callback)
        answers.dress(response, now, download=talk.download)
        if not talk.download:
            answers.compress(response, request.headers.get("Accept-Encoding", ""))
        response.fields.extend(self._parts.limits.fields(talk.asker))
        return response

    async def _reply(
        self, request: web.Request, seen: ReceivedRequest, talk: _Exchange
    ) -> Response:
        path, _, query = request.raw_path.partition("?")
        in_query = body.of_query(query)
        in_body, file, seen.body_bytes = await body.of_request(request)
        method = "GET" if request.method == "HEAD" else request.method
        if method == "GET":
            method = str(in_query.pop("_method", method)).upper()
            talk.callback = str(in_query.pop("callback", ""))
        if method == "OPTIONS":
            return Response(200, b"", SENTENCE)
        handler, ids = _route(method, path)
        if handler is batch.run:
            in_query["urls"] = batch.urls_of(query)
        talk.download = handler in DOWNLOADS
        shown = _shown(request, in_query, in_body)
        seen.credential = shown.place
        if handler in HEADER_ONLY and shown.place != "header":
            shown = Shown()
        talk.asker = auth.identify(self._parts.trello, shown, self._parts.trello.keys)
        self._count(talk.asker, path)
        params = auth.without(in_query) | auth.without(in_body)
        client = request.headers.get("X-Trello-Client-Identifier")
        call = Request(method, ids, params, talk.asker, file, client)
        if handler in PROBED:
            await self._parts.deliveries.probe(call.text("callbackURL"))
        return self._given(handler(self._parts.trello, call))

    def _count(self, asker: Requester, path: str) -> None:
        refusal = self._parts.limits.take(asker, segments_of(path) or ())
        if refusal is not None:
            self._parts.asked.refused += 1
            raise refusal

    def _given(self, value: Any) -> Response:
        match value:
            case File():
                return Response(200, value.body, value.content_type)
            case Download():
                return self._download(value)
            case _:
                return answers.from_value(value)

    def _download(self, wanted: Download) -> Response:
        if self._parts.faults.direct_downloads:
            file = self._parts.trello.files[wanted.file_id]
            return Response(200, file.body, file.content_type or "application/octet-stream")
        path = self._parts.signer.signed(path_of(wanted.file_id, wanted.name))
        url = f"http://{self._parts.storage_host}{path}"
        response = Response(302, f"Found. Redirecting to {url}".encode(), SENTENCE)
        response.fields["Location"] = url
        return response


def _route(method: str, path: str) -> tuple[Handler, tuple[str, ...]]:
    if method == "GET" and tuple(map(str.lower, segments_of(path) or ())) == ("batch",):
        return batch.run, ()
    found = find_route(method, path)
    return found.handler, found.ids


def _shown(request: web.Request, in_query: dict[str, Any], in_body: dict[str, Any]) -> Shown:
    """The first of header, query and body that shows credentials."""
    shown = auth.in_header(request.headers.get("Authorization"))
    if shown.place is None:
        shown = auth.in_params(in_query, "query")
    return shown if shown.place else auth.in_params(in_body, "body")
