"""One request to Trello's API: in its turn, counted; what the reply says of limits is heeded."""

from contextlib import ExitStack

from proxy.clock import Clock
from proxy.errors import Terminated, Unusable, UpstreamError
from proxy.flow.ask import Ask
from proxy.flow.turns import Turn, Turns
from proxy.metrics import Metrics
from proxy.model import Kind
from proxy.policy.codings import BadCoding, gunzip
from proxy.policy.limits import throttled
from proxy.upstream.client import Question, Reply, Upstream

REDIRECTS = frozenset({301, 302, 303, 307, 308})
_SENTENCE_BYTES = 4 * 1024
"""Of a 429, to see which limit it means."""


class Sending:
    """The one way to Trello's API; its storage has no limits."""

    def __init__(self, upstream: Upstream, turns: Turns, metrics: Metrics, clock: Clock) -> None:
        self.turns = turns
        self._upstream = upstream
        self._metrics = metrics
        self._clock = clock

    async def send(self, stack: ExitStack, ask: Ask, question: Question) -> Reply:
        """The reply's header, its body still to be read; `stack` closes it.

        A read is sent once more, in a turn of its own, when a connection ended without an answer:
        it was a kept one that Trello had closed, as a rule.
        """
        try:
            return await self._send(stack, ask, question)
        except Terminated:
            if ask.method != "GET" or ask.body is not None:
                raise
            return await self._send(stack, ask, question)

    async def _send(self, stack: ExitStack, ask: Ask, question: Question) -> Reply:
        turn = await self.turns.take(ask)
        template, began = ask.match.route.template, self._clock.monotonic()
        try:
            reply = await self._answered(turn, stack, question)
            if not _is_answer(reply.status, ask.match.route.kind):
                raise Unusable(f"Trello answered {reply.status}, which means nothing here.")
        except UpstreamError as error:
            self._count(template, ask.method, error.slug, began)
            raise
        self._count(template, ask.method, str(reply.status), began)
        return reply

    async def _answered(self, turn: Turn, stack: ExitStack, question: Question) -> Reply:
        """The reply, and the turn over; a refusal stops its limit before anybody else's turn."""
        try:
            reply = await self._upstream.send_once(question)
            stack.callback(reply.close)
            if reply.status == 429 and (limit := throttled(await _sentence(reply))):
                turn.throttled(limit)
        except BaseException as error:
            turn.fail(sent=not isinstance(error, UpstreamError) or error.sent)
            raise
        turn.end(reply.fields)
        return reply

    def _count(self, template: str, method: str, status: str, began: float) -> None:
        elapsed_s = self._clock.monotonic() - began
        self._metrics.asked_upstream(template, method, status, elapsed_s)


async def _sentence(reply: Reply) -> bytes:
    """What a refusal says; nothing where it cannot be read."""
    try:
        held = await reply.peek(_SENTENCE_BYTES)
        return gunzip(held) if reply.coding in {"gzip", "x-gzip"} else held
    except (UpstreamError, BadCoding):
        return b""


def _is_answer(status: int, kind: Kind) -> bool:
    """Whether it may be handed on; redirects are followed, and of downloads only.

    The address of any other may be signed, and its body repeats it.
    """
    if kind is Kind.FILE and status in REDIRECTS:
        return True
    return 200 <= status < 300 or 400 <= status < 600
