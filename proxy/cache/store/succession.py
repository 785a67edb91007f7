"""Succession: how the leader of a fleet takes over the store of another (D65). Pure."""

from dataclasses import dataclass

from proxy.cache.store.redis_chain import ServerState

SEQ_PER_TERM = 1_000
"""A term is a time in ms, so this is how many invalidations a ms has room for."""


@dataclass(frozen=True, slots=True)
class Succession:
    """How a term begins."""

    term: int
    """Fencing token: Redis refuses changes of any lower term from now on."""
    witnessed_term: int
    """The term whose leader this node knows to have left everything in Redis; 0: none."""

    @property
    def first_seq(self) -> int:
        """Larger than the `seq` of any earlier leader, whatever its clock."""
        return self.term * SEQ_PER_TERM

    def trusts(self, found: ServerState) -> bool:
        """Whether the leader that changed Redis last has left all its invalidations there."""
        return found.term != 0 and (found.is_handed_over or found.term == self.witnessed_term)
