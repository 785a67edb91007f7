"""One request to Trello's API: not in vain, in its turn, counted; what the reply says is heeded."""

import asyncio
from contextlib import AbstractContextManager, ExitStack

from proxy.errors import (
    CircuitOpen,
    InvalidResponse,
    UpstreamError,
)
from proxy.http_semantics.content import InvalidEncoding, gunzip
from proxy.model import Kind
from proxy.observability.metrics import Metrics
from proxy.ratelimit.limiter import Permit, RateLimiter
from proxy.runtime.clock import Clock
from proxy.trello.failures import (
    is_page_of_another,
)
from proxy.trello.message import ApiRequest
from proxy.trello.rate_limits import (
    throttled,
)
from proxy.upstream.availability import CircuitBreakers
from proxy.upstream.retry import (
    RetryBudget,
    may_repeat,
    pause_s,
)
from proxy.upstream.transport import (
    Transport,
    UpstreamRequest,
    UpstreamResponse,
)

REDIRECTS = frozenset({301, 302, 303, 307, 308})
_SENTENCE_BYTES = 4 * 1024
"""Of a refusal, to see what it means; of its identity form sixteen times as many."""


class UpstreamClient:
    """The one way to Trello's API; its storage has no limits."""

    def __init__(
        self,
        upstream: Transport,
        limiter: RateLimiter,
        availability: CircuitBreakers,
        metrics: Metrics,
        clock: Clock,
    ) -> None:
        self.limiter = limiter
        self._transport = upstream
        self._availability = availability
        self._retries = RetryBudget()
        self._metrics = metrics
        self._clock = clock

    async def send(
        self, stack: ExitStack, request: ApiRequest, upstream_request: UpstreamRequest
    ) -> UpstreamResponse:
        """The reply's header, its body still to be read; `stack` closes it.

        It is sent once more, in a turn of its own, where that can do no harm.
        """
        self._retries.add()
        began, is_last = self._clock.monotonic(), not _is_read(request) or self._retries.is_spent
        try:
            return await self._send(stack, request, upstream_request, is_last=is_last)
        except UpstreamError as error:
            is_late = self._clock.monotonic() - began > self.limiter.limits.wait_s
            if is_late or not _may_repeat(error, request) or not self._retries.take():
                raise
            self._metrics.retries += 1
            await asyncio.sleep(pause_s(error, self._availability.jitter()))
            try:
                return await self._send(stack, request, upstream_request, is_last=True)
            except CircuitOpen:
                raise error from None

    def with_current_credential(self, request: ApiRequest) -> ApiRequest:
        """The Ask, in the stored identity's name with the credential that it has now."""
        return self._availability.with_current_credential(request)

    async def send_to_storage(
        self, upstream: Transport, request: UpstreamRequest
    ) -> UpstreamResponse:
        """A read of what is not Trello's API: no turn, no breaker; repeated as the others are."""
        try:
            return await upstream.send(request)
        except UpstreamError as error:
            self._availability.log_connect_error(error)
            if not may_repeat(error, is_read=True, is_whole=True) or not self._retries.take():
                raise
            await asyncio.sleep(pause_s(error, self._availability.jitter()))
            return await upstream.send(request)

    def body_errors(self, request: ApiRequest) -> AbstractContextManager[None]:
        """Around the body of a reply: one that is no answer is a failure of its route's."""
        return self._availability.body_errors(request)

    async def _send(
        self,
        stack: ExitStack,
        request: ApiRequest,
        upstream_request: UpstreamRequest,
        *,
        is_last: bool,
    ) -> UpstreamResponse:
        self._availability.check(request)
        turn = await self._acquire(request)
        self._metrics.client_stats.count_upstream(request.client_name)
        began = self._clock.monotonic()
        try:
            response = await self._attempt(turn, stack, request, upstream_request, is_last=is_last)
        except UpstreamError as error:
            self._count(request, error.slug, began)
            raise
        self._count(request, str(response.status), began)
        return response

    async def _acquire(self, request: ApiRequest) -> Permit:
        began = self._clock.monotonic()
        try:
            return await self.limiter.acquire(request)
        finally:
            request.timing.was_sent = True
            request.timing.queue_s += self._clock.monotonic() - began

    async def _attempt(
        self,
        turn: Permit,
        stack: ExitStack,
        request: ApiRequest,
        upstream_request: UpstreamRequest,
        *,
        is_last: bool,
    ) -> UpstreamResponse:
        """The reply, and the turn over; a refusal is heeded before anybody else's turn."""
        try:
            with self._availability.attempt(request, is_last=is_last) as attempt:
                response = await self._transport.send(upstream_request)
                stack.callback(response.close)
                _check(response.status, request.match.route.kind)
                attempt.record_response(response.status)
            if response.status in (401, 429):
                self._note_refusal(turn, request, response.status, await _sentence(response))
        except BaseException as error:
            turn.fail(sent=not isinstance(error, UpstreamError) or error.sent)
            raise
        turn.end(response.fields)
        return response

    def _note_refusal(
        self, turn: Permit, request: ApiRequest, status: int, sentence: bytes
    ) -> None:
        if status == 401:
            self._availability.note_unauthorized(request, status, sentence)
        elif limit := throttled(sentence):
            turn.throttled(limit)

    def _count(self, request: ApiRequest, status: str, began: float) -> None:
        elapsed_s = self._clock.monotonic() - began
        request.timing.upstream_s += elapsed_s
        self._metrics.count_upstream(
            request.match.route.template, request.method, status, elapsed_s
        )


def _may_repeat(error: UpstreamError, request: ApiRequest) -> bool:
    is_whole = request.body is None or isinstance(request.body, bytes)
    return may_repeat(error, is_read=_is_read(request), is_whole=is_whole)


def _is_read(request: ApiRequest) -> bool:
    return request.effective_method == "GET"


async def _sentence(response: UpstreamResponse) -> bytes:
    """What a refusal says; nothing where it cannot be read, or is a page and not Trello's."""
    try:
        held = await response.peek(_SENTENCE_BYTES)
        is_gzip = response.content_encoding in {"gzip", "x-gzip"}
        plain = gunzip(held, 16 * _SENTENCE_BYTES) if is_gzip else held
    except (UpstreamError, InvalidEncoding):
        return b""
    return b"" if is_page_of_another(response.status, response.content_type, plain) else plain


def _check(status: int, kind: Kind) -> None:
    """Unusable unless it may be handed on; redirects are followed, and of downloads only.

    The address of any other may be signed, and its body repeats it.
    """
    is_followed = kind is Kind.FILE and status in REDIRECTS
    if not is_followed and not 200 <= status < 300 and not 400 <= status < 600:
        raise InvalidResponse(f"Trello answered {status}, which means nothing here.")
