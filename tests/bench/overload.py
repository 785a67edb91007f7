"""Five times as much as Trello allows: twelve tools on cold keys, and a person who clicks.

The whole proxy on real sockets, in front of the stand-in with its limits on, on a clock that moves
in steps once nothing happens any more: a minute of Trello's is some seconds here. Run as
`python -m tests.bench.overload [--quick]`; the hits during it are measured on the machine's clock.
"""

import argparse
import asyncio
import random
import secrets
import tempfile
import time
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field, replace
from statistics import median

import aiohttp

from proxy.app.app import App, SystemPorts
from proxy.config.schema import load
from proxy.fake_trello.samples import fill
from proxy.fake_trello.server import FakeTrello
from proxy.model import Credential
from proxy.ratelimit.token_limits import QueuedRequest
from proxy.runtime.clock import (
    BootClock,
    FakeClock,
    SystemClock,
)
from tests.bench.figures import verdict
from tests.bench.rivals import (
    Question,
    Told,
    limit_req,
    no_limiter,
)

KEY, TOKEN = "0123456789abcdef" * 2, "ATTA" + "fedcba98" * 9
TOOLS, FACTOR, PER_WINDOW, WINDOW_S = 12, 5, 100, 10.0
CLICK_S = 4.0
LATENCY_S = 0.1
STEP_S = 0.02
PERSON = "person"
_QUIET = 12
"""Rounds of the loop without a request or an answer: nothing more comes without time passing."""


@dataclass(slots=True)
class Seen:
    """What the clients and the line saw."""

    answered: Counter[str] = field(default_factory=Counter)
    refused: Counter[str] = field(default_factory=Counter)
    person_waits: list[float] = field(default_factory=list)
    """For a page, Trello's own time for its questions included."""
    promises: list[tuple[float, float]] = field(default_factory=list)
    """Foreseen and real waits of those that had their turn."""
    events: int = 0


def questions_of(seconds: float) -> list[Question]:
    """Each tool asks at random moments, all of them FACTOR times the limit; the person clicks."""
    chance, out = random.Random(5), list[Question]()  # noqa: S311 — the same load for everybody
    per_tool = FACTOR * PER_WINDOW / WINDOW_S / TOOLS
    rates = {f"tool {n}": per_tool for n in range(TOOLS)} | {PERSON: 1 / CLICK_S}
    for tool, rate in rates.items():
        at = chance.expovariate(rate)
        while at < seconds:
            out.append(Question(at, tool, len(out)))
            at += chance.expovariate(rate)
    return sorted(out)


@asynccontextmanager
async def running(clock: BootClock) -> AsyncIterator[tuple[App, FakeTrello, aiohttp.ClientSession]]:
    """The proxy in front of the stand-in, and a client without bounds."""
    async with AsyncExitStack() as stack:
        fake_trello = FakeTrello(clock, key=KEY, token=TOKEN, limits=True)
        fill(fake_trello.trello)
        await fake_trello.start()
        stack.push_async_callback(fake_trello.stop)
        directory = stack.enter_context(tempfile.TemporaryDirectory(prefix="trello-proxy-bench-"))
        config = load("{listen: '127.0.0.1:0', freshness: {watch: off}}", "bench", {}, str)
        config = replace(
            config,
            upstream=replace(config.upstream, url=fake_trello.url),
            cache=replace(config.cache, backend="memory", directory=directory),
        )
        ports = SystemPorts(clock=clock, write_log=lambda _: None, random=secrets.token_bytes)
        app = App(config, Credential(KEY, TOKEN), ports)
        stack.push_async_callback(app.stop)
        await app.start()
        connector = aiohttp.TCPConnector(limit=0)
        session = await stack.enter_async_context(aiohttp.ClientSession(connector=connector))
        yield app, fake_trello, session


class Play:
    """All questions through the proxy, on a clock of their own."""

    def __init__(
        self, parts: tuple[App, FakeTrello, aiohttp.ClientSession], clock: FakeClock
    ) -> None:
        self.seen = Seen()
        self._app, self._standin, self._session = parts
        self._clock = clock
        self._line: dict[QueuedRequest, None] = {}
        """Who waited when it was last looked."""

    async def run(self, questions: list[Question], seconds: float) -> None:
        """So many seconds; who waits then is left without an answer."""
        began, coming = self._clock.now(), questions[::-1]
        asking = set[asyncio.Task[None]]()
        while (passed := self._clock.now() - began) < seconds:
            while coming and coming[-1].at <= passed:
                asking.add(asyncio.create_task(self._ask(coming.pop())))
            await self._settle()
            self._note()
            self._clock.advance(STEP_S)
        for task in asking:
            task.cancel()
        ended = await asyncio.gather(*asking, return_exceptions=True)
        failed = [each for each in ended if isinstance(each, Exception)]
        assert not failed, failed[:3]

    async def _ask(self, request: Question) -> None:
        board = self._standin.trello.example_board
        target = f"/1/boards/{board}/lists?_={request.number}"
        fields = {"User-Agent": request.tool}
        if request.tool == PERSON:
            target = page_of(self._standin, request.number)
            fields = {"Accept": "text/html", "Cache-Control": "no-cache"}
        at = self._clock.now()
        async with self._session.get(self._app.public_url + target, headers=fields) as response:
            await response.read()
        self.seen.events += 1
        if response.status != 200:
            self.seen.refused[request.tool] += 1
            return
        self.seen.answered[request.tool] += 1
        if request.tool == PERSON:
            self.seen.person_waits.append(self._clock.now() - at)

    async def _settle(self) -> None:
        """Return when nothing more happens without time passing."""
        quiet, last = 0, (-1, -1, -1)
        while quiet < _QUIET:
            await asyncio.sleep(0)
            now = (
                self._standin.request_log.total,
                self.seen.events,
                len(self._app.components.upstream.limiter.queued),
            )
            quiet, last = (quiet + 1 if now == last else 0), now

    def _note(self) -> None:
        """Who came into the line, and who had their turn since the last look."""
        waiting, now = (
            dict.fromkeys(self._app.components.upstream.limiter.queued),
            self._clock.now(),
        )
        for waiter in [each for each in self._line if each not in waiting]:
            granted = waiter.usage
            if granted.done() and not granted.cancelled() and not granted.exception():
                self.seen.promises.append(
                    (waiter.predicted_at - waiter.queued_at, now - waiter.queued_at)
                )
        self._line = waiting


