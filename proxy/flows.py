"""The flows of one proxy, built: what the app hands around."""

from dataclasses import dataclass

from proxy.flow.batch import BatchService
from proxy.flow.download import AttachmentService
from proxy.flow.exchange import UpstreamExchange
from proxy.flow.export import BoardExport
from proxy.flow.invalidate import Invalidator
from proxy.flow.own_writes import EchoFilter
from proxy.flow.proof import HitVerifier
from proxy.flow.read_through import ReadThrough
from proxy.flow.watch import BoardPoller
from proxy.flow.write_through import WriteThrough


@dataclass(frozen=True, slots=True, kw_only=True)
class Services:
    """Everything that knows an order of things."""

    exchange: UpstreamExchange
    invalidate: Invalidator
    watch: BoardPoller
    reads: ReadThrough
    own_writes: EchoFilter
    writes: WriteThrough
    batches: BatchService
    downloads: AttachmentService
    exports: BoardExport
    proof: HitVerifier
