"""Write-through: an unsafe request is forwarded once, and invalidates before its client continues.

That order is the promise of read-your-writes: a client that wrote reads what it wrote, through any
other client of the proxy too. An unknown outcome invalidates: a stored response lost for nothing
costs one request, a wrong one trust.
"""

import asyncio
from collections.abc import Awaitable, Callable, Collection
from dataclasses import replace
from typing import Protocol, assert_never

from proxy.cache.aliases import AliasResolver
from proxy.cache.invalidation import Invalidator
from proxy.cache.policy import why_unusable
from proxy.cache.results import response_from_buffered, response_from_stream
from proxy.errors import InvalidResponse, UpstreamError
from proxy.model import Fwd, Kind, Outcome, Tag
from proxy.runtime.lru import LruDict
from proxy.runtime.tasks import TaskSet
from proxy.trello.message import ApiRequest, ApiResponse
from proxy.trello.tags import EVERYTHING
from proxy.trello.write_effects import tags_changed_by
from proxy.upstream.exchange import BufferedResponse, StreamedResponse, UpstreamExchange

IDENTIFIER_FIELD = "X-Trello-Client-Identifier"
"""Trello repeats its value in the webhook deliveries of the write that carried it."""
MAX_REMEMBERED_WRITES = 1000
"""The echoes of older ones invalidate once more."""
_SEARCHED_BYTES = 256 * 1024
"""How much of a response is searched for the objects that a write changed."""


class EchoFilter:
    """Recognises webhook deliveries that are echoes of writes through this proxy.

    Each write gets an identifier of its own, so an echo is compared with what that very write
    invalidated, after Trello had responded to it, and with nothing else.
    """

    def __init__(self, instance: str) -> None:
        """`instance` is random and sent to Trello alone: no other client can claim our writes."""
        self._prefix = f"trello-proxy-{instance}-"
        self._count = 0
        self._tags_by_identifier: LruDict[str, Collection[Tag]] = LruDict(MAX_REMEMBERED_WRITES)

    def with_identifier(self, request: ApiRequest) -> ApiRequest:
        """The write with an identifier, unless its client has set one."""
        if _identifier(request) is not None:
            return request
        self._count += 1
        field = (IDENTIFIER_FIELD, f"{self._prefix}{self._count:x}")
        return replace(request, fields=(*request.fields, field))

    def remember(self, request: ApiRequest, tags: Collection[Tag]) -> None:
        """Note what was invalidated for a write that Trello has just made."""
        identifier = _identifier(request)
        if identifier is not None and identifier.startswith(self._prefix):
            self._tags_by_identifier[identifier] = tags

    def tags_of(self, identifier: str) -> Collection[Tag]:
        """What was invalidated for a write; nothing before its response, or if it is not ours."""
        return self._tags_by_identifier.get(identifier, ())


class AnnouncedWrite(Protocol):
    """A write that the next leader of a fleet would know of."""

    async def acknowledge(self, save: Callable[[], Awaitable[bool]]) -> None:
        """Return when its client may know the outcome; LeaderLost if it must not.

        `save` returns whether its invalidations would survive a crash.
        """

    def cancel(self) -> None:
        """Nothing was sent, or all that it may have changed is invalidated for good."""


class WriteFence(Protocol):
    """Announces writes to the next leader (D65)."""

    async def begin(self, tags: Collection[Tag]) -> AnnouncedWrite:
        """Announce a write that may change `tags`; UpstreamError if it must not be sent."""


