"""Hit log: hits of the fast path that are not yet in the log and the metrics.

A hit costs one tuple. Hits are recorded together: before any other request is handled, before any
other line of the log, whenever the log is flushed, and when there are MAX_PENDING of them. So the
log has its lines in order, and a page shows figures that include every earlier hit.
"""

from dataclasses import dataclass

from proxy.observability.log import Log, RequestLine
from proxy.observability.metrics import Metrics, RequestCounter
from proxy.server.request_context import Counter, RequestContext

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
    usages: tuple[Counter, ...]
    """Counters of the client key or the credentials that the header carries."""


class HitLog:
    """Records hits in the log and the metrics, in the order in which they were served."""

    def __init__(self, log: Log, metrics: Metrics) -> None:
        self._log = log
        self._metrics = metrics
        self._pending: list[tuple[HitLabels, str, str, float, float]] = []
        log.before_line = self.record

    def add(
        self, labels: HitLabels, peer: str, request_id: str, duration_s: float, now: float
    ) -> None:
        """Note a hit that was served at `now`, in POSIX seconds, to a peer of this address."""
        self._pending.append((labels, peer, request_id, duration_s, now))
        if len(self._pending) >= MAX_PENDING:
            self.record()

    def labels(self, context: RequestContext, status: int, sent_bytes: int) -> HitLabels:
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
            sent_bytes=sent_bytes,
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
        if not self._pending:
            return
        pending, self._pending = self._pending, []
        stats, log = self._metrics.client_stats, self._log
        for labels, peer, request_id, duration_s, now in pending:
            labels.counter.add(duration_s, request_id, now)
            stats.count_request(labels.client, now)
            for usage in labels.usages:
                usage.count_one(now)
            address = labels.address or peer
            log.repeat(labels.template, now, request_id, address, duration_s)
