"""One request to Trello's API: not in vain, in its turn, counted; what the reply says is heeded."""

import asyncio
from contextlib import AbstractContextManager, ExitStack

from proxy.clock import Clock
from proxy.errors import Resting, Unusable, UpstreamError
from proxy.flow.ask import Ask
from proxy.flow.outlook import Outlook
from proxy.flow.turn import Turn
from proxy.flow.turns import Turns
from proxy.metrics import Metrics
from proxy.model import Kind
from proxy.policy.codings import BadCoding, gunzip
from proxy.policy.limits import throttled
from proxy.policy.storability import is_page_of_another
from proxy.upstream.client import Question, Reply, Upstream
from proxy.upstream.retry import RetryBudget, may_repeat, pause_s

REDIRECTS = frozenset({301, 302, 303, 307, 308})
_SENTENCE_BYTES = 4 * 1024
"""Of a refusal, to see what it means; of its identity form sixteen times as many."""


class Sending:
    """The one way to Trello's API; its storage has no limits."""

    def __init__(
        self, upstream: Upstream, turns: Turns, outlook: Outlook, metrics: Metrics, clock: Clock
    ) -> None:
        self.turns = turns
        self._upstream = upstream
        self._outlook = outlook
        self._retries = RetryBudget()
        self._metrics = metrics
        self._clock = clock

    async def send(self, stack: ExitStack, ask: Ask, question: Question) -> Reply:
        """The reply's header, its body still to be read; `stack` closes it.

        It is sent once more, in a turn of its own, where that can do no harm.
        """
        self._retries.add()
        began, is_last = self._clock.monotonic(), not _is_read(ask) or self._retries.is_spent
        try:
            return await self._send(stack, ask, question, is_last=is_last)
        except UpstreamError as error:
            is_late = self._clock.monotonic() - began > self.turns.wait_s
            if is_late or not _may_repeat(error, ask) or not self._retries.take():
                raise
            self._metrics.retries += 1
            await asyncio.sleep(pause_s(error, self._outlook.jitter()))
            try:
                return await self._send(stack, ask, question, is_last=True)
            except Resting:
                raise error from None

    def up_to_date(self, ask: Ask) -> Ask:
        """The Ask, in the stored identity's name with the credential that it has now."""
        return self._outlook.up_to_date(ask)

    async def send_elsewhere(self, upstream: Upstream, question: Question) -> Reply:
        """A read of what is not Trello's API: no turn, no breaker; repeated as the others are."""
        try:
            return await upstream.send(question)
        except UpstreamError as error:
            self._outlook.unconnected(error)
            if not may_repeat(error, is_read=True, is_whole=True) or not self._retries.take():
                raise
            await asyncio.sleep(pause_s(error, self._outlook.jitter()))
            return await upstream.send(question)

    def reading(self, ask: Ask) -> AbstractContextManager[None]:
        """Around the body of a reply: one that is no answer is a failure of its route's."""
        return self._outlook.reading(ask)

    async def _send(
        self, stack: ExitStack, ask: Ask, question: Question, *, is_last: bool
    ) -> Reply:
        self._outlook.check(ask)
        turn = await self._turn(ask)
        self._metrics.tally.spend(ask.spender)
        began = self._clock.monotonic()
        try:
            reply = await self._answered(turn, stack, ask, question, is_last=is_last)
        except UpstreamError as error:
            self._count(ask, error.slug, began)
            raise
        self._count(ask, str(reply.status), began)
        return reply

    async def _turn(self, ask: Ask) -> Turn:
        began = self._clock.monotonic()
        try:
            return await self.turns.take(ask)
        finally:
            ask.timing.asked = True
            ask.timing.wait_s += self._clock.monotonic() - began

    async def _answered(
        self, turn: Turn, stack: ExitStack, ask: Ask, question: Question, *, is_last: bool
    ) -> Reply:
        """The reply, and the turn over; a refusal is heeded before anybody else's turn."""
        try:
            with self._outlook.attempt(ask, is_last=is_last) as attempt:
                reply = await self._upstream.send(question)
                stack.callback(reply.close)
                _check(reply.status, ask.match.route.kind)
                attempt.answered(reply.status)
            if reply.status in (401, 429):
                self._heed(turn, ask, reply.status, await _sentence(reply))
        except BaseException as error:
            turn.fail(sent=not isinstance(error, UpstreamError) or error.sent)
            raise
        turn.end(reply.fields)
        return reply

    def _heed(self, turn: Turn, ask: Ask, status: int, sentence: bytes) -> None:
        if status == 401:
            self._outlook.refused(ask, status, sentence)
        elif limit := throttled(sentence):
            turn.throttled(limit)

    def _count(self, ask: Ask, status: str, began: float) -> None:
        elapsed_s = self._clock.monotonic() - began
        ask.timing.upstream_s += elapsed_s
        self._metrics.asked_upstream(ask.match.route.template, ask.method, status, elapsed_s)


def _may_repeat(error: UpstreamError, ask: Ask) -> bool:
    is_whole = ask.body is None or isinstance(ask.body, bytes)
    return may_repeat(error, is_read=_is_read(ask), is_whole=is_whole)


def _is_read(ask: Ask) -> bool:
    return ask.means == "GET"


async def _sentence(reply: Reply) -> bytes:
    """What a refusal says; nothing where it cannot be read, or is a page and not Trello's."""
    try:
        held = await reply.peek(_SENTENCE_BYTES)
        is_gzip = reply.coding in {"gzip", "x-gzip"}
        plain = gunzip(held, 16 * _SENTENCE_BYTES) if is_gzip else held
    except (UpstreamError, BadCoding):
        return b""
    return b"" if is_page_of_another(reply.status, reply.content_type, plain) else plain


def _check(status: int, kind: Kind) -> None:
    """Unusable unless it may be handed on; redirects are followed, and of downloads only.

    The address of any other may be signed, and its body repeats it.
    """
    is_followed = kind is Kind.FILE and status in REDIRECTS
    if not is_followed and not 200 <= status < 300 and not 400 <= status < 600:
        raise Unusable(f"Trello answered {status}, which means nothing here.")
