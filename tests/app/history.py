"""History of a card that clients read and write while workers are killed, stopped and paused.

    python -m tests.app.history SEED SECONDS [PARENT_SHARE]

Reads are judged by the order in which Trello made the writes. A write whose client has given up may
be made at any time after it: from the queue of a worker that ended, once the next one accepts.
"""

import asyncio
import os
import random
import signal
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from pathlib import Path
from tempfile import TemporaryDirectory

from proxy.fake_trello.server import FakeTrello
from proxy.runtime.clock import SystemClock
from proxy.runtime.tasks import TaskSet
from tests.app.serving import ServedProxy
from tests.fleet.nodes import now
from tests.samples import fill
from tests.scenarios.conftest import KEY, TOKEN
from tests.server.conftest import Wire

BUSY, IDLE = 2, 6
"""Readers of one card. An idle one has a connection to a worker that may be stopped before it reads
again, after a write: a busy one waits for that worker already."""
THINK_S = 0.3
"""Between two reads of an idle reader, at most."""


class History:
    """Clients that read and one that writes; a read shows each write acknowledged before it."""

    def __init__(self, proxy: ServedProxy, trello: FakeTrello, target: str, card: str) -> None:
        self._proxy = proxy
        self._trello = trello
        self._target = target
        self._card = card
        self.written = self.acknowledged = self.reads = self.hits = 0
        self._shown: set[tuple[int, int]] = set()
        """What a read showed, and what had been acknowledged before it."""
        self._tasks = TaskSet()

    @property
    def wrong(self) -> list[str]:
        """Reads that showed what an acknowledged write had replaced before."""
        path = f"{self._card}/actions?filter=updateCard:name&limit=1000"
        names = [each["data"]["card"]["name"] for each in self._trello.trello.request(path)]
        made_at = {name: place for place, name in enumerate(reversed(names))}
        return [
            f"v{number} after v{before}"
            for number, before in sorted(self._shown)
            if made_at.get(f"v{number}", -1) < made_at[f"v{before}"]
        ]

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        body = b'{"name": "v0"}'
        async with self._proxy.connected() as wire:
            assert (await self._proxy.ask(wire, "PUT", self._card, body=body)).status == 200
        for act in (*[self._read] * BUSY, *[self._think_and_read] * IDLE, self._write):
            self._tasks.spawn(self._again(act))
        try:
            yield
        finally:
            await self._tasks.stop()

    def has_gone_on(self, acknowledged: int, reads: int) -> bool:
        return self.acknowledged > acknowledged + 2 and self.reads > reads + 20

    async def _again(self, act: Callable[[Wire], Awaitable[None]]) -> None:
        """On one connection, and on another when it breaks."""
        while True:
            with suppress(OSError, EOFError):
                async with self._proxy.connected() as wire:
                    for _ in range(20):
                        await act(wire)
                        await asyncio.sleep(0.002)

    async def _think_and_read(self, wire: Wire) -> None:
        await asyncio.sleep(random.uniform(0.0, THINK_S))  # noqa: S311 — any pause
        await self._read(wire)

    async def _read(self, wire: Wire) -> None:
        before = self.acknowledged
        heard = await self._proxy.ask(wire, "GET", self._target)
        if heard.status == 200:
            self.reads += 1
            self.hits += "; hit" in heard.fields["cache-status"]
            self._shown.add((int(heard.json["name"].removeprefix("v")), before))

    async def _write(self, wire: Wire) -> None:
        self.written += 1
        number = self.written
        body = b'{"name": "v%d"}' % number
        heard = await self._proxy.ask(wire, "PUT", self._card, body=body)
        if heard.status == 200:
            self.acknowledged = number
        await asyncio.sleep(0.05)


async def _disturb(proxy: ServedProxy, chance: random.Random, parent_share: float) -> None:
    """One fault of a worker, and perhaps of the parent."""
    await asyncio.sleep(chance.uniform(0.2, 1.5))
    with suppress(ProcessLookupError, IndexError):
        pid = chance.choice(proxy.workers)
        what = chance.choice(("kill", "stop", "pause", "pause", "pause"))
        os.kill(pid, signal.SIGKILL if what == "kill" else signal.SIGSTOP)
        if what == "pause":
            await asyncio.sleep(chance.uniform(0.05, 0.95))
            os.kill(pid, signal.SIGCONT)
    if chance.random() < parent_share:
        proxy.send_signal(signal.SIGSTOP)
        await asyncio.sleep(chance.uniform(0.1, 4.0))
        proxy.send_signal(signal.SIGCONT)


async def _storm(seed: int, seconds: float, parent_share: float, directory: Path) -> int:
    trello = FakeTrello(SystemClock(), key=KEY, token=TOKEN)
    fill(trello.trello)
    await trello.start()
    proxy = ServedProxy(directory, trello)
    chance = random.Random(seed)  # noqa: S311 — faults that can be repeated
    lines, wrong = list[str](), list[str]()
    try:
        await proxy.start()
        board = trello.trello.example_board
        found = trello.trello.request(f"/1/boards/{board}/cards")[:3]
        cards = [f"/1/cards/{each['id']}" for each in found]
        histories = [History(proxy, trello, f"{card}?fields=name", card) for card in cards]
        async with AsyncExitStack() as running:
            for each in histories:
                await running.enter_async_context(each.running())
            ends = now() + seconds
            while now() < ends:
                await _disturb(proxy, chance, parent_share)
        for each in histories:
            lines.append(f"{each.reads} reads, {each.hits} hits, {each.acknowledged} writes")
            wrong += each.wrong
    finally:
        await proxy.kill()
        await trello.stop()
    lines += wrong or ["each read showed every write acknowledged before it"]
    sys.stdout.write("\n".join((*lines, "")))
    return bool(wrong)


if __name__ == "__main__":
    share = float(sys.argv[3]) if len(sys.argv) > 3 else 0.1
    with TemporaryDirectory() as made:
        sys.exit(asyncio.run(_storm(int(sys.argv[1]), float(sys.argv[2]), share, Path(made))))
