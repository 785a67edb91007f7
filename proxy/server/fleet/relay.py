"""Relay: a client's request as it was received, to the leader, and the leader's response back.

A node that cannot reach the leader relays to another follower, which relays it to the leader.
"""

import asyncio
import re
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import partial

import aiohttp
from aiohttp import web
from msgspec.structs import replace as with_values

from proxy.attachments.store.shared_file import FileOffer
from proxy.attachments.stored_files import StoredFiles
from proxy.cache.store.codec import loads
from proxy.errors import IncompleteResponse
from proxy.fleet.errors import LeaderLost, NoLeader
from proxy.fleet.near import Given, Near, NearResponse
from proxy.fleet.node import Leader, Node
from proxy.http_semantics.fields import HOP_BY_HOP
from proxy.model import CacheKey
from proxy.observability.metrics import Histogram
from proxy.runtime.clock import BootClock
from proxy.server.fleet.collapser import Collapser
from proxy.server.fleet.envelope import (
    INTERNAL_PREFIX,
    RESULT_FIELD,
    Result,
    parse_result,
)
from proxy.server.fleet.file_copies import FileCopies
from proxy.server.fleet.peer_client import PeerClient, PeerLost, PeerUnreachable
from proxy.server.fleet.relayed_message import RelayedMessage, relayed_message
from proxy.server.fleet.session_bound import IDLE_S, SessionBound
from proxy.server.handlers.api import render_stored
from proxy.server.request_context import RequestContext
from proxy.server.response import WireResponse
from proxy.trello.message import BodyStream

RETRY_S = 0.1
"""Before a request is sent again."""
SHARED_BYTES = 256 * 1024
"""A response body up to this length is received whole before any of it is sent."""
_FILE = re.compile(r"/1/[^?]*/download")
"""Of the target of each file."""


@dataclass(frozen=True, slots=True)
class _Received:
    """The leader's response."""

    status: int
    head: bytes
    body: bytes | BodyStream
    length: int | None
    result: Result
    kept: NearResponse | None = None
    """The body, if it came in stored form."""

    def note(self, context: RequestContext, *, was_shared: bool) -> None:
        """Give `context` what the leader says of the response."""
        result, outcome = self.result, self.result.outcome
        context.route = result.route
        context.outcome = replace(outcome, collapsed=True) if was_shared else outcome
        context.timing.queue_s, context.timing.upstream_s = result.queue_s, result.upstream_s
        context.timing.was_sent = result.was_sent
        if result.client:
            context.client = replace(context.client, name=result.client, source="key")


