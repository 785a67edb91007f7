"""Internal reads: JSON that the proxy needs to decide what a client may see."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import NamedTuple

from proxy.cache.read_through import ReadThrough
from proxy.errors import InvalidResponse, OutsideScope
from proxy.http_semantics.cache_control import Directives
from proxy.http_semantics.content import identity_of
from proxy.model import RequestTime
from proxy.trello.failures import is_upstream_failure
from proxy.trello.message import ApiRequest, ApiResponse

_REVALIDATE = Directives(no_cache=True)


class Found(NamedTuple):
    """A response of Trello's to an internal read."""

    status: int
    body: bytes
    """In its identity form."""
    etag: str
    """Of a stored response; empty for another."""
    requested: RequestTime


@dataclass(frozen=True, slots=True)
class InternalReads:
    """Sends reads of the proxy's own, in the turn of the client that waits for them."""

    reads: ReadThrough
    make_get: Callable[[str], ApiRequest]
    """A GET of a target with the stored credential."""
    now: Callable[[], RequestTime]

    async def read(self, target: str, client: ApiRequest, *, fresh: bool = False) -> Found:
        """The response; `fresh` requests it anew. UpstreamError, NotInCache."""
        own = client.directives
        directives = Directives(only_if_cached=own.only_if_cached, max_stale=own.max_stale)
        if fresh and not own.only_if_cached:
            directives = _REVALIDATE
        request = replace(
            self.make_get(target),
            client=client.client,
            client_name=client.client_name,
            directives=directives,
            priority=client.priority,
            queue_key=client.queue_key,
            timing=client.timing,
        )
        now = self.now()
        response = await self.reads.serve(request)
        body = await body_of(response)
        if is_upstream_failure(response.status, body, own=True):
            raise InvalidResponse(f"Trello answered {response.status}; try again in a minute.")
        stored = response.stored
        if stored is None:
            return Found(response.status, body, "", now)
        return Found(response.status, body, stored.etag, stored.requested)


async def body_of(response: ApiResponse) -> bytes:
    """The identity form of a body; OutsideScope for one that is too long to be held."""
    if isinstance(response.body, bytes):
        return identity_of(response.body, gzip=response.gzip)
    await response.body.aclose()
    raise OutsideScope("Trello's response is too long to be checked; ask for less.")
