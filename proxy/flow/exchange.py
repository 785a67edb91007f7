"""One exchange with Trello: authorised on the way out, cleaned on the way in.

What comes back is free of our credential, of cookies, and of fields about the connection, before
anything stores, logs or sends it.
"""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import AbstractContextManager, ExitStack, aclosing, asynccontextmanager, suppress
from dataclasses import dataclass, field
from itertools import chain

from proxy.clock import Clock
from proxy.errors import Incomplete, Unusable
from proxy.flow.ask import Ask, Body
from proxy.flow.inflate import inflated
from proxy.flow.received import Received
from proxy.flow.sending import Sending
from proxy.memory_budget import MemoryBudget
from proxy.metrics import Metrics, count
from proxy.model import Credential, Fields
from proxy.policy import fields as field_policy
from proxy.policy.codings import BadCoding, Gunzip, TooLong, identity_length
from proxy.policy.credentials import authorization
from proxy.policy.links import Links, LinkStream
from proxy.policy.representation import MAX_PLAIN_BYTES, Cleaning, Representation, is_long
from proxy.policy.routes import UNKNOWN
from proxy.policy.scrub import Scrubber
from proxy.policy.storability import is_page_of_another
from proxy.upstream.client import Question, Reply

WHOLE_BYTES = 16 * 1024 * 1024
"""A longer answer is streamed, and not stored."""
WHOLE_S = 120.0
"""From its first byte to the last, of an answer that is not streamed."""
_REFUSAL_BYTES = 64 * 1024


@dataclass(frozen=True, slots=True)
class Whole:
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
class Streamed:
    """An answer too long to hold; `chunks` must be read to the end or closed."""

    status: int
    fields: Fields
    chunks: AsyncGenerator[bytes, None] = field(repr=False)
    length: int | None


