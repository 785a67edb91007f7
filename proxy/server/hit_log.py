"""Hit log: hits of the fast path that are not yet in the log and the metrics.

A hit costs one tuple. Hits are recorded together: before any other request is handled, before any
other line of the log, whenever the log is flushed, and when there are MAX_PENDING of them. So the
log has its lines in order, and a page shows figures that include every earlier hit.
"""

from collections import Counter
from dataclasses import dataclass

from proxy.observability.log import Log, RepeatedLine, RequestLine
from proxy.observability.metrics import WINDOW_S, Metrics, RequestCounter
from proxy.server.request_context import Counter as UsageCounter
from proxy.server.request_context import RequestContext

MAX_PENDING = 64
"""Hits recorded together: so few that the next request hardly waits for it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class HitLabels:
    """What the records of all hits of one request header have in common."""

    template: str
    """Of the log line."""
    address: str
    """The client's; empty: the peer's."""
    client: str
    """The client's name in metrics."""
    counter: RequestCounter
    usages: tuple[UsageCounter, ...]
    """Counters of the client key or the credentials that the header carries."""


class HitLog:
    """Records hits in the log and the metrics, in the order in which they were served."""

    def __init__(self, log: Log, metrics: Metrics) -> None:
        self._log = log
        self._metrics = metrics
        self._labels: list[HitLabels] = []
        self._lines: list[RepeatedLine] = []
        log.before_line = self.record

    def add(
        self,
        labels: HitLabels,
        peer: str,
        request_id: str,
        duration_s: float,
        now: float,
        sent_bytes: int,
    ) -> None:
        """Note a hit that was served at `now`, in POSIX seconds, to a peer of this address."""
        lines, client = self._lines, labels.address or peer
        lines.append((labels.template, now, request_id, client, duration_s, sent_bytes))
        self._labels.append(labels)
        if len(lines) >= MAX_PENDING:
            self.record()

    def labels(self, context: RequestContext, status: int) -> HitLabels:
        """The labels of later hits, by the first one."""
        line = RequestLine(
            request_id="",
            client="",
            method="GET",
            route=context.route,
            status=status,
            cache="hit",
            detail=None,
            duration_s=0.0,
            sent_bytes=0,
            user_agent=context.user_agent,
            name=context.client.name,
        )
        return HitLabels(
            template=self._log.template(line),
            address=context.client_address if context.is_forwarded else "",
            client=context.client_name,
            counter=self._metrics.request_counter(context.route, "GET", status, "hit"),
            usages=context.credential_counters,
        )

    def record(self) -> None:
        """Write all noted hits to the log and the metrics."""
        if not self._lines:
            return
        lines, self._lines = self._lines, []
        labels, self._labels = self._labels, []
        self._log.repeat(lines)
        for each, (_, now, request_id, _, duration_s, _) in zip(labels, lines, strict=True):
            each.counter.add(duration_s, request_id, now)
            for usage in each.usages:
                usage.count_one(now)
        stats, windows = self._metrics.client_stats, {line[1] // WINDOW_S for line in lines}
        if len(windows) == 1:
            for client, count in Counter(each.client for each in labels).items():
                stats.count_request(client, lines[-1][1], count)
        else:
            for each, line in zip(labels, lines, strict=True):
                stats.count_request(each.client, line[1])
