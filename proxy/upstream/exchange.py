"""Exchange with Trello: requests are authorized, responses are filtered.

A response contains none of the proxy's credentials, no cookies and no fields of the connection
before anything stores, logs or sends it.
"""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import (
    AbstractAsyncContextManager,
    AbstractContextManager,
    AsyncExitStack,
    asynccontextmanager,
    closing,
    suppress,
)
from dataclasses import dataclass, field
from itertools import chain

from proxy.credentials.extraction import authorization
from proxy.credentials.redaction import Redactor
from proxy.errors import IncompleteResponse, InvalidResponse
from proxy.http_semantics.content import InvalidEncoding, TooLong, identity_length, media_type_of
from proxy.http_semantics.fields import to_client
from proxy.links.rewrite import LinkRewriter
from proxy.model import Credential, Fields
from proxy.observability.metrics import Metrics, count
from proxy.runtime.clock import Clock
from proxy.runtime.memory_budget import MemoryBudget
from proxy.runtime.tasks import run_if_large
from proxy.trello.failures import is_gateway_page
from proxy.trello.message import ApiRequest, Body, BodyStream
from proxy.trello.routes import UNKNOWN
from proxy.upstream.client import UpstreamClient
from proxy.upstream.response_body import (
    MAX_PLAIN_BYTES,
    BodyFilter,
    ReceivedBody,
    Representation,
    StreamedBody,
    work_bytes,
)
from proxy.upstream.transport import Transport, UpstreamRequest, UpstreamResponse

MAX_BUFFERED_BYTES = 16 * 1024 * 1024
"""A longer response is streamed, and not stored."""
BUFFER_TIMEOUT_S = 120.0
"""From the first to the last byte of a buffered body."""
_ERROR_BODY_BYTES = 64 * 1024


@dataclass(frozen=True, slots=True)
class BufferedResponse:
    """A response that was received completely."""

    status: int
    fields: Fields
    content_type: str
    body: bytes = field(repr=False)
    """As received, or the identity form if it had to be changed."""
    plain: bytes = field(repr=False)
    gzip: bool


@dataclass(frozen=True, slots=True)
class StreamedResponse:
    """A response too long to be buffered; its body must be read to the end or closed."""

    status: int
    fields: Fields
    body: BodyStream = field(repr=False)
    length: int | None


