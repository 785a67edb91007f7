"""Truth: the fake Trello, with all that its targets ever showed and which write changed what."""

import asyncio
import json
import random
from collections import Counter
from hashlib import blake2b
from typing import Any

from aiohttp import web

from proxy.fake_trello.request_log import ReceivedRequest
from proxy.fake_trello.responses import Response
from proxy.fake_trello.server import FakeTrello
from proxy.runtime.clock import Clock
from tests.fleet.history import Register, Write
from tests.fleet.nodes import now

IDENTIFIER = "X-Trello-Client-Identifier"
"""Field that names a client's write; the proxy sends it on."""
_SLOW_S = (0.0, 0.0, 0.01, 0.05, 0.2, 0.6)


class WatchedTrello(FakeTrello):
    """As the fake Trello, until `watch` is called."""

    def __init__(self, clock: Clock, *, key: str, token: str) -> None:
        super().__init__(clock, key=key, token=token)
        self._chance: random.Random | None = None
        self.registers: dict[str, Register] = {}
        """What each target showed."""
        self.made: Counter[str] = Counter()
        """How often each named write was made."""
        self._changes: dict[str, list[Write]] = {}

    def watch(self, targets: list[str], chance: random.Random) -> None:
        """Follow what these targets show, and be slow before and after each change."""
        self._chance = chance
        self.registers = {target: Register(self._shown(target)) for target in targets}

    def acknowledge(self, name: str, at: float) -> None:
        """The client of a write knows that it was made."""
        for change in self._changes.pop(name, ()):
            change.acknowledged_at = at

    def _shown(self, target: str) -> bytes:
        return digest(self.trello.request(target))

    async def _make(self, request: web.Request, received: ReceivedRequest) -> Response:
        await self._wait()
        response = await super()._make(request, received)
        if received.method != "GET" and response.status == 200:
            self._note(request.headers.get(IDENTIFIER, ""), now())
        await self._wait()
        return response

    async def _wait(self) -> None:
        if self._chance is not None:
            await asyncio.sleep(self._chance.choice(_SLOW_S))

    def _note(self, name: str, at: float) -> None:
        """A change was made just now: nothing else has run since."""
        self.made[name] += 1
        changes = self._changes.setdefault(name, [])
        for target, register in self.registers.items():
            version = self._shown(target)
            if version != register.writes[-1].version:
                write = register.write(version, at)
                write.made_by = at
                changes.append(write)


def digest(value: Any) -> bytes:
    """Of a JSON value."""
    text = json.dumps(value, sort_keys=True, separators=(",", ":"))
    return blake2b(text.encode(), digest_size=12).digest()
