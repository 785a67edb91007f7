"""A day, played moment by moment along one way to Trello, every answer held against the truth."""

import asyncio
import heapq
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import count

from proxy.fake_trello.server import FakeTrello
from tests.bench.office import (
    Change,
    Event,
    Page,
    Read,
)
from tests.bench.truth import (
    Oracle,
    Staleness,
    Target,
)
from tests.bench.virtual import VirtualClock, VirtualLoop
from tests.bench.ways import Direct, Heard

_AGAIN_S = 10.0
"""Who is refused tries again when Trello's window is over."""
_REFUSED = frozenset({429, 502})
"""502 is what a page of the proxy's is, when Trello refuses what is needed for it."""
_PATIENCE_S = 60.0
"""So long after the last event everything must have been answered."""


@dataclass(frozen=True, slots=True)
class Figures:
    """What a day along one way came to."""

    name: str
    asked: int
    """Requests of tools and people."""
    reads: int
    """Those of them that were answered with 200, and read something."""
    hits: int
    upstream: int
    """Requests to Trello's API."""
    refused: int
    """How many of them Trello answered with 429."""
    failed: int
    """Requests of tools and people that were refused, and made again."""
    received_bytes: int
    stale: int
    """Answers, parts of batches counted each, that were not true any more."""
    p99_s: float
    """Staleness of the hundredth that is stalest, of all answers."""
    worst_s: float
    worst_signalled_s: float
    unsignalled: int
    """Stale answers of whose changes no board's figures told."""
    stale_own: int
    """Answers that did not show one's own write, made before they were asked for."""
    untrue: int
    """Answers that never were true."""
    marked: int
    """Answers that said themselves that they were stale, since Trello could not be asked."""
    stale_hits_ratio: float
    """Of what was answered without asking, the share that was not true any more."""
    told: str
    """What the way tells of itself."""


class Day:
    """Plays events; what is asked at one moment is answered before the next."""

    def __init__(self, fake_trello: FakeTrello, clock: VirtualClock, oracle: Oracle) -> None:
        self._standin = fake_trello
        self._clock = clock
        self._oracle = oracle
        self._running: set[asyncio.Task[None]] = set()
        self._answered: list[tuple[Event, float, Heard]] = []
        self._again: list[tuple[float, int, Event]] = []
        self._numbers = count()
        self._judged: list[Staleness] = []
        self._asked = self._reads = self._hits = self._failed = 0
        self._judged_hits = self._stale_hits = self._marked = 0

    @staticmethod
    def targets(events: Iterable[Event]) -> Iterator[Target]:
        """Everything that is read and can be held against the truth."""
        for event in events:
            if isinstance(event, Read):
                yield from event.targets

    async def play(self, way: Direct, events: Iterator[Event]) -> None:
        """From the first event to the last answer."""
        for event in events:
            while self._again and self._again[0][0] <= event.at:
                at, _, again = heapq.heappop(self._again)
                await self._at(way, at, again)
            self._asked += isinstance(event, Read | Page) or bool(event.tool)
            await self._at(way, event.at, event)
        ends = self._clock.now() + _PATIENCE_S
        while self._running and not self._clock.run_until(ends):
            await self._rest()
        assert not self._running, "not everything was answered"

    async def figures(self, way: Direct) -> Figures:
        """What it came to."""
        asked = self._standin.request_log
        upstream, refused = asked.total, asked.refused
        stale_s = sorted(each.any_s for each in self._judged)
        return Figures(
            name=way.name,
            asked=self._asked,
            reads=self._reads,
            hits=self._hits,
            upstream=upstream,
            refused=refused,
            failed=self._failed,
            received_bytes=await way.received_bytes(),
            stale=sum(each > 0 for each in stale_s),
            p99_s=stale_s[len(stale_s) * 99 // 100],
            worst_s=stale_s[-1],
            worst_signalled_s=max(each.signalled_s for each in self._judged),
            unsignalled=sum(each.any_s > 0 == each.signalled_s for each in self._judged),
            stale_own=sum(each.own_s > 0 for each in self._judged),
            untrue=sum(not each.was_true for each in self._judged),
            stale_hits_ratio=self._stale_hits / max(1, self._judged_hits),
            marked=self._marked,
            told=await way.told(),
        )

    async def _at(self, way: Direct, at: float, event: Event) -> None:
        while not self._clock.run_until(at):
            await self._rest()
        if isinstance(event, Change) and not event.tool:
            self._standin.trello.edit(event.method, event.path, dict(event.params))
            self._oracle.changed(event.board, event.card, own=False)
            return
        task = asyncio.create_task(self._ask(way, event))
        self._running.add(task)
        await self._rest()

    async def _ask(self, way: Direct, event: Event) -> None:
        began = self._clock.now()
        match event:
            case Read():
                heard = await way.read(event.path, event.tool)
            case Page():
                heard = await way.page(event)
            case _:
                heard = await way.write(event)
        self._answered.append((event, began, heard))

    async def _rest(self) -> None:
        """Let everything come to rest, then look at what was answered: writes first."""
        loop = asyncio.get_running_loop()
        assert isinstance(loop, VirtualLoop)
        await loop.rest(self._is_busy)
        for task in [task for task in self._running if task.done()]:
            self._running.discard(task)
            task.result()
        answered, self._answered = self._answered, []
        for event, began, heard in sorted(answered, key=lambda each: isinstance(each[0], Read)):
            self._take(event, began, heard)

    def _is_busy(self) -> bool:
        seen = self._standin.request_log.requests
        asked = any(not task.done() for task in self._running)
        delivers = not self._standin.deliveries.are_settled
        return asked or delivers or bool(seen and seen[-1].status is None)

    def _take(self, event: Event, began: float, heard: Heard) -> None:
        if heard.status != 200:
            assert heard.status in _REFUSED, (event, heard)
            self._failed += 1
            again = (self._clock.now() + _AGAIN_S, next(self._numbers), event)
            heapq.heappush(self._again, again)
            return
        if isinstance(event, Change):
            self._oracle.changed(event.board, event.card, own=True)
            return
        self._reads += 1
        self._hits += heard.was_kept
        if isinstance(event, Read):
            found = self._oracle.judge(list(event.targets), heard.body, began)
            if heard.is_marked:
                self._marked += 1
                return
            self._judged += found
            if heard.was_kept:
                self._judged_hits += len(found)
                self._stale_hits += sum(each.any_s > 0 for each in found)
