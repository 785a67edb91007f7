"""Term: one node's time as leader, and whether it may act. Pure; times are of CLOCK_BOOTTIME.

It acts while its last renewal of the lease is younger than the lease, or, while Redis does not
respond, as long as every other member has promised not to run. Once it does not act it never does
again in this term: another node may have taken over.
"""

from collections.abc import Collection

from proxy.fleet.consent import Consent
from proxy.fleet.timing import LEASE_S, SEND_MARGIN_S


class Term:
    """Validity of a leader."""

    def __init__(self, number: int, acquired_at: float) -> None:
        """`acquired_at`: when the command that took the lease was sent."""
        self.number = number
        self.consent = Consent()
        self._valid_until = acquired_at + LEASE_S - SEND_MARGIN_S
        self._is_over = False

    def acts(self, now: float, others: Collection[str]) -> bool:
        """Whether this node may decide now; `others`: all other members."""
        if self._is_over:
            return False
        return now < self._valid_until or self.consent.is_unanimous(now, others)

    def has_lease(self, now: float) -> bool:
        """Whether it acts by the lease, without consent."""
        return not self._is_over and now < self._valid_until

    def renewed(self, sent_at: float, now: float, others: Collection[str]) -> None:
        """Redis confirmed a renewal sent at `sent_at`."""
        if not self.acts(now, others):
            self.end()
            return
        self._valid_until = max(self._valid_until, sent_at + LEASE_S - SEND_MARGIN_S)

    def promised(self, address: str, number: int, now: float, others: Collection[str]) -> bool:
        """Another member keeps its promise; whether it counts."""
        if not self.acts(now, others):
            self.end()
            return False
        return self.consent.give(address, number)

    def end(self) -> None:
        """The lease was lost, or is handed over."""
        self._is_over = True