class Relay:
    """Relays to the leader, as long as this node has a session with it."""

    def __init__(
        self,
        node: Node,
        client: PeerClient,
        near: Near,
        clock: BootClock,
        *,
        bound: SessionBound,
        wait_s: Callable[[], float],
        files: StoredFiles | FileCopies | None,
    ) -> None:
        """`wait_s`: for the next leader. `files`: the leader's on this machine, or copies."""
        self.results: Counter[str] = Counter(dict.fromkeys(("ok", "shared", *_LABELS.values()), 0))
        """Relayed requests by result, for the metrics."""
        self.durations = Histogram()
        """Time until the leader's response was received, for the metrics."""
        self._node = node
        self._client = client
        self._near = near
        self._files = files
        self._clock = clock
        self._collapser: Collapser[_Received] = Collapser()
        self._bound = bound
        self._wait_s = wait_s

    def start(self) -> None:
        """Watch the session with the leader."""
        self._bound.start()

    async def stop(self) -> None:
        """End every connection."""
        await self._bound.stop()
        await self._client.close()

    async def send(
        self, leader: Leader, message: RelayedMessage, context: RequestContext
    ) -> WireResponse:
        """The leader's response.

        NoLeader: it did nothing with the request. PeerUnreachable: nothing was sent. LeaderLost:
        a write was sent. PeerLost: a read was.
        """
        context.is_relayed = True
        if message.method == "GET" and _FILE.match(message.target):
            message = self._for_file(leader, message, is_first=True)
        try:
            if message.shared_by is None:
                received, was_shared = await self._send(leader, message, context), False
            else:
                received, was_shared = await self._collapser.run(
                    (leader, message.shared_by),
                    partial(self._send, leader, message, context),
                    lambda each: each.result.offer is not None or isinstance(each.body, bytes),
                )
            received = await self._with_file(
                leader, message, context, received, was_shared=was_shared
            )
        except BaseException as error:
            self.results[_LABELS.get(type(error), "failed")] += 1
            raise
        self.results["shared" if was_shared else "ok"] += 1
        received.note(context, was_shared=was_shared)
        kept = received.kept
        if kept is None:
            return WireResponse(received.status, received.head, received.body, received.length)
        memory, now = self._near.store.memory, self._clock.now()
        response = render_stored(message.fields, context.hold, kept, memory, now)
        response.dynamic_headers += received.head
        return response

    async def pass_on(
        self, leader: Leader, request: web.BaseRequest, context: RequestContext, *, is_admin: bool
    ) -> WireResponse:
        """The leader's response to a request that another node relayed to this one.

        NoLeader: nothing was sent, or only a read. LeaderLost: a write was sent.
        """
        message = await relayed_message(request, context, is_admin=is_admin)
        try:
            return await self.send(leader, message, context)
        except (PeerUnreachable, PeerLost):
            raise NoLeader from None

    async def _send(
        self, leader: Leader, message: RelayedMessage, context: RequestContext
    ) -> _Received:
        try:
            async with self._bound.until_lost(leader):
                return await self._exchange(leader, message, context)
        except (PeerLost, TimeoutError):
            if message.body.failure is not None:
                raise message.body.failure from None
            raise (PeerLost if message.is_safe else LeaderLost) from None

    def _for_file(
        self, leader: Leader, message: RelayedMessage, *, is_first: bool = False
    ) -> RelayedMessage:
        """The same, in which this process says how it can send a file itself."""
        copies = self._files if isinstance(self._files, FileCopies) else None
        may_copy = copies is not None and copies.are_possible and not leader.through
        is_lacking = copies is not None and copies.lacks(message.target)
        envelope = with_values(
            message.envelope,
            takes_file=isinstance(self._files, StoredFiles),
            takes_offer=may_copy,
            lacks_file=may_copy and is_first and is_lacking and "Range" not in message.fields,
        )
        return replace(message, envelope=envelope)

    async def _with_file(
        self,
        leader: Leader,
        message: RelayedMessage,
        context: RequestContext,
        received: _Received,
        *,
        was_shared: bool,
    ) -> _Received:
        """The same response with its file; of one that cannot be opened, it is requested again."""
        file, offer = received.result.file, received.result.offer
        if offer is not None and isinstance(self._files, FileCopies):
            permit = partial(self._permit_again, message, context)
            response = None
            if isinstance(received.body, RelayedBody) and not was_shared:
                response = received.body.response
            copy = await self._files.open(offer, leader, permit, response)
            length = None if offer.end is None else offer.end - offer.start
            return replace(received, body=copy, length=length)
        if file is None or not isinstance(self._files, StoredFiles):
            return received
        body = await self._files.open(file)
        if body is not None:
            return replace(received, body=body, length=file.end - file.start)
        envelope = with_values(message.envelope, takes_file=False)
        return await self._send(leader, replace(message, envelope=envelope), context)

    async def _permit_again(
        self, message: RelayedMessage, context: RequestContext, offer: FileOffer
    ) -> tuple[Leader, FileOffer]:
        """The leader, and its offer of the same file; NoLeader, IncompleteResponse."""
        deadline = self._clock.boottime() + self._wait_s()
        while True:
            leader = await self._node.wait_for_leader(deadline)
            with suppress(NoLeader, PeerLost, PeerUnreachable):
                received = await self._send(leader, self._for_file(leader, message), context)
                break
            if self._clock.boottime() + RETRY_S >= deadline:
                raise NoLeader
            await self._clock.sleep(RETRY_S)
        if not isinstance(received.body, bytes):
            await received.body.aclose()
        other = received.result.offer
        if other is None or not offer.is_continued_by(other):
            raise IncompleteResponse("The next leader does not have the same file; ask again.")
        return leader, other

    async def _exchange(
        self, leader: Leader, message: RelayedMessage, context: RequestContext
    ) -> _Received:
        request = message.method, message.target, message.fields.copy()
        content, began = message.body.content, self._clock.boottime()
        receiver, envelope = leader.address, message.envelope
        if leader.through:
            receiver, envelope = (
                leader.through,
                with_values(envelope, is_for_leader=True, stored_form=0),
            )
        response = await self._client.send(receiver, request, envelope, content)
        try:
            result = _result_of(response)
            received = await self._receive(message.method, response, result, context)
        except BaseException:
            response.close()
            raise
        took_s = self._clock.boottime() - began
        self.durations.observe(took_s)
        if result.given is None or message.near_key is None:
            return received
        return self._keep(message.near_key, received, result.given, took_s)

    def _keep(self, key: CacheKey, received: _Received, given: Given, took_s: float) -> _Received:
        """Keep what came in stored form; PeerLost if it is damaged."""
        row = received.body
        stored = loads(given.key, row) if isinstance(row, bytes) else None
        if stored is None:
            raise PeerLost
        kept = self._near.keep(key, stored, given, took_s)
        return replace(received, body=kept.body, kept=kept)

    async def _receive(
        self,
        method: str,
        response: aiohttp.ClientResponse,
        result: Result,
        context: RequestContext,
    ) -> _Received:
        length, body = response.content_length, RelayedBody(response)
        head = b"".join(
            b"%b: %b\r\n" % (name, value)
            for name, value in response.raw_headers
            if not _is_dropped(name.decode("ascii", "replace").lower())
        )
        if method == "HEAD" or response.status in {204, 304}:
            return _Received(response.status, head, body, length, result)
        is_copied = result.offer is not None and length != 0
        if length is None or is_copied or (length > SHARED_BYTES and result.given is None):
            return _Received(response.status, head, body, length, result)
        context.hold.take("responses", length)
        try:
            content = await response.read()
        except (aiohttp.ClientError, OSError):
            raise PeerLost from None
        return _Received(response.status, head, content, length, result)


