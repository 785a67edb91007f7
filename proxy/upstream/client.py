"""Upstream client: circuit breaker, rate limit, transport, retry; the only way to Trello's API.

`send` is the lifetime of a request's connection. Its rate-limit permit ends with the response's
header, so that a slow body delays no other request.

Retried is what cannot take effect twice: a read whose connection ended, and any request of which
nothing was sent. Not a timeout, as the client has waited long enough; not a response, least of all
a 429.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AbstractContextManager, ExitStack, asynccontextmanager, closing

from proxy.errors import (
    CircuitOpen,
    ConnectionTerminated,
    IncompleteResponse,
    InvalidResponse,
    Unreachable,
    UpstreamError,
)
from proxy.http_semantics.content import InvalidEncoding, gunzip
from proxy.model import Kind
from proxy.observability.metrics import Metrics
from proxy.ratelimit.limiter import Permit, RateLimiter
from proxy.runtime.clock import Clock
from proxy.runtime.randomness import RandomBytes, uniform
from proxy.trello.failures import is_gateway_page, throttled
from proxy.trello.message import ApiRequest
from proxy.upstream.availability import CircuitBreakers
from proxy.upstream.transport import Transport, UpstreamRequest, UpstreamResponse

SHARE = 0.1
"""Retries per first request."""
MAX_SAVED = 10.0
MAX_PAUSE_S = 0.2
"""Before the retry of a request that was not sent. A reused connection that had ended is retried at
once."""


class RetryBudget:
    """Retries that all requests together may use: a request adds SHARE, a retry takes one."""

    def __init__(self) -> None:
        self._saved = MAX_SAVED

    def add(self) -> None:
        """Count a first request."""
        self._saved = min(MAX_SAVED, self._saved + SHARE)

    @property
    def is_spent(self) -> bool:
        """Whether no retry is left."""
        return self._saved < 1

    def take(self) -> bool:
        """Whether a retry is left; it is used up then."""
        if self.is_spent:
            return False
        self._saved -= 1
        return True


def may_retry(error: UpstreamError, *, is_read: bool, is_repeatable: bool) -> bool:
    """Whether a retry is harmless and may succeed.

    `is_read`: the method is safe (RFC 9110 §9.2.1), and there is no body. `is_repeatable`: the
    body, if any, is in memory.
    """
    match error:
        case ConnectionTerminated():
            return is_read
        case Unreachable():
            return is_repeatable
        case _:
            return False


def pause_s(error: UpstreamError, jitter: float) -> float:
    """Seconds to wait before the retry; `jitter` is between 0 and 1."""
    return 0.0 if error.sent else MAX_PAUSE_S * (1 + jitter) / 2


REDIRECTS = frozenset({301, 302, 303, 307, 308})
_ERROR_TEXT_BYTES = 4 * 1024
"""Bytes of a 401 or 429 that are read to classify it; 16 times as many of its identity form."""


class UpstreamClient:
    """Sends requests to Trello's API, and reads to its storage, which has no limits."""

    def __init__(
        self,
        transport: Transport,
        *,
        limiter: RateLimiter,
        availability: CircuitBreakers,
        metrics: Metrics,
        clock: Clock,
        random_bytes: RandomBytes,
    ) -> None:
        self.limiter = limiter
        self._transport = transport
        self._availability = availability
        self._retries = RetryBudget()
        self._metrics = metrics
        self._clock = clock
        self._random_bytes = random_bytes

    @asynccontextmanager
    async def send(
        self, request: ApiRequest, upstream_request: UpstreamRequest
    ) -> AsyncIterator[UpstreamResponse]:
        """The response, its body unread; its connection is released at exit.

        The request is sent once more, with another permit, if that is harmless.
        """
        with closing(await self._send_or_retry(request, upstream_request)) as response:
            yield response

    @asynccontextmanager
    async def send_to_storage(
        self, transport: Transport, request: UpstreamRequest
    ) -> AsyncIterator[UpstreamResponse]:
        """The response of Trello's storage to a read: no permit, no breaker; retried as others."""
        try:
            response = await transport.send(request)
        except UpstreamError as error:
            self._availability.log_connect_error(error)
            is_retried = may_retry(error, is_read=True, is_repeatable=True)
            if not is_retried or not self._retries.take():
                raise
            await self._pause(error)
            response = await transport.send(request)
        with closing(response):
            yield response

    def with_current_credential(self, request: ApiRequest) -> ApiRequest:
        """The request with the current stored credential, if it uses the stored one."""
        return self._availability.with_current_credential(request)

    def body_errors(self, request: ApiRequest) -> AbstractContextManager[None]:
        """Around the processing of a body: an UpstreamError is a failure of the request's route."""
        return self._availability.body_errors(request)

    async def _send_or_retry(
        self, request: ApiRequest, upstream_request: UpstreamRequest
    ) -> UpstreamResponse:
        self._retries.add()
        began, is_last = self._clock.monotonic(), not _is_read(request) or self._retries.is_spent
        try:
            return await self._send_once(request, upstream_request, is_last=is_last)
        except UpstreamError as error:
            is_late = self._clock.monotonic() - began > self.limiter.limits.wait_s
            if is_late or not _may_retry(error, request) or not self._retries.take():
                raise
            self._metrics.retries += 1
            await self._pause(error)
            try:
                return await self._send_once(request, upstream_request, is_last=True)
            except CircuitOpen:
                raise error from None

    async def _pause(self, error: UpstreamError) -> None:
        await asyncio.sleep(pause_s(error, uniform(self._random_bytes)))

    async def _send_once(
        self, request: ApiRequest, upstream_request: UpstreamRequest, *, is_last: bool
    ) -> UpstreamResponse:
        self._availability.check(request)
        permit = await self._acquire(request)
        self._metrics.client_stats.count_upstream(request.client_name)
        began = self._clock.monotonic()
        try:
            response = await self._attempt(permit, request, upstream_request, is_last=is_last)
        except UpstreamError as error:
            permit.fail(sent=error.sent)
            self._count(request, error.slug, began)
            raise
        except BaseException:
            permit.fail(sent=True)
            raise
        permit.end(response.fields)
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
        permit: Permit,
        request: ApiRequest,
        upstream_request: UpstreamRequest,
        *,
        is_last: bool,
    ) -> UpstreamResponse:
        """The response, its body unread; a 401 or 429 takes effect before the permit ends."""
        with ExitStack() as on_error:
            with self._availability.attempt(request, is_last=is_last) as attempt:
                response = await self._transport.send(upstream_request)
                on_error.callback(response.close)
                _check_status(response.status, request.match.route.kind)
                attempt.status = response.status
            if response.status in (401, 429):
                self._note_error(permit, request, response.status, await _error_text(response))
            on_error.pop_all()
        return response

    def _note_error(self, permit: Permit, request: ApiRequest, status: int, text: bytes) -> None:
        if status == 401:
            self._availability.note_unauthorized(request, status, text)
        elif limit := throttled(text):
            permit.throttled(limit)

    def _count(self, request: ApiRequest, status: str, began: float) -> None:
        elapsed_s = self._clock.monotonic() - began
        request.timing.upstream_s += elapsed_s
        self._metrics.count_upstream(
            request.match.route.template, request.method, status, elapsed_s
        )


