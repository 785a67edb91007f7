"""Scoping factory: builds what serves clients that may not see every board."""

from proxy.app.components import CacheComponents
from proxy.cache.batch import BatchService
from proxy.cache.read_through import ReadThrough
from proxy.cache.scoping.internal_reads import InternalReads
from proxy.cache.scoping.owners import Owners
from proxy.cache.scoping.resolver import ScopeResolver
from proxy.cache.scoping.scoped_batch import ScopedBatch
from proxy.cache.scoping.scoped_service import ScopedService
from proxy.cache.scoping.scoping import Scoping
from proxy.http_semantics.cache_control import NONE
from proxy.server.request_parser import RequestParser


def build_scoping(
    parser: RequestParser, cache: CacheComponents, reads: ReadThrough, batches: BatchService
) -> Scoping:
    """The scopes of all clients, over the services that serve the others."""
    internal = InternalReads(
        reads, lambda target: parser.internal_get(target, NONE), cache.storer.now
    )
    scoped_reads = ScopedService(reads, Owners(cache.aliases, internal), internal)
    return Scoping(
        resolver=ScopeResolver(internal),
        reads=scoped_reads,
        batches=ScopedBatch(scoped_reads, batches),
    )
