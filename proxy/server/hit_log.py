"""Hit log: hits of the fast path that are not yet in the log and the metrics.

A hit costs one tuple. Hits are recorded together: before any other request is handled, before any
other line of the log, whenever the log is flushed, and when there are MAX_PENDING of them, after
the responses to what has arrived. So the log has its lines in order, and a page shows figures that
include every earlier hit.
"""

import asyncio
from collections import defaultdict
from dataclasses import dataclass
from functools import lru_cache

from proxy.observability.log import LineTemplate, Log, RepeatedLine, RequestLine
from proxy.observability.metrics import WINDOW_S, Metrics, RequestCounter
from proxy.server.request_context import Counter as UsageCounter
from proxy.server.request_context import RequestContext

MAX_PENDING = 64
"""Hits recorded together, and one more for each other connection: so few that the next request
hardly waits for it."""


@dataclass(frozen=True, slots=True, eq=False)
class HitLabels:
    """What the records of many hits have in common; the same object for equal ones."""

    template: LineTemplate
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
        self._shared = lru_cache(maxsize=1024)(HitLabels)
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
        if len(lines) == MAX_PENDING:
            asyncio.get_running_loop().call_soon(self.record)

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
        return self._shared(
            self._log.template(line),
            context.client_address if context.is_forwarded else "",
            context.client_name,
            self._metrics.request_counter(context.route, "GET", status, "hit"),
            context.credential_counters,
        )

    def record(self) -> None:
        """Write all noted hits to the log and the metrics."""
        if not self._lines:
            return
        lines, self._lines = self._lines, []
        labels, self._labels = self._labels, []
        self._log.repeat(lines)
        by_labels = defaultdict[HitLabels, list[RepeatedLine]](list)
        for each, line in zip(labels, lines, strict=True):
            by_labels[each].append(line)
        for each, several in by_labels.items():
            each.counter.add_all([(line[2], line[4], line[1]) for line in several])
            for usage in each.usages:
                usage.use(several[-1][1], len(several))
        stats = self._metrics.client_stats
        if lines[0][1] // WINDOW_S == lines[-1][1] // WINDOW_S:
            for each, several in by_labels.items():
                stats.count_request(each.client, several[-1][1], len(several))
        else:
            for each, line in zip(labels, lines, strict=True):
                stats.count_request(each.client, line[1])
