"""Local: this node's address and what its flows share."""

from dataclasses import dataclass, field

from proxy.fleet.barrier import BarrierStats
from proxy.fleet.channel import Connector
from proxy.fleet.duties import Duties
from proxy.fleet.election import Election
from proxy.fleet.lease import LeaseStore
from proxy.fleet.members import Members
from proxy.fleet.near import Near
from proxy.fleet.protocol import Hello
from proxy.fleet.witness import Witness
from proxy.observability.log import Level, Log
from proxy.runtime.clock import BootClock


@dataclass(slots=True)
class Local:
    """Shared by the node, its leadership and its session as a follower."""

    hello: Hello
    """How this node introduces itself."""
    store: LeaseStore
    connector: Connector
    duties: Duties
    clock: BootClock
    log: Log
    near: Near
    barriers: BarrierStats = field(init=False, default_factory=BarrierStats)
    election: Election = field(init=False)
    members: Members = field(init=False)
    witness: Witness = field(init=False, default_factory=Witness)
    known_term: int = 0
    """The largest term of which this node knows."""
    is_given: bool = False
    """Whether the leader is given, not elected: its term has no end but its process's (D74)."""

    def __post_init__(self) -> None:
        self.election = Election(self.clock.boottime())
        self.members = Members(self.address)

    def event(self, level: Level, message: str, **fields: str | float) -> None:
        """Log who leads or follows, unless that is given."""
        if not self.is_given:
            self.log.event(level, message, **fields)

    def apart_in_s(self) -> float | None:
        """As Election.apart_in_s; None also where the leader is given, which is waited for."""
        return None if self.is_given else self.election.apart_in_s(self.now)

    @property
    def address(self) -> str:
        """Where other nodes reach this one."""
        return self.hello.address

    @property
    def now(self) -> float:
        """CLOCK_BOOTTIME."""
        return self.clock.boottime()
