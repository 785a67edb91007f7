"""How things are, for the page that tells: the last hour, Trello's limits, and what failed."""

from collections.abc import Callable

from proxy.clock import Clock
from proxy.config import Limits
from proxy.flow.hour import Hour
from proxy.metrics import Metrics
from proxy.policy.pages.figures import Budget, Figures, Trouble


class Overview:
    """Reads what the parts of the proxy know of themselves."""

    def __init__(
        self,
        metrics: Metrics,
        limits: Limits,
        remaining: Callable[[], dict[str, float]],
        clock: Clock,
    ) -> None:
        """`remaining`: requests that the stored token may send at once, by limit."""
        self._hour = Hour(metrics, clock)
        self._metrics = metrics
        self._rates = {"token": limits.token, "members": limits.members, "search": limits.search}
        self._remaining = remaining
        self.tick = self._hour.tick

    def figures(self) -> Figures:
        """As they are now."""
        left = self._remaining()
        return Figures(
            minutes=self._hour.minutes(),
            budgets=[
                Budget(name, int(left[name]), rate.count, rate.window_s)
                for name, rate in self._rates.items()
            ],
            troubles=[Trouble(*each) for each in reversed(self._metrics.troubles)],
        )