class Exchange:
    """Speaks to Trello in the name of a credential, and never lets it come back."""

    def __init__(
        self,
        sending: Sending,
        origin: str,
        via: str,
        cleaning: tuple[Scrubber, Links | None],
        accounts: tuple[Metrics, MemoryBudget],
        clock: Clock,
    ) -> None:
        """`cleaning`: what masks our secrets, and what rewrites links where that is wanted.

        `accounts`: what counts requests and bytes, and what is held for clients.
        """
        self.turns = sending.turns
        self.sending = sending
        self._origin = origin
        self._via = via
        self._scrubber, self._links = cleaning
        self._metrics, self._memory = accounts
        self._clock = clock

    async def fetch(self, ask: Ask, *, gzip: bool = False) -> Whole | Streamed:
        """Trello's answer; UpstreamError when there is none, or when it is cut or undecodable.

        `gzip` asks for that coding, which is then kept as it came.
        """
        with ExitStack() as stack:
            reply = await self.open(stack, ask, "gzip" if gzip else "identity")
            received = self._received(reply, stack)
            with self.reading(ask):
                async with _in_time():
                    is_whole = await received.read(WHOLE_BYTES)
                if is_whole:
                    with suppress(TooLong):
                        return await self._whole(ask, reply, received)
                links = self._links_for(reply.content_type)
                return await self._streamed(reply, received, stack, links)

    async def open(self, stack: ExitStack, ask: Ask, coding: str) -> Reply:
        """The reply's header, its body still to be read; `stack` closes it."""
        ask = self.sending.up_to_date(ask)
        question = Question(
            ask.method,
            self._origin + ask.target,
            self._fields(ask, coding),
            self._counted(ask.body),
        )
        return await self.sending.send(stack, ask, question)

    def reading(self, ask: Ask) -> AbstractContextManager[None]:
        """Around what is made of an answer's body: where it is none, that is Trello's failure."""
        return self.sending.reading(ask)

    async def hold(self, ask: Ask, reply: Reply) -> Whole:
        """A reply's short body, whole: a refusal's sentence; Unusable where it is none."""
        with ExitStack() as stack:
            received = self._received(reply, stack)
            if await received.read(_REFUSAL_BYTES):
                with suppress(TooLong):
                    return await self._whole(ask, reply, received)
        raise Unusable("Trello refused, at a length that is no sentence.")

    async def stream(self, reply: Reply, stack: ExitStack) -> Streamed:
        """A file as it arrives; what `stack` holds is its to close then."""
        return await self._streamed(reply, self._received(reply, stack), stack, None)

    def conceal(self, credential: Credential) -> None:
        """Mask this one too, from here on."""
        self._scrubber.learn((credential.key, credential.token))

    def tells_secret(self, text: str) -> bool:
        """Whether our credential stands there."""
        return self._scrubber.found_in(text)

    def clean(self, reply: Reply) -> Fields:
        """The fields that may reach a client."""
        fields = field_policy.to_client(reply.fields)
        if not self._scrubber.found_in("\n".join(chain.from_iterable(fields))):
            return fields
        scrub = self._scrubber.text
        return tuple((scrub(name), scrub(value)) for name, value in fields)

    def _fields(self, ask: Ask, coding: str) -> Fields:
        names = {name.lower() for name, _ in ask.fields}
        return (
            *ask.fields,
            *(() if "accept" in names else (("Accept", "*/*"),)),
            *(() if "user-agent" in names else (("User-Agent", self._via),)),
            ("Accept-Encoding", coding),
            ("Via", f"1.1 {self._via}"),
            ("Authorization", authorization(ask.credential)),
        )

    def _counted(self, body: Body) -> Body:
        if isinstance(body, bytes):
            count(self._metrics.upstream_bytes, "sent", len(body))
            return body
        return None if body is None else self._count_chunks(body)

    async def _count_chunks(self, body: AsyncIterator[bytes]) -> AsyncGenerator[bytes, None]:
        async for chunk in body:
            count(self._metrics.upstream_bytes, "sent", len(chunk))
            yield chunk

    def _received(self, reply: Reply, stack: ExitStack) -> Received:
        received = Received(reply, self._metrics, self._memory)
        stack.callback(received.release)
        return received

    async def _whole(self, ask: Ask, reply: Reply, received: Received) -> Whole:
        """The answer, clean; TooLong where its identity form is too long to be held."""
        found = await self._cleaned(reply, received)
        self._metrics.scrubbed += found.was_scrubbed
        whole = Whole(
            status=reply.status,
            fields=_without_coding(self.clean(reply)),
            content_type=self._scrubber.text(reply.content_type),
            body=found.body,
            plain=found.plain,
            gzip=found.gzip,
            length_known=reply.length_known,
        )
        _check(ask, whole)
        return whole

    async def _cleaned(self, reply: Reply, received: Received) -> Representation:
        """Both forms of the body, without secrets, and with attachment links of ours (D4)."""
        body, gzip = received.whole(), is_gzip(reply)
        if gzip and not received.may_hold(min(identity_length(body), MAX_PLAIN_BYTES)):
            raise TooLong("no room for the identity form")
        links = self._links_for(reply.content_type)
        cleaning = Cleaning(self._scrubber, links, self._clock.now())
        try:
            if is_long(body, gzip=gzip):
                return await asyncio.to_thread(cleaning.of, body, gzip=gzip)
            return cleaning.of(body, gzip=gzip)
        except TooLong:
            raise
        except BadCoding as error:
            raise Incomplete("Trello's answer was cut or damaged; try again later.") from error

    def _links_for(self, content_type: str) -> Links | None:
        """What rewrites the links of a response: of JSON, and of scripts made of JSON."""
        media_type = content_type.partition(";")[0].strip().lower()
        return self._links if media_type.endswith(("json", "javascript")) else None

    async def _streamed(
        self, reply: Reply, received: Received, stack: ExitStack, links: Links | None
    ) -> Streamed:
        gzip = is_gzip(reply)
        chunks = self._chunks(received, stack.pop_all(), Gunzip() if gzip else None)
        await anext(chunks)  # a generator that has not begun closes nothing when it is closed
        if links is not None:
            chunks = _linked_chunks(chunks, links.stream(self._clock.now()))
            await anext(chunks)
        return Streamed(
            status=reply.status,
            fields=_without_coding(self.clean(reply)),
            chunks=chunks,
            length=None if gzip or links is not None else reply.length,
        )

    async def _chunks(
        self, received: Received, stack: ExitStack, inflater: Gunzip | None
    ) -> AsyncGenerator[bytes, None]:
        scrub = self._scrubber.stream()
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
            except BadCoding as error:
                raise Incomplete("Trello's answer was cut or damaged.") from error


def _check(ask: Ask, whole: Whole) -> None:
    """Unusable where something between refuses with a page of its own what Trello knows."""
    is_known = ask.match.route.template != UNKNOWN
    if is_known and is_page_of_another(whole.status, whole.content_type, whole.plain):
        raise Unusable(f"A page with status {whole.status} came for Trello's answer; try again.")


@asynccontextmanager
async def _in_time() -> AsyncIterator[None]:
    """Around the reading of a body; Incomplete when it drips for too long."""
    try:
        async with asyncio.timeout(WHOLE_S):
            yield
    except TimeoutError as error:
        raise Incomplete("Trello's answer took too long to arrive; try again later.") from error


async def _linked_chunks(
    chunks: AsyncGenerator[bytes, None], links: LinkStream
) -> AsyncGenerator[bytes, None]:
    try:
        yield b""
        async for chunk in chunks:
            yield links.feed(chunk)
        yield links.finish()
    finally:
        await chunks.aclose()


def is_gzip(reply: Reply) -> bool:
    """Whether it is to be inflated; Unusable where it came in a coding that we do not know."""
    if reply.coding in {"gzip", "x-gzip"}:
        return True
    if reply.coding in {"identity", ""}:
        return False
    raise Unusable("Trello's answer came in a coding that was not asked for; try again later.")


def _without_coding(fields: Fields) -> Fields:
    return tuple(field for field in fields if field[0].lower() != "content-encoding")
