"""How things are, for the page that tells: the last hour, Trello's limits, and what failed."""

from collections.abc import Callable, Sequence

from proxy.flow.hour import Hour
from proxy.metrics import Metrics
from proxy.policy.pages.figures import Budget, Figures, Trouble


class Overview:
    """Reads what the parts of the proxy know of themselves."""

    def __init__(
        self, hour: Hour, metrics: Metrics, budgets: Callable[[], Sequence[Budget]]
    ) -> None:
        self._hour = hour
        self._metrics = metrics
        self._budgets = budgets

    def figures(self) -> Figures:
        """As they are now."""
        return Figures(
            minutes=self._hour.minutes(),
            budgets=self._budgets(),
            spenders=(),
            troubles=[Trouble(*each) for each in reversed(self._metrics.troubles)],
        )
