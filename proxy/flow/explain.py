"""Why a read was or was not a hit: what would become of it now. It asks nothing upstream.

It says what the flows themselves foresee, each of what it would do.
"""

from collections.abc import Sequence

from proxy.clock import Clock
from proxy.flow.ask import Ask
from proxy.flow.batch import Batch
from proxy.flow.download import Download
from proxy.flow.foresight import Foreseen
from proxy.flow.read_through import ReadThrough
from proxy.flow.turns import Turns
from proxy.model import Fwd, Outcome, Tag
from proxy.policy.cache_status import cache_status
from proxy.policy.explaining import Explained, Kept
from proxy.policy.freshness import age_of
from proxy.policy.tags import stored_tags
from proxy.policy.target import target_of
from proxy.policy.way import Way, way_of
from proxy.store.responses import Responses


class Explain:
    """Answers for one Ask what the next request like it would be told."""

    def __init__(
        self,
        flows: tuple[ReadThrough, Batch, Download],
        turns: Turns,
        responses: Responses,
        clock: Clock,
    ) -> None:
        self._reads, self._batches, self._downloads = flows
        self._turns = turns
        self._responses = responses
        self._clock = clock

    async def of(self, ask: Ask, parts: Sequence[Ask]) -> Explained:
        """`parts`: the reads that a batch lists, where they are plain."""
        match way_of(ask.match, ask.query_names):
            case Way.READ as way:
                foreseen = await self._reads.foresee(ask)
                return self._told(ask, way, foreseen.outcome, foreseen)
            case Way.ATTACHMENT as way:
                foreseen, outcome = await self._downloads.foresee(ask)
                return self._told(ask, way, outcome, foreseen)
            case Way.BATCH as way if parts:
                each, outcome = await self._batches.foresee(parts)
                told = [self._told(one.ask, Way.READ, one.outcome, one) for one in each]
                return self._told(ask, way, outcome, None, told)
            case Way.WRITE as way:
                return self._told(ask, way, Outcome(fwd=Fwd.METHOD))
            case Way.GRANT as way:
                return self._told(ask, way, None)
            case Way.EXPORT | Way.BATCH | Way.BYPASS as way:
                return self._told(ask, way, Outcome(fwd=Fwd.BYPASS))

    def _told(
        self,
        ask: Ask,
        way: Way,
        outcome: Outcome | None,
        foreseen: Foreseen | None = None,
        parts: Sequence[Explained] = (),
    ) -> Explained:
        kept = self._kept(foreseen) if foreseen is not None else None
        return Explained(
            label=f"{ask.means} {target_of(ask.match.segments, '')}",
            route=ask.match.route.template,
            way=way,
            key=foreseen.ask.key if foreseen is not None else "",
            cache_status=cache_status(outcome) if outcome is not None else "",
            kept=kept,
            tags=self._tags(foreseen) if foreseen is not None else (),
            turn=self._turns.foresee(ask) if outcome is not None and outcome.fwd else None,
            parts=tuple(parts),
        )

    def _kept(self, foreseen: Foreseen) -> Kept | None:
        ask, stored = foreseen.ask, foreseen.found.stored
        if stored is None:
            return None
        age_s = age_of(stored.asked_at, self._clock.now())
        lifetimes = self._reads.lifetimes(ask, stored)
        return Kept(
            status=stored.status,
            since=stored.asked_at,
            age_s=age_s,
            size_bytes=len(stored.body),
            lifetimes=lifetimes,
            remaining_s=lifetimes.lifetime_s - age_s,
            is_watched=lifetimes.lifetime_s > ask.match.route.lifetimes.lifetime_s,
            is_outdated=self._responses.is_outdated(stored),
        )

    def _tags(self, foreseen: Foreseen) -> tuple[Tag, ...]:
        """Those of what is stored; else those that its answer will have at least."""
        ask, stored = foreseen.ask, foreseen.found.stored
        if stored is not None:
            return stored.tags
        return stored_tags(ask.match, ask.query_names, b"", self._reads.naming.known(ask))
