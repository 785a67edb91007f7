"""Scoping: what a request's client may see, and the services for clients that may not see all."""

from dataclasses import dataclass, replace

from proxy.access.scope import Scope
from proxy.access.visible import NotVisible, Visible
from proxy.cache.scoping.resolver import ScopeResolver
from proxy.cache.scoping.scoped_batch import ScopedBatch
from proxy.cache.scoping.scoped_service import ScopedService
from proxy.errors import NotInCache, OutsideScope
from proxy.http_semantics.cache_control import Directives
from proxy.trello.message import ApiRequest

_ONLY_IF_CACHED = Directives(only_if_cached=True)


def scope_in_force(request: ApiRequest) -> Scope | None:
    """The client's scope; None for all, and for what a client asks with its own credential."""
    return request.client.scope if request.uses_stored_credential else None


@dataclass(frozen=True, slots=True, kw_only=True)
class Scoping:
    """The scopes of all clients."""

    resolver: ScopeResolver
    reads: ScopedService
    batches: ScopedBatch

    async def visible_to(self, request: ApiRequest) -> Visible | None:
        """What the client may see; None without a scope. UpstreamError, NotInCache."""
        scope = scope_in_force(request)
        return None if scope is None else await self.resolver.resolve(scope, request)

    async def check_known(self, request: ApiRequest) -> None:
        """OutsideScope unless a read is known to be visible; no request is sent (D42)."""
        scope, local = scope_in_force(request), replace(request, directives=_ONLY_IF_CACHED)
        if scope is None:
            return
        try:
            await self.reads.admit(local, await self.resolver.resolve(scope, local))
        except NotVisible:
            raise OutsideScope("It is outside clients.boards and clients.workspaces.") from None
        except NotInCache:
            raise OutsideScope("It is not known on which board this is; request it once.") from None
