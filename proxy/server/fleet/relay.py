"""Relay: a client's request as it was received, to the leader, and the leader's response back.

A node that cannot reach the leader relays to another follower, which relays it to the leader.
"""

import asyncio
import re
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import partial

import aiohttp
from aiohttp import web
from msgspec.structs import replace as with_values
from multidict import CIMultiDict

from proxy.attachments.stored_files import StoredFiles
from proxy.cache.store.codec import VERSION as STORED_FORM
from proxy.cache.store.codec import loads
from proxy.fleet.errors import LeaderLost, NoLeader
from proxy.fleet.near import Given, Near, NearResponse
from proxy.fleet.node import Leader, Node
from proxy.http_semantics.fields import HOP_BY_HOP
from proxy.model import CacheKey
from proxy.observability.metrics import Histogram
from proxy.runtime.clock import BootClock
from proxy.runtime.tasks import TaskSet
from proxy.server.fleet.collapser import Collapser
from proxy.server.fleet.envelope import (
    INTERNAL_PREFIX,
    RESULT_FIELD,
    Envelope,
    Result,
    parse_result,
)
from proxy.server.fleet.peer_client import PeerClient, PeerLost, PeerUnreachable, sendable
from proxy.server.handlers.api import render_stored
from proxy.server.request_body import RequestBody, read_limited, stream_body
from proxy.server.request_context import RequestContext
from proxy.server.response import WireResponse
from proxy.trello.message import BodyStream

REPEATABLE_BYTES = 64 * 1024
"""A request body up to this length is kept, so that it can be relayed again."""
SHARED_BYTES = 256 * 1024
"""A response body up to this length is received whole before any of it is sent."""
IDLE_S = 60.0
"""A longer response body that does not go on for this long has ended."""
_FILE = re.compile(r"/1/[^?]*/download")
"""Of the target of each file."""
_SAFE = frozenset({"GET", "HEAD"})
_NOT_RELAYED = HOP_BY_HOP | {"content-length", "expect"}


@dataclass(frozen=True, slots=True)
class RelayedMessage:
    """A client's request, as far as it is relayed."""

    method: str
    target: str
    fields: CIMultiDict[str]
    envelope: Envelope
    body: RequestBody
    shared_by: tuple[object, ...] | None
    """Equal for requests that may share a response; None if this one may not."""
    near_key: CacheKey | None = None
    """Of this node's near cache; None if the response may not be kept there."""

    @property
    def is_safe(self) -> bool:
        """Whether it may be sent twice."""
        return self.method in _SAFE

    @property
    def is_repeatable(self) -> bool:
        """Whether its body, if any, is in memory."""
        return isinstance(self.body.content, bytes | None)


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


async def relayed_message(
    request: web.BaseRequest,
    context: RequestContext,
    *,
    is_admin: bool,
    near_key: CacheKey | None = None,
) -> RelayedMessage:
    """The message of a client's request; ClientError for a target or body that is not accepted."""
    client = context.client
    envelope = Envelope(
        request_id=context.request_id,
        peer=request.remote or "",
        address=context.client_address,
        name=client.name,
        source=client.source,
        is_forwarded=context.is_forwarded,
        is_admin=is_admin,
        stored_form=STORED_FORM if near_key is not None else 0,
    )
    body = await _body_of(request, context)
    fields = _fields_of(request, body)
    is_plain_read = request.method == "GET" and not request.body_exists
    shared_by: tuple[object, ...] | None = None
    if is_plain_read and request.raw_path.startswith("/1/") and not is_admin:
        shared_by = (request.raw_path, request.raw_headers, client.source, client.name)
    target = sendable(request.raw_path)
    return RelayedMessage(request.method, target, fields, envelope, body, shared_by, near_key)


async def _body_of(request: web.BaseRequest, context: RequestContext) -> RequestBody:
    if not request.body_exists:
        return RequestBody()
    length = request.content_length
    if length is not None and length <= REPEATABLE_BYTES:
        return RequestBody(content=await read_limited(request, context.hold, REPEATABLE_BYTES))
    return await stream_body(request, context.hold)


