"""An unsafe request: forwarded once, and invalidated before the client hears the answer.

That order is the promise that whoever wrote reads what was written, through any tool behind the
proxy. An unknown outcome invalidates: a lost stored response costs one request, a wrong one trust.
"""

import asyncio
from collections import OrderedDict
from collections.abc import Callable, Collection
from dataclasses import replace
from typing import assert_never

from proxy.cache.aliases import AliasResolver
from proxy.cache.invalidation import Invalidator
from proxy.cache.results import response_from_buffered, response_from_stream
from proxy.cache.storability import (
    why_unusable,
)
from proxy.errors import InvalidResponse, UpstreamError
from proxy.model import (
    Fwd,
    Kind,
    Outcome,
    Tag,
)
from proxy.trello.message import ApiRequest, ApiResponse
from proxy.trello.write_effects import tags_changed_by
from proxy.upstream.exchange import (
    BufferedResponse,
    StreamedResponse,
    UpstreamExchange,
)

FIELD = "X-Trello-Client-Identifier"
MAX_REMEMBERED_WRITES = 1000
"""Of older ones nothing is remembered: their echoes invalidate once more."""


class EchoFilter:
    """Marks writes, and remembers what they named; bounded."""

    def __init__(self, instance: str) -> None:
        """`instance` is random and told to Trello alone: nobody else can claim a write of ours."""
        self._prefix = f"trello-proxy-{instance}-"
        self._count = 0
        self._tags_by_id: OrderedDict[str, Collection[Tag]] = OrderedDict()

    def tag_request(self, request: ApiRequest) -> ApiRequest:
        """The write with a mark of its own, unless its client has set one."""
        if _identifier(request) is not None:
            return request
        self._count += 1
        return replace(request, fields=(*request.fields, (FIELD, f"{self._prefix}{self._count:x}")))

    def remember(self, request: ApiRequest, tags: Collection[Tag]) -> None:
        """What was invalidated for a marked write, just now, when Trello had made the change."""
        identifier = _identifier(request)
        if identifier is None or not identifier.startswith(self._prefix):
            return
        self._tags_by_id[identifier] = tags
        if len(self._tags_by_id) > MAX_REMEMBERED_WRITES:
            self._tags_by_id.popitem(last=False)

    def tags_of(self, identifier: str) -> Collection[Tag]:
        """What the write with this mark named; nothing while it is not answered, or not ours."""
        return self._tags_by_id.get(identifier, ())


def _identifier(request: ApiRequest) -> str | None:
    return next((value for name, value in request.fields if name.lower() == FIELD.lower()), None)


_SEARCHED_BYTES = 256 * 1024
"""How much of an answer is searched for what the write touched."""


class WriteThrough:
    """Writes, never collapsed, never stored, never sent twice."""

    def __init__(
        self,
        exchange: UpstreamExchange,
        invalidator: Invalidator,
        aliases: AliasResolver,
        own: EchoFilter,
    ) -> None:
        self._exchange = exchange
        self._invalidator = invalidator
        self._aliases = aliases
        self._echoes = own
        self.on_write: list[Callable[[], None]] = []
        """Told after every write that may have been made, once what it touched is invalidated."""
        self._writes: set[asyncio.Task[ApiResponse]] = set()

    async def serve(self, request: ApiRequest) -> ApiResponse:
        """Trello's answer, whoever still waits for it; UpstreamError when there is none."""
        marked = self._echoes.tag_request(request)
        write = asyncio.create_task(self._serve(marked))  # noqa: TID251 — owned here, see stop
        self._writes.add(write)
        write.add_done_callback(self._done)
        try:
            return await asyncio.shield(write)
        except asyncio.CancelledError:
            if self._exchange.limiter.is_queued(write):
                write.cancel()  # nothing of it was sent
            raise

    async def stop(self) -> None:
        """Cancel what is still under way; what is cut off here may have arrived."""
        writes = list(self._writes)
        for write in writes:
            write.cancel()
        await asyncio.gather(*writes, return_exceptions=True)

    async def _serve(self, request: ApiRequest) -> ApiResponse:
        try:
            fetched = await self._exchange.fetch(request)
        except UpstreamError as error:
            if error.sent:
                await self._invalidate_effects(request, b"")
            raise
        except BaseException:
            # The client left in mid-upload, or we are stopping: it may have arrived.
            await self._invalidate_effects(request, b"")
            raise
        outcome = Outcome(fwd=Fwd.METHOD, fwd_status=fetched.status)
        match fetched:
            case BufferedResponse():
                if not _is_refusal(fetched.status):
                    await self._invalidate_effects(
                        request, fetched.plain[:_SEARCHED_BYTES], fetched.status
                    )
                with self._exchange.body_errors(request):
                    _check(fetched)
                return response_from_buffered(fetched, outcome)
            case StreamedResponse():
                if not _is_refusal(fetched.status):
                    await self._invalidate_effects(request, b"", fetched.status)
                return response_from_stream(fetched, outcome)
            case never:
                assert_never(never)

    async def _invalidate_effects(
        self, request: ApiRequest, response: bytes, status: int | None = None
    ) -> None:
        """Invalidate; a write that was not answered, or with trouble, may yet be made."""
        known = self._aliases.lookup(request)
        tags = tags_changed_by(
            request.effective_method, request.match, request.params(), response, known
        )
        self._invalidator.invalidate(tags, "write")
        for tell in self.on_write:
            tell()
        if status is not None and status < 300:
            self._echoes.remember(request, tags)
        await self._invalidator.flush()

    def _done(self, write: "asyncio.Task[ApiResponse]") -> None:
        self._writes.discard(write)
        if not write.cancelled():
            write.exception()  # seen, even when the client has left


def _check(whole: BufferedResponse) -> None:
    """Unusable where a client would take a gateway's page for Trello's yes (D7)."""
    reason = why_unusable(Kind.WRITE, whole.content_type, whole.plain)
    if whole.status == 200 and reason is not None:
        raise InvalidResponse(f"Trello sent {reason}; look whether the change was made.")


def _is_refusal(status: int) -> bool:
    """Whether Trello said that it did nothing; a 408 says only that it stopped waiting."""
    return 400 <= status < 500 and status != 408
