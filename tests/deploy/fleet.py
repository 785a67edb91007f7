"""Proxies to go wrong: each before a Trello of its own, on a clock that runs faster than ours."""

import asyncio
import secrets
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from pathlib import Path

import aiohttp
from yarl import URL

from proxy.app.app import App, SystemPorts
from proxy.cli.options import ConfigLoader
from proxy.fake_trello.samples import fill
from proxy.fake_trello.server import FakeTrello
from proxy.model import Credential
from proxy.runtime.clock import SystemClock
from tests.redis_server import RedisServer, free_port

KEY = "c0ffee" + "0" * 26
TOKEN = "ATTA" + "5ec2e7" * 12
SECRET = "demo-secret"  # noqa: S105 — the stand-in's
LEFT_S = 20 * 86_400
"""Until the token ends."""
SPEED = 2
"""Seconds of theirs in one of ours: a hitch of a busy machine's must look small to them."""
FAST = 20
"""The same, where something takes minutes."""


class FastClock:
    """Time, `speed` times as fast; it can be set ahead, and it can fail."""

    def __init__(self, speed: float) -> None:
        self._machine = SystemClock()
        self._speed = speed
        self._began = self._machine.monotonic()
        self._began_at = self._machine.now()
        self.ahead_s = 0.0
        self.failures = 0
        """So many times more it fails to tell the time."""

    def now(self) -> float:
        return self._began_at + self._passed_s()

    def monotonic(self) -> float:
        if self.failures:
            self.failures -= 1
            raise RuntimeError("a fault on purpose")
        return self._began + self._passed_s()

    def boottime(self) -> float:
        return self.monotonic()

    async def sleep(self, delay_s: float) -> None:
        await self._machine.sleep(delay_s / self._speed)

    def _passed_s(self) -> float:
        return self.ahead_s + (self._machine.monotonic() - self._began) * self._speed


@dataclass(eq=False)
class Instance:
    """One proxy, its Trello, and a client; `yaml` is what it is configured with besides."""

    name: str
    directory: Path
    yaml: str = ""
    speed: float = SPEED
    limits: bool = False
    """Whether its Trello keeps to its limits."""
    redis: RedisServer | None = None
    """Where it stores responses, if not on disk."""
    port: int = field(default_factory=free_port)
    counted: int = 0

    def __post_init__(self) -> None:
        self.clock = FastClock(self.speed)
        self.standin = FakeTrello(
            FastClock(self.speed), key=KEY, token=TOKEN, secret=SECRET, limits=self.limits
        )
        fill(self.standin.trello)
        trello, ends_at = self.standin.trello, self.clock.now() + LEFT_S
        trello.add_token(TOKEN, trello.me["id"], expires=ends_at)
        self._stack = AsyncExitStack()
        self._app: App | None = None
        self._session = aiohttp.ClientSession(cookie_jar=aiohttp.DummyCookieJar())

    @property
    def _backend(self) -> str:
        return f", backend: redis, redis: '{self.redis.url}'" if self.redis else ""

    @property
    def app(self) -> App:
        assert self._app is not None
        return self._app

    @property
    def board(self) -> str:
        return self.standin.trello.example_board

    @property
    def card(self) -> str:
        return self.standin.trello.example_card

    async def start(self) -> None:
        if self.redis is not None:
            await asyncio.to_thread(self.redis.start)
        await self.standin.start()
        await self.open()

    async def open(self) -> None:
        """The proxy alone, on the port it always has."""
        url, storage = self.standin.url, self.standin.storage_host
        text = (
            f"listen: 127.0.0.1:{self.port}\n"
            f"upstream: {{url: '{url}', storage_hosts: ['{storage}']}}\n"
            f"credentials: {{key: '{KEY}', token: '{TOKEN}', secret: '{SECRET}'}}\n"
            f"cache: {{directory: '{self.directory}'{self._backend}}}\n{self.yaml}"
        )
        path = self.directory.with_suffix(".yaml")
        await asyncio.to_thread(path.write_text, text)
        source = ConfigLoader(str(path), {})
        ports = SystemPorts(
            clock=self.clock, write_log=lambda _: None, random=secrets.token_bytes, source=source
        )
        self._app = App(source.load(), Credential(KEY, TOKEN), ports)
        await self._app.start()

    async def close(self) -> None:
        """The proxy alone."""
        if self._app is not None:
            await self._app.stop()
            self._app = None

    async def stop(self) -> None:
        await self._session.close()
        await self.close()
        await self.standin.stop()
        if self.redis is not None:
            self.redis.kill()

    async def ask(
        self,
        target: str,
        method: str = "GET",
        tool: str = "office-tool/2.1",
        body: bytes | None = None,
        **fields: str,
    ) -> int:
        """The status of the answer, read to its end; 0 where there is none."""
        url = URL(f"http://127.0.0.1:{self.port}{target}", encoded=True)
        sent = {"User-Agent": tool, **{n.replace("_", "-"): v for n, v in fields.items()}}
        try:
            async with self._session.request(method, url, headers=sent, data=body) as response:
                await response.read()
                return response.status
        except aiohttp.ClientError:
            return 0

    async def ask_anew(self, times: int = 1) -> None:
        """Questions that nobody has asked before, all at once."""
        targets = []
        for _ in range(times):
            self.counted += 1
            targets.append(f"/1/cards/{self.card}?_={self.counted}")
        await asyncio.gather(*map(self.ask, targets))

    def edit(self) -> None:
        """Somebody changes the card in Trello itself."""
        self.counted += 1
        self.standin.trello.edit("PUT", f"/1/cards/{self.card}", {"name": f"Card {self.counted}"})


Load = Callable[[Instance], Awaitable[None]]


async def ordinary(instance: Instance) -> None:
    """What an office does in a while: the same reads, now and then a new one."""
    await instance.ask(f"/1/boards/{instance.board}")
    await instance.ask(f"/1/cards/{instance.card}")


async def varied(instance: Instance) -> None:
    """Everything that there is a panel for."""
    for _ in range(10):
        await ordinary(instance)
    tool, card = "nightly-sync/1", instance.card
    await instance.ask("/1/members/me/boards?fields=name", tool=tool)
    await instance.ask_anew()
    await asyncio.gather(*(instance.ask(f"/1/boards/{instance.board}/lists") for _ in range(2)))
    await instance.ask(f"/1/cards/{card}?name=Ours", "PUT", tool)
    await instance.ask(instance.standin.trello.example_attachment_path, tool="Mozilla/5.0 (X11)")
    await instance.ask(f"/c/{card}", tool="Mozilla/5.0 (X11)")
    await instance.ask("/1/nowhere")
    await instance.ask("/1/members/me?key=dummy&token=dummy", tool="old-script")


async def repeated(instance: Instance, load: Load, pause_s: float) -> None:
    """Until it is cancelled."""
    while True:
        await load(instance)
        await asyncio.sleep(pause_s)