def _fields_of(request: web.BaseRequest, body: RequestBody) -> CIMultiDict[str]:
    """Those that the leader decides by; a Connection field hides none of them from it."""
    fields: CIMultiDict[str] = CIMultiDict(
        (name, value.encode("utf-8", "replace").decode())
        for name, value in request.headers.items()
        if (lower := name.lower()) not in _NOT_RELAYED and not lower.startswith(INTERNAL_PREFIX)
    )
    fields.setdefault("Host", "")  # aiohttp would name the leader's address
    if body.length is not None:
        fields["Content-Length"] = str(body.length)
    return fields


class Relay:
    """Relays to the leader, as long as this node has a session with it."""

    def __init__(
        self,
        node: Node,
        client: PeerClient,
        near: Near,
        clock: BootClock,
        files: StoredFiles | None = None,
    ) -> None:
        """`files`: the leader's, where they are on this machine."""
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
        self._running: dict[Leader, set[asyncio.Timeout]] = {}
        self._tasks = TaskSet()

    def start(self) -> None:
        """Watch the session with the leader."""
        self._tasks.spawn(self._end_lost())

    async def stop(self) -> None:
        """End every connection."""
        await self._tasks.stop()
        await self._client.close()

    async def send(
        self, leader: Leader, message: RelayedMessage, context: RequestContext
    ) -> WireResponse:
        """The leader's response.

        NoLeader: it did nothing with the request. PeerUnreachable: nothing was sent. LeaderLost:
        a write was sent. PeerLost: a read was.
        """
        context.is_relayed = True
        if self._files is not None and message.method == "GET" and _FILE.match(message.target):
            envelope = with_values(message.envelope, takes_file=True)
            message = replace(message, envelope=envelope)
        try:
            if message.shared_by is None:
                received, was_shared = await self._send(leader, message, context), False
            else:
                received, was_shared = await self._collapser.run(
                    (leader, message.shared_by),
                    partial(self._send, leader, message, context),
                    lambda each: isinstance(each.body, bytes),
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
        if not self._node.reaches(leader):
            raise PeerUnreachable  # no later change would end this relay
        try:
            async with asyncio.timeout(None) as until_lost:
                running = self._running.setdefault(leader, set())
                running.add(until_lost)
                try:
                    return await self._exchange(leader, message, context)
                finally:
                    running.discard(until_lost)
                    if not running and self._running.get(leader) is running:
                        del self._running[leader]
        except (PeerLost, TimeoutError):
            if message.body.failure is not None:
                raise message.body.failure from None
            raise (PeerLost if message.is_safe else LeaderLost) from None

    async def _exchange(
        self, leader: Leader, message: RelayedMessage, context: RequestContext
    ) -> _Received:
        """The leader's response; of a stored file, requested once more if it cannot be opened."""
        received = await self._exchange_once(leader, message, context)
        file = received.result.file
        if file is None or self._files is None:
            return received
        body = await self._files.open(file)
        if body is not None:
            return replace(received, body=body, length=file.end - file.start)
        envelope = with_values(message.envelope, takes_file=False)
        return await self._exchange_once(leader, replace(message, envelope=envelope), context)

    async def _exchange_once(
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
        if length is None or (length > SHARED_BYTES and result.given is None):
            return _Received(response.status, head, body, length, result)
        context.hold.take("responses", length)
        try:
            content = await response.read()
        except (aiohttp.ClientError, OSError):
            raise PeerLost from None
        return _Received(response.status, head, content, length, result)

    async def _end_lost(self) -> None:
        """End the relays to a leader whose session is over: it may never respond.

        Those through a follower that is not needed any more have time to end.
        """
        loop = asyncio.get_running_loop()
        while True:
            for leader, running in [*self._running.items()]:
                if self._node.reaches(leader):
                    continue
                is_led = self._node.reaches(leader._replace(through=""))
                ends_at = loop.time() + (IDLE_S if is_led else 0)
                for timeout in running:
                    at = timeout.when()
                    if at is None or ends_at < at:
                        timeout.reschedule(ends_at)
            await self._node.wait_for_change()


class RelayedBody:
    """A response body while it is received from the leader."""

    def __init__(self, response: aiohttp.ClientResponse) -> None:
        self._response = response

    async def __aiter__(self) -> AsyncIterator[bytes]:
        content = self._response.content
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
            if self._response.content.at_eof():
                self._response.release()
            else:
                self._response.close()


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
