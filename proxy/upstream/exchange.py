"""One exchange with Trello: authorised on the way out, cleaned on the way in.

What comes back is free of our credential, of cookies, and of fields about the connection, before
anything stores, logs or sends it.
"""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import AbstractContextManager, ExitStack, aclosing, asynccontextmanager, suppress
from dataclasses import dataclass, field
from itertools import chain

from proxy.credentials.extraction import authorization
from proxy.credentials.redaction import Redactor
from proxy.errors import IncompleteResponse, InvalidResponse
from proxy.http_semantics import fields as field_policy
from proxy.http_semantics.content import (
    Gunzip,
    InvalidEncoding,
    TooLong,
    identity_length,
)
from proxy.links.rewrite import LinkRewriter, LinkStream
from proxy.model import Credential, Fields
from proxy.observability.metrics import Metrics, count
from proxy.runtime.clock import Clock
from proxy.runtime.memory_budget import MemoryBudget
from proxy.trello.failures import (
    is_page_of_another,
)
from proxy.trello.message import ApiRequest, Body
from proxy.trello.routes import UNKNOWN
from proxy.upstream.client import UpstreamClient
from proxy.upstream.inflate import inflated
from proxy.upstream.received_body import ReceivedBody
from proxy.upstream.representation import (
    MAX_PLAIN_BYTES,
    Cleaning,
    Representation,
    is_long,
)
from proxy.upstream.transport import UpstreamRequest, UpstreamResponse

MAX_BUFFERED_BYTES = 16 * 1024 * 1024
"""A longer answer is streamed, and not stored."""
BUFFER_TIMEOUT_S = 120.0
"""From its first byte to the last, of an answer that is not streamed."""
_ERROR_BODY_BYTES = 64 * 1024


@dataclass(frozen=True, slots=True)
class BufferedResponse:
    """An answer that arrived completely."""

    status: int
    fields: Fields
    content_type: str
    body: bytes = field(repr=False)
    """As it came, or the identity form where that had to be changed."""
    plain: bytes = field(repr=False)
    gzip: bool
    length_known: bool


@dataclass(frozen=True, slots=True)
class StreamedResponse:
    """An answer too long to hold; `chunks` must be read to the end or closed."""

    status: int
    fields: Fields
    chunks: AsyncGenerator[bytes, None] = field(repr=False)
    length: int | None


