"""Witness: whether this node can vouch for what Redis holds, when it becomes the leader. Pure.

The leader may acknowledge a write that Redis lacks only while every member has promised, and a
promise is the notice of it. So a follower that has not promised since the leader last said that
Redis has everything knows that it does. A node that was not there does not know: after a term
that ended without release it begins with an empty cache. Times are of CLOCK_BOOTTIME.
"""

from proxy.fleet.timing import WITNESS_S, at_most


class Witness:
    """What this node knows of the last leader."""

    def __init__(self) -> None:
        self._term = 0
        self._is_behind = True
        self._at = 0.0

    def received(self, term: int, *, is_behind: bool, now: float) -> None:
        """The leader of `term` (possibly this node) said whether Redis lacks something."""
        self._term, self._is_behind, self._at = term, is_behind, now

    def promised(self) -> None:
        """From now on Redis may lack something."""
        self._is_behind = True

    def is_member(self, term: int, now: float) -> bool:
        """Whether the leader of `term` cannot act without Redis unless this node has promised."""
        return term == self._term and now <= self._at + at_most(WITNESS_S)

    def term(self, now: float) -> int:
        """The term whose leader left everything in Redis; 0: this node cannot say."""
        if self._is_behind or now > self._at + at_most(WITNESS_S):
            return 0
        return self._term
