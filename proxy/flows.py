"""The flows of one proxy, built: what the app hands around."""

from dataclasses import dataclass

from proxy.flow.batch import Batch
from proxy.flow.download import Download
from proxy.flow.exchange import Exchange
from proxy.flow.export import Export
from proxy.flow.invalidate import Invalidate
from proxy.flow.own_writes import OwnWrites
from proxy.flow.proof import Proof
from proxy.flow.read_through import ReadThrough
from proxy.flow.watch import Watch
from proxy.flow.write_through import WriteThrough


@dataclass(frozen=True, slots=True, kw_only=True)
class Flows:
    """Everything that knows an order of things."""

    exchange: Exchange
    invalidate: Invalidate
    watch: Watch
    reads: ReadThrough
    own_writes: OwnWrites
    writes: WriteThrough
    batches: Batch
    downloads: Download
    exports: Export
    proof: Proof
