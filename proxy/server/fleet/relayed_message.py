"""Relayed message: a client's request, as a node sends it to the leader."""

from dataclasses import dataclass

from aiohttp import web
from multidict import CIMultiDict

from proxy.cache.store.codec import VERSION as STORED_FORM
from proxy.http_semantics.fields import HOP_BY_HOP
from proxy.model import CacheKey
from proxy.server.fleet.envelope import INTERNAL_PREFIX, Envelope
from proxy.server.fleet.peer_client import sendable
from proxy.server.request_body import RequestBody, read_limited, stream_body
from proxy.server.request_context import RequestContext

REPEATABLE_BYTES = 64 * 1024
"""A request body up to this length is kept, so that it can be relayed again."""
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
