"""An unsafe request: forwarded once, and invalidated before the client hears the answer.

That order is the promise that whoever wrote reads what was written, through any tool behind the
proxy. An unknown outcome invalidates: a lost stored response costs one request, a wrong one trust.
"""

import asyncio
from collections.abc import Callable
from typing import assert_never

from proxy.errors import Unusable, UpstreamError
from proxy.flow.answers import from_stream, from_whole
from proxy.flow.ask import Answer, Ask
from proxy.flow.exchange import Exchange, Streamed, Whole
from proxy.flow.invalidate import Invalidate
from proxy.flow.naming import Naming
from proxy.flow.own_writes import OwnWrites
from proxy.model import Fwd, Kind, Outcome
from proxy.policy.invalidation import touched_tags
from proxy.policy.storability import why_unusable

_ANSWER_BYTES = 256 * 1024
"""How much of an answer is searched for what the write touched."""


class WriteThrough:
    """Writes, never collapsed, never stored, never sent twice."""

    def __init__(
        self, exchange: Exchange, invalidate: Invalidate, naming: Naming, own: OwnWrites
    ) -> None:
        self._exchange = exchange
        self._invalidate = invalidate
        self._naming = naming
        self._own = own
        self.on_written: list[Callable[[], None]] = []
        """Told after every write that may have been made, once what it touched is invalidated."""
        self._writes: set[asyncio.Task[Answer]] = set()

    async def serve(self, ask: Ask) -> Answer:
        """Trello's answer, whoever still waits for it; UpstreamError when there is none."""
        marked = self._own.marked(ask)
        write = asyncio.create_task(self._serve(marked))  # noqa: TID251 — owned here, see stop
        self._writes.add(write)
        write.add_done_callback(self._done)
        try:
            return await asyncio.shield(write)
        except asyncio.CancelledError:
            if self._exchange.turns.holds(write):
                write.cancel()  # nothing of it was sent
            raise

    async def stop(self) -> None:
        """Cancel what is still under way; what is cut off here may have arrived."""
        writes = list(self._writes)
        for write in writes:
            write.cancel()
        await asyncio.gather(*writes, return_exceptions=True)

    async def _serve(self, ask: Ask) -> Answer:
        try:
            fetched = await self._exchange.fetch(ask)
        except UpstreamError as error:
            if error.sent:
                await self._apply(ask, b"")
            raise
        except BaseException:
            # The client left in mid-upload, or we are stopping: it may have arrived.
            await self._apply(ask, b"")
            raise
        outcome = Outcome(fwd=Fwd.METHOD, fwd_status=fetched.status)
        match fetched:
            case Whole():
                if not _is_refusal(fetched.status):
                    await self._apply(ask, fetched.plain[:_ANSWER_BYTES], fetched.status)
                with self._exchange.reading(ask):
                    _check(fetched)
                return from_whole(fetched, outcome)
            case Streamed():
                if not _is_refusal(fetched.status):
                    await self._apply(ask, b"", fetched.status)
                return from_stream(fetched, outcome)
            case never:
                assert_never(never)

    async def _apply(self, ask: Ask, answer: bytes, status: int | None = None) -> None:
        """Invalidate; a write that was not answered, or with trouble, may yet be made."""
        known = self._naming.known(ask)
        tags = touched_tags(ask.means, ask.match, ask.params(), answer, known)
        self._invalidate.apply(tags, "write")
        for tell in self.on_written:
            tell()
        if status is not None and status < 300:
            self._own.remember(ask, tags)
        await self._invalidate.settled()

    def _done(self, write: "asyncio.Task[Answer]") -> None:
        self._writes.discard(write)
        if not write.cancelled():
            write.exception()  # seen, even when the client has left


def _check(whole: Whole) -> None:
    """Unusable where a client would take a gateway's page for Trello's yes (D7)."""
    reason = why_unusable(
        Kind.WRITE, whole.content_type, whole.plain, length_known=whole.length_known
    )
    if whole.status == 200 and reason is not None:
        raise Unusable(f"Trello sent {reason}; look whether the change was made.")


def _is_refusal(status: int) -> bool:
    """Whether Trello said that it did nothing; a 408 says only that it stopped waiting."""
    return 400 <= status < 500 and status != 408
