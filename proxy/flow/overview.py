"""How things are, for the page that tells: the last hour, limits, who asks Trello, what failed."""

from proxy.clock import Clock
from proxy.flow.hour import Hour
from proxy.flow.identity import StoredIdentity
from proxy.flow.turns import Turns
from proxy.metrics import Metrics
from proxy.policy.pages.figures import Budget, Figures, Trouble

_NAMES = {"members": "/1/members/", "search": "/1/search"}
"""What people call a limit of a route's."""


class Overview:
    """Reads what the parts of the proxy know of themselves."""

    def __init__(
        self, metrics: Metrics, turns: Turns, stored: StoredIdentity, clock: Clock
    ) -> None:
        self._hour = Hour(metrics, clock)
        self._metrics = metrics
        self._turns = turns
        self._stored = stored
        self.tick = self._hour.tick

    def figures(self) -> Figures:
        """As they are now."""
        return Figures(
            minutes=self._hour.minutes(),
            budgets=self._budgets(),
            spenders=sorted(self._metrics.tally.spent.items(), key=lambda spent: -spent[1]),
            troubles=[Trouble(*each) for each in reversed(self._metrics.troubles)],
        )

    def _budgets(self) -> list[Budget]:
        """What tools may still ask of Trello in the stored identity."""
        limits, left = self._turns.limits, self._turns.remaining(self._stored.credential)
        rates = {"token": limits.token, "members": limits.members, "search": limits.search}
        return [
            Budget(_NAMES.get(name, name), int(left[name]), rate.count, rate.window_s)
            for name, rate in rates.items()
        ]