async def play(seconds: float) -> tuple[Seen, FakeTrello]:
    """What came of it, and Trello's side of the story."""
    clock = FakeClock()
    async with running(clock) as parts:
        parts[1].faults.latency_s = LATENCY_S
        played = Play(parts, clock)
        await played.run(questions_of(seconds), seconds)
        return played.seen, parts[1]


def page_of(fake_trello: FakeTrello, number: int) -> str:
    """A card's page; it is asked for afresh, three questions each time."""
    cards = fake_trello.trello.request(
        f"/1/boards/{fake_trello.trello.example_board}/cards?fields=shortLink"
    )
    return f"/c/{cards[number % len(cards)]['shortLink']}"


async def hits(seconds: float) -> tuple[float, float]:
    """Hits a second alone, and while the tools ask for five times the limit; on the real clock."""
    async with running(SystemClock()) as (app, fake_trello, session):
        url = f"{app.public_url}/1/boards/{fake_trello.trello.example_board}"

        async def request(target: str) -> None:
            async with session.get(target) as response:
                await response.read()

        async def flood() -> None:
            asking = set[asyncio.Task[None]]()
            try:
                for number in range(1 << 20):
                    asking.add(asyncio.create_task(request(f"{url}/lists?_={number}")))
                    await asyncio.sleep(WINDOW_S / PER_WINDOW / FACTOR)
            finally:
                for task in asking:
                    task.cancel()
                await asyncio.gather(*asking, return_exceptions=True)

        async def count(slice_s: float) -> float:
            until, number = time.monotonic() + slice_s, 0
            while time.monotonic() < until:
                await request(url)
                number += 1
            return number / slice_s

        await request(url)
        alone, during = list[float](), list[float]()
        for _ in range(3):
            alone.append(await count(seconds))
            flooding = asyncio.create_task(flood())
            await asyncio.sleep(seconds / 4)
            during.append(await count(seconds))
            flooding.cancel()
            await asyncio.gather(flooding, return_exceptions=True)
        return median(alone), median(during)


def jain(shares: list[int]) -> float:
    """1 where all have the same, 1/n where one has everything."""
    squares = sum(share * share for share in shares)
    return sum(shares) ** 2 / (len(shares) * squares) if squares else 0.0


def quantile(values: list[float], part: float) -> float:
    """The value below which `part` of them lie."""
    ordered = sorted(values) or [float("nan")]
    return ordered[min(len(ordered) - 1, int(len(ordered) * part))]


def _tell(seen: Seen, fake_trello: FakeTrello, seconds: float) -> None:
    refused = sum(request.status == 429 for request in fake_trello.request_log.requests)
    used = fake_trello.request_log.total / (PER_WINDOW * (seconds / WINDOW_S))
    tools = [seen.answered[f"tool {n}"] for n in range(TOOLS)]
    off = [abs(real - due) / real for due, real in seen.promises if real > 1]
    print(
        f"proxy      {sum(tools):5} answered, {sum(seen.refused.values()):5} refused by it,"
        f" {refused} by Trello; the person {seen.answered[PERSON]} pages"
    )
    print(verdict("429s from Trello", refused, most=0))
    print(verdict("of Trello's limit used", used, least=0.95))
    print(
        verdict("s, the person's p95 wait for a page", quantile(seen.person_waits, 0.95), most=1.0)
    )
    print(verdict("Jain's index over the tools", jain(tools), least=0.95))
    print(verdict("foreseen waits off by, p90", quantile(off, 0.9), most=0.2))


def _tell_rival(name: str, told: Told) -> None:
    tools = [told.answered.get(f"tool {n}", 0) for n in range(TOOLS)]
    print(
        f"{name:10} {sum(tools):5} answered, {told.refused_by_proxy:5} refused by it,"
        f" {told.refused_by_trello} by Trello, key locked in {len(told.locked_s)} s,"
        f" Jain {jain(tools):.2f}; the person {len(told.person_waits)} answers,"
        f" p95 wait {quantile(told.person_waits, 0.95):.1f} s"
    )


def main(arguments: list[str] | None = None) -> None:
    """Play and print; nothing is left running."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench.overload")
    parser.add_argument("--quick", action="store_const", const=30.0, dest="seconds")
    parser.add_argument("--smoke", action="store_const", const=3.0, dest="seconds")
    seconds = parser.parse_args(arguments).seconds or 60.0
    print(f"{seconds:.0f} s of virtual time, {TOOLS} tools, {FACTOR} times the limit")
    seen, fake_trello = asyncio.run(play(seconds))
    _tell(seen, fake_trello, seconds)
    questions = questions_of(seconds)
    _tell_rival("limit_req", limit_req(questions, seconds))
    _tell_rival("no limiter", no_limiter(questions))
    alone, during = asyncio.run(hits(min(2.0, seconds / 10)))
    print(
        f"hits       {alone:,.0f}/s alone, {during:,.0f}/s during it (one client, one core shared)"
    )
    print(verdict("of the unloaded rate of hits", during / alone, least=0.8))


if __name__ == "__main__":
    main()