class UpstreamExchange:
    """Sends requests with a credential, and never returns it."""

    def __init__(
        self,
        client: UpstreamClient,
        *,
        origin: str,
        via: str,
        redactor: Redactor,
        link_rewriter: LinkRewriter | None,
        metrics: Metrics,
        memory: MemoryBudget,
        clock: Clock,
    ) -> None:
        """`origin`: of Trello's API; `via`: the proxy's name; no rewriter: links stay Trello's."""
        self.limiter = client.limiter
        self._client = client
        self._origin = origin
        self._via = via
        self._redactor = redactor
        self._link_rewriter = link_rewriter
        self._metrics = metrics
        self._memory = memory
        self._clock = clock

    async def fetch(
        self, request: ApiRequest, *, gzip: bool = False
    ) -> BufferedResponse | StreamedResponse:
        """The response; UpstreamError if there is none, or its body is truncated or undecodable.

        `gzip` requests that coding, in which the body is then kept.
        """
        async with AsyncExitStack() as owner:
            response = await owner.enter_async_context(
                self.send(request, "gzip" if gzip else "identity")
            )
            received = owner.enter_context(self._receive(response))
            with self.body_errors(request):
                async with _buffer_timeout():
                    is_complete = await received.receive(MAX_BUFFERED_BYTES)
                if is_complete:
                    with suppress(TooLong):
                        return await self._buffered(request, response, received)
                coded, body_filter = is_gzip(response), self._filter_for(response)
            has_length = not coded and body_filter.link_rewriter is None
            return StreamedResponse(
                status=response.status,
                fields=_without_coding(self._filtered_fields(response)),
                body=StreamedBody(received, body_filter, owner.pop_all(), gzip=coded),
                length=response.length if has_length else None,
            )

    def send(
        self, request: ApiRequest, coding: str
    ) -> AbstractAsyncContextManager[UpstreamResponse]:
        """The response with its body unread; its connection is released at exit."""
        request = self._client.with_current_credential(request)
        upstream_request = UpstreamRequest(
            request.method,
            self._origin + request.target,
            self._request_fields(request, coding),
            self._counted(request.body),
        )
        return self._client.send(request, upstream_request)

    def send_to_storage(
        self, transport: Transport, request: UpstreamRequest
    ) -> AbstractAsyncContextManager[UpstreamResponse]:
        """The response of Trello's storage to an unauthorized read, as `send`."""
        return self._client.send_to_storage(transport, request)

    def body_errors(self, request: ApiRequest) -> AbstractContextManager[None]:
        """Around the processing of a body: an UpstreamError is a failure of the request's route."""
        return self._client.body_errors(request)

    async def read_error_body(
        self, request: ApiRequest, response: UpstreamResponse
    ) -> BufferedResponse:
        """An error response, buffered; InvalidResponse if its body is long or truncated."""
        with self._receive(response) as received:
            if await received.receive(_ERROR_BODY_BYTES):
                with suppress(TooLong):
                    return await self._buffered(request, response, received)
        raise InvalidResponse("Trello's error response is too long.")

    def file_body(self, response: UpstreamResponse) -> StreamedBody:
        """The body of a file as it arrives, redacted; the response stays open when it ends."""
        gzip, owner = is_gzip(response), AsyncExitStack()
        received = owner.enter_context(self._receive(response))
        body_filter = BodyFilter(self._redactor, None, self._clock.now())
        return StreamedBody(received, body_filter, owner, gzip=gzip)

    def redact(self, credential: Credential) -> None:
        """Redact this credential too from now on; ValueError if it is too short."""
        self._redactor.add_secret((credential.key, credential.token))

    def contains_secret(self, text: str) -> bool:
        """Whether the text contains one of the proxy's secrets."""
        return self._redactor.contains_secret(text)

    def _request_fields(self, request: ApiRequest, coding: str) -> Fields:
        names = {name.lower() for name, _ in request.fields}
        return (
            *request.fields,
            *(() if "accept" in names else (("Accept", "*/*"),)),
            *(() if "user-agent" in names else (("User-Agent", self._via),)),
            ("Accept-Encoding", coding),
            ("Via", f"1.1 {self._via}"),
            ("Authorization", authorization(request.credential)),
        )

    def _filtered_fields(self, response: UpstreamResponse) -> Fields:
        """The response fields that may reach a client, redacted."""
        fields = to_client(response.fields)
        if not self._redactor.contains_secret("\n".join(chain.from_iterable(fields))):
            return fields
        redact = self._redactor.redact_text
        return tuple((redact(name), redact(value)) for name, value in fields)

    def _counted(self, body: Body) -> Body:
        if isinstance(body, bytes):
            count(self._metrics.upstream_bytes, "sent", len(body))
            return body
        return None if body is None else self._count_chunks(body)

    async def _count_chunks(self, body: AsyncIterator[bytes]) -> AsyncGenerator[bytes, None]:
        async for chunk in body:
            count(self._metrics.upstream_bytes, "sent", len(chunk))
            yield chunk

    def _receive(self, response: UpstreamResponse) -> AbstractContextManager[ReceivedBody]:
        return closing(ReceivedBody(response, self._metrics, self._memory))

    async def _buffered(
        self, request: ApiRequest, response: UpstreamResponse, received: ReceivedBody
    ) -> BufferedResponse:
        """The response, filtered; TooLong if its identity form is too long to be held."""
        representation = await self._filtered(response, received)
        self._metrics.redacted += representation.was_redacted
        buffered = BufferedResponse(
            status=response.status,
            fields=_without_coding(self._filtered_fields(response)),
            content_type=self._redactor.redact_text(response.content_type),
            body=representation.body,
            plain=representation.plain,
            gzip=representation.gzip,
        )
        _check_origin(request, buffered)
        return buffered

    async def _filtered(self, response: UpstreamResponse, received: ReceivedBody) -> Representation:
        """Both forms of the body; in a thread if it is large."""
        body, gzip = received.data(), is_gzip(response)
        if gzip and not received.may_hold(min(identity_length(body), MAX_PLAIN_BYTES)):
            raise TooLong("no memory for the identity form")
        body_filter = self._filter_for(response)
        try:
            size_bytes = work_bytes(body, gzip=gzip)
            return await run_if_large(size_bytes, body_filter.apply, body, gzip=gzip)
        except TooLong:
            raise
        except InvalidEncoding as error:
            raise IncompleteResponse(
                "Trello's response was truncated or damaged; try again later."
            ) from error

    def _filter_for(self, response: UpstreamResponse) -> BodyFilter:
        """The filter of a body; links are rewritten in JSON, and in scripts made of JSON."""
        has_links = media_type_of(response.content_type).endswith(("json", "javascript"))
        rewriter = self._link_rewriter if has_links else None
        return BodyFilter(self._redactor, rewriter, self._clock.now())


def _check_origin(request: ApiRequest, response: BufferedResponse) -> None:
    """InvalidResponse if a gateway's page replaces Trello's response on a known route (D7)."""
    is_known = request.match.route.template != UNKNOWN
    if is_known and is_gateway_page(response.status, response.content_type, response.plain):
        raise InvalidResponse(
            f"A page with status {response.status} came for Trello's response; try again."
        )


@asynccontextmanager
async def _buffer_timeout() -> AsyncIterator[None]:
    """IncompleteResponse if a body takes longer than BUFFER_TIMEOUT_S."""
    try:
        async with asyncio.timeout(BUFFER_TIMEOUT_S):
            yield
    except TimeoutError as error:
        raise IncompleteResponse(
            "Trello's response took too long to arrive; try again later."
        ) from error


def is_gzip(response: UpstreamResponse) -> bool:
    """Whether the body is gzip; InvalidResponse if it has a coding that was not requested."""
    if response.content_encoding in {"gzip", "x-gzip"}:
        return True
    if response.content_encoding in {"identity", ""}:
        return False
    raise InvalidResponse(
        "Trello's response came in a coding that was not asked for; try again later."
    )


def _without_coding(fields: Fields) -> Fields:
    return tuple(field for field in fields if field[0].lower() != "content-encoding")