def _may_retry(error: UpstreamError, request: ApiRequest) -> bool:
    is_repeatable = request.body is None or isinstance(request.body, bytes)
    return may_retry(error, is_read=_is_read(request), is_repeatable=is_repeatable)


def _is_read(request: ApiRequest) -> bool:
    return request.effective_method == "GET"


async def _error_text(response: UpstreamResponse) -> bytes:
    """The text of a 401 or 429; empty if it cannot be read, or is a gateway's page."""
    try:
        data = await response.peek(_ERROR_TEXT_BYTES)
        is_gzip = response.content_encoding in {"gzip", "x-gzip"}
        plain = gunzip(data, 16 * _ERROR_TEXT_BYTES) if is_gzip else data
    except (UpstreamError, InvalidEncoding):
        return b""
    return b"" if is_gateway_page(response.status, response.content_type, plain) else plain


def _check_status(status: int, kind: Kind) -> None:
    """InvalidResponse or IncompleteResponse for a status that cannot be forwarded.

    Only files are requested in parts, and only their redirects are followed: any other may lead to
    a signed URL, which its body repeats.
    """
    is_followed = kind is Kind.FILE and status in REDIRECTS
    if not is_followed and not 200 <= status < 300 and not 400 <= status < 600:
        raise InvalidResponse(f"Trello answered {status}, which means nothing here.")
    if status == 206 and kind is not Kind.FILE:
        raise IncompleteResponse("Trello sent a part of a response, which was not requested.")