class RelayedBody:
    """A response body while it is received from the leader."""

    def __init__(self, response: aiohttp.ClientResponse) -> None:
        self.response = response

    async def __aiter__(self) -> AsyncIterator[bytes]:
        content = self.response.content
        try:
            while True:
                async with asyncio.timeout(IDLE_S):
                    chunk = await content.readany()
                if not chunk:
                    return
                yield chunk
        except (aiohttp.ClientError, OSError, TimeoutError):
            raise LeaderLost from None

    async def aclose(self) -> None:
        """Give the connection back; one that has more to send is closed."""
        with suppress(aiohttp.ClientError, OSError):
            if self.response.content.at_eof():
                self.response.release()
            else:
                self.response.close()


def _result_of(response: aiohttp.ClientResponse) -> Result:
    """What the leader says of its response; NoLeader: it did nothing. PeerLost: it is no node's."""
    result = parse_result(response.headers.getall(RESULT_FIELD, [""])[-1])
    if result is None:
        raise PeerLost
    if result.is_moved:
        raise NoLeader
    return result


def _is_dropped(name: str) -> bool:
    return name in HOP_BY_HOP or name == "content-length" or name.startswith(INTERNAL_PREFIX)


_LABELS: dict[type[BaseException], str] = {
    NoLeader: "moved",
    LeaderLost: "lost",
    PeerLost: "lost",
    PeerUnreachable: "unreachable",
    asyncio.CancelledError: "cancelled",
}