class WriteThrough:
    """Forwards writes; never collapsed, never stored, never retried once they were sent."""

    def __init__(
        self,
        *,
        exchange: UpstreamExchange,
        invalidator: Invalidator,
        aliases: AliasResolver,
        echoes: EchoFilter,
        on_write: Callable[[Collection[Tag]], None],
        fence: WriteFence | None = None,
    ) -> None:
        """`on_write` is called after a write that may have been made, with what it invalidated.

        `fence`: None without a fleet.
        """
        self._fence = fence
        self._exchange = exchange
        self._invalidator = invalidator
        self._aliases = aliases
        self._echoes = echoes
        self._on_write = on_write
        self._writes = TaskSet()

    async def serve(self, request: ApiRequest) -> ApiResponse:
        """Trello's response, whether or not the client waits for it; UpstreamError without one."""
        write = self._writes.spawn(self._serve(self._echoes.with_identifier(request)))
        try:
            return await asyncio.shield(write)
        except asyncio.CancelledError:
            if self._exchange.limiter.is_queued(write):
                write.cancel()  # nothing of it was sent
            raise

    async def stop(self) -> None:
        """Cancel what is under way; a write that is cut off here may have arrived."""
        await self._writes.stop()

    async def _serve(self, request: ApiRequest) -> ApiResponse:
        if self._fence is None:
            return await self._forward(request)
        announced = await self._fence.begin(self._possible_tags(request))
        try:
            response = await self._forward(request)
        except UpstreamError as error:
            if not error.sent:
                announced.cancel()
                raise
            await announced.acknowledge(self._invalidator.flush)
            raise
        except BaseException:
            if await self._invalidator.flush():
                announced.cancel()
            raise
        try:
            await announced.acknowledge(self._invalidator.flush)
        except BaseException:
            if not isinstance(response.body, bytes):
                await response.body.aclose()
            raise
        return response

    def _possible_tags(self, request: ApiRequest) -> Collection[Tag]:
        """What the write may change, whatever Trello responds: a superset of what it purges."""
        if not isinstance(request.body, bytes | None):
            return {EVERYTHING}  # the parameters in a streamed body are not known yet
        info = self._aliases.lookup(request)
        return tags_changed_by(request.effective_method, request.match, request.params(), b"", info)

    async def _forward(self, request: ApiRequest) -> ApiResponse:
        try:
            fetched = await self._exchange.fetch(request)
        except UpstreamError as error:
            if error.sent:
                await self._invalidate_effects(request, b"")
            raise
        except BaseException:
            # The client left in mid-upload, or we are stopping: the write may have arrived.
            await self._invalidate_effects(request, b"")
            raise
        searched = fetched.plain[:_SEARCHED_BYTES] if isinstance(fetched, BufferedResponse) else b""
        if not _is_refusal(fetched.status):
            await self._invalidate_effects(request, searched, fetched.status)
        outcome = Outcome(fwd=Fwd.METHOD, fwd_status=fetched.status)
        match fetched:
            case BufferedResponse():
                with self._exchange.body_errors(request):
                    _check(fetched)
                return response_from_buffered(fetched, outcome)
            case StreamedResponse():
                return response_from_stream(fetched, outcome)
            case never:
                assert_never(never)

    async def _invalidate_effects(
        self, request: ApiRequest, body: bytes, status: int | None = None
    ) -> None:
        """Invalidate what the write may have changed; without a response it may yet be made."""
        info = self._aliases.lookup(request)
        tags = tags_changed_by(
            request.effective_method, request.match, request.params(), body, info
        )
        self._invalidator.purge(tags, "write")
        self._on_write(tags)
        if status is not None and status < 300:
            self._echoes.remember(request, tags)
        await self._invalidator.settle()


def _identifier(request: ApiRequest) -> str | None:
    name = IDENTIFIER_FIELD.lower()
    return next((value for field, value in request.fields if field.lower() == name), None)


def _check(fetched: BufferedResponse) -> None:
    """InvalidResponse where a client would take a gateway's page for Trello's success (D7)."""
    reason = why_unusable(Kind.WRITE, fetched.content_type, fetched.plain)
    if fetched.status == 200 and reason is not None:
        raise InvalidResponse(f"Trello sent {reason}; look whether the change was made.")


def _is_refusal(status: int) -> bool:
    """Whether Trello said that it did nothing; a 408 says only that it stopped waiting."""
    return 400 <= status < 500 and status != 408