class UpstreamExchange:
    """Speaks to Trello in the name of a credential, and never lets it come back."""

    def __init__(
        self,
        sending: UpstreamClient,
        origin: str,
        via: str,
        cleaning: tuple[Redactor, LinkRewriter | None],
        accounts: tuple[Metrics, MemoryBudget],
        clock: Clock,
    ) -> None:
        """`cleaning`: what masks our secrets, and what rewrites links where that is wanted.

        `accounts`: what counts requests and bytes, and what is held for clients.
        """
        self.limiter = sending.limiter
        self.client = sending
        self._origin = origin
        self._via = via
        self._redactor, self._link_rewriter = cleaning
        self._metrics, self._memory = accounts
        self._clock = clock

    async def fetch(
        self, request: ApiRequest, *, gzip: bool = False
    ) -> BufferedResponse | StreamedResponse:
        """Trello's answer; UpstreamError when there is none, or when it is cut or undecodable.

        `gzip` asks for that coding, which is then kept as it came.
        """
        with ExitStack() as stack:
            response = await self.open(stack, request, "gzip" if gzip else "identity")
            received = self._received(response, stack)
            with self.body_errors(request):
                async with _in_time():
                    is_whole = await received.read(MAX_BUFFERED_BYTES)
                if is_whole:
                    with suppress(TooLong):
                        return await self._buffered(request, response, received)
                links = self._rewriter_for(response.content_type)
                return await self._streamed(response, received, stack, links)

    async def open(self, stack: ExitStack, request: ApiRequest, coding: str) -> UpstreamResponse:
        """The reply's header, its body still to be read; `stack` closes it."""
        request = self.client.with_current_credential(request)
        upstream_request = UpstreamRequest(
            request.method,
            self._origin + request.target,
            self._fields(request, coding),
            self._count(request.body),
        )
        return await self.client.send(stack, request, upstream_request)

    def body_errors(self, request: ApiRequest) -> AbstractContextManager[None]:
        """Around what is made of an answer's body: where it is none, that is Trello's failure."""
        return self.client.body_errors(request)

    async def read_error_body(
        self, request: ApiRequest, response: UpstreamResponse
    ) -> BufferedResponse:
        """A reply's short body, whole: a refusal's sentence; Unusable where it is none."""
        with ExitStack() as stack:
            received = self._received(response, stack)
            if await received.read(_ERROR_BODY_BYTES):
                with suppress(TooLong):
                    return await self._buffered(request, response, received)
        raise InvalidResponse("Trello refused, at a length that is no sentence.")

    async def stream(self, response: UpstreamResponse, stack: ExitStack) -> StreamedResponse:
        """A file as it arrives; what `stack` holds is its to close then."""
        return await self._streamed(response, self._received(response, stack), stack, None)

    def redact(self, credential: Credential) -> None:
        """Mask this one too, from here on."""
        self._redactor.add_secret((credential.key, credential.token))

    def contains_secret(self, text: str) -> bool:
        """Whether our credential stands there."""
        return self._redactor.contains_secret(text)

    def filtered_headers(self, response: UpstreamResponse) -> Fields:
        """The fields that may reach a client."""
        fields = field_policy.to_client(response.fields)
        if not self._redactor.contains_secret("\n".join(chain.from_iterable(fields))):
            return fields
        scrub = self._redactor.redact_text
        return tuple((scrub(name), scrub(value)) for name, value in fields)

    def _fields(self, request: ApiRequest, coding: str) -> Fields:
        names = {name.lower() for name, _ in request.fields}
        return (
            *request.fields,
            *(() if "accept" in names else (("Accept", "*/*"),)),
            *(() if "user-agent" in names else (("User-Agent", self._via),)),
            ("Accept-Encoding", coding),
            ("Via", f"1.1 {self._via}"),
            ("Authorization", authorization(request.credential)),
        )

    def _count(self, body: Body) -> Body:
        if isinstance(body, bytes):
            count(self._metrics.upstream_bytes, "sent", len(body))
            return body
        return None if body is None else self._count_chunks(body)

    async def _count_chunks(self, body: AsyncIterator[bytes]) -> AsyncGenerator[bytes, None]:
        async for chunk in body:
            count(self._metrics.upstream_bytes, "sent", len(chunk))
            yield chunk

    def _received(self, response: UpstreamResponse, stack: ExitStack) -> ReceivedBody:
        received = ReceivedBody(response, self._metrics, self._memory)
        stack.callback(received.release)
        return received

    async def _buffered(
        self, request: ApiRequest, response: UpstreamResponse, received: ReceivedBody
    ) -> BufferedResponse:
        """The answer, clean; TooLong where its identity form is too long to be held."""
        found = await self._cleaned(response, received)
        self._metrics.redacted += found.was_scrubbed
        whole = BufferedResponse(
            status=response.status,
            fields=_without_coding(self.filtered_headers(response)),
            content_type=self._redactor.redact_text(response.content_type),
            body=found.body,
            plain=found.plain,
            gzip=found.gzip,
            length_known=response.length_known,
        )
        _check(request, whole)
        return whole

    async def _cleaned(self, response: UpstreamResponse, received: ReceivedBody) -> Representation:
        """Both forms of the body, without secrets, and with attachment links of ours (D4)."""
        body, gzip = received.whole(), is_gzip(response)
        if gzip and not received.may_hold(min(identity_length(body), MAX_PLAIN_BYTES)):
            raise TooLong("no room for the identity form")
        links = self._rewriter_for(response.content_type)
        cleaning = Cleaning(self._redactor, links, self._clock.now())
        try:
            if is_long(body, gzip=gzip):
                return await asyncio.to_thread(cleaning.of, body, gzip=gzip)
            return cleaning.of(body, gzip=gzip)
        except TooLong:
            raise
        except InvalidEncoding as error:
            raise IncompleteResponse(
                "Trello's answer was cut or damaged; try again later."
            ) from error

    def _rewriter_for(self, content_type: str) -> LinkRewriter | None:
        """What rewrites the links of a response: of JSON, and of scripts made of JSON."""
        media_type = content_type.partition(";")[0].strip().lower()
        return self._link_rewriter if media_type.endswith(("json", "javascript")) else None

    async def _streamed(
        self,
        response: UpstreamResponse,
        received: ReceivedBody,
        stack: ExitStack,
        links: LinkRewriter | None,
    ) -> StreamedResponse:
        gzip = is_gzip(response)
        chunks = self._chunks(received, stack.pop_all(), Gunzip() if gzip else None)
        await anext(chunks)  # a generator that has not begun closes nothing when it is closed
        if links is not None:
            chunks = _rewrite_chunks(chunks, links.stream(self._clock.now()))
            await anext(chunks)
        return StreamedResponse(
            status=response.status,
            fields=_without_coding(self.filtered_headers(response)),
            chunks=chunks,
            length=None if gzip or links is not None else response.length,
        )

    async def _chunks(
        self, received: ReceivedBody, stack: ExitStack, inflater: Gunzip | None
    ) -> AsyncGenerator[bytes, None]:
        scrub = self._redactor.stream()
        with stack:
            yield b""
            try:
                async with aclosing(received.rest()) as chunks:
                    async for chunk in chunks:
                        if inflater is None:
                            yield scrub.feed(chunk)
                            continue
                        async for piece in inflated(inflater, chunk):
                            yield scrub.feed(piece)
                if inflater is not None:
                    inflater.finish()
                yield scrub.finish()
            except InvalidEncoding as error:
                raise IncompleteResponse("Trello's answer was cut or damaged.") from error


def _check(request: ApiRequest, whole: BufferedResponse) -> None:
    """Unusable where something between refuses with a page of its own what Trello knows."""
    is_known = request.match.route.template != UNKNOWN
    if is_known and is_page_of_another(whole.status, whole.content_type, whole.plain):
        raise InvalidResponse(
            f"A page with status {whole.status} came for Trello's answer; try again."
        )


@asynccontextmanager
async def _in_time() -> AsyncIterator[None]:
    """Around the reading of a body; Incomplete when it drips for too long."""
    try:
        async with asyncio.timeout(BUFFER_TIMEOUT_S):
            yield
    except TimeoutError as error:
        raise IncompleteResponse(
            "Trello's answer took too long to arrive; try again later."
        ) from error


async def _rewrite_chunks(
    chunks: AsyncGenerator[bytes, None], links: LinkStream
) -> AsyncGenerator[bytes, None]:
    try:
        yield b""
        async for chunk in chunks:
            yield links.feed(chunk)
        yield links.finish()
    finally:
        await chunks.aclose()


def is_gzip(response: UpstreamResponse) -> bool:
    """Whether it is to be inflated; Unusable where it came in a coding that we do not know."""
    if response.content_encoding in {"gzip", "x-gzip"}:
        return True
    if response.content_encoding in {"identity", ""}:
        return False
    raise InvalidResponse(
        "Trello's answer came in a coding that was not asked for; try again later."
    )


def _without_coding(fields: Fields) -> Fields:
    return tuple(field for field in fields if field[0].lower() != "content-encoding")
