"""Chain of writes to Redis: whether its content is what this process left there (D62). Pure.

Every script that writes moves `n` on by one. A smaller `n` than was confirmed means that Redis
lost writes (a restart, a fail-over, an older copy); a larger one than was sent, or another holder
or generation, that another process wrote. Neither is guessed at: such responses are not used.
"""

from dataclasses import dataclass
from enum import StrEnum

SCHEMA = "1"
"""Of keys and values; what another schema left is not read."""


@dataclass(frozen=True, slots=True)
class ServerState:
    """Chain as Redis holds it; empty, and 0, where there is none."""

    holder: str = ""
    gen: str = ""
    n: int = 0
    schema: str = ""
    run_id: str = ""
    """Run id of the server that the chain was begun on or confirmed by."""
    server_run_id: str = ""
    """Run id of the server now; empty where it may not be asked for it."""
    has_epochs: bool = False
    """Whether the epochs of the generation are all there."""
    term: int = 0
    """Of the leader that had it open last; 0 without a fleet."""
    is_handed_over: bool = False
    """Whether that leader said that it has written everything."""


@dataclass(slots=True)
class Chain:
    """Chain as this process knows it."""

    holder: str
    gen: str
    confirmed: int
    sent: int
    """`n` after the last script that was sent, whether or not it was carried out."""

    def covers(self, holder: str, gen: str, n: int, confirmed: int | None = None) -> bool:
        """Whether Redis holds everything that was confirmed, and nothing of another process.

        `confirmed`: what was, when Redis was asked.
        """
        lowest = self.confirmed if confirmed is None else confirmed
        return (holder, gen) == (self.holder, self.gen) and lowest <= n <= self.sent


class Opening(StrEnum):
    """What to do with the content of Redis."""

    KEEP = "keep"
    """It is as this process left it."""
    RESTORE = "restore"
    """It is as an earlier process left it: read it."""
    REASSERT = "reassert"
    """Epochs are missing: keep the responses, and write all epochs again from memory."""
    RENEW = "renew"
    """It cannot be trusted: begin a new generation, so that no response is found."""


def judge_opening(found: ServerState, chain: Chain | None, *, is_behind: bool = False) -> Opening:
    """What to do; `chain` is None in a process that has not had Redis open before.

    Such a process trusts the content only if the server has run ever since: a server that was
    restarted may have lost its newest writes, and there is nothing to compare it with. `is_behind`:
    the process before was killed with invalidations that Redis has not.
    """
    if chain is None:
        is_same_server = found.run_id != "" and found.run_id == found.server_run_id
        is_whole = found.gen != "" and found.schema == SCHEMA and found.has_epochs
        return Opening.RESTORE if is_same_server and is_whole and not is_behind else Opening.RENEW
    if not chain.covers(found.holder, found.gen, found.n):
        return Opening.RENEW
    return Opening.KEEP if found.has_epochs else Opening.REASSERT
