"""A proxy with canaries for credentials, walked and searched."""

import asyncio
import secrets
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

from proxy.app.app import App, SystemPorts
from proxy.cli.leak_check.canaries import Canary, CanarySearch, kept
from proxy.cli.leak_check.client import Client, Request
from proxy.cli.leak_check.requests import ClientCredential, RequestSet
from proxy.config.addresses import Listen
from proxy.config.schema import (
    Admin,
    Backend,
    Config,
    Credentials,
    Log,
)
from proxy.config.secret import Secret
from proxy.config.units import Rate
from proxy.fake_trello.faults import Fault, Kind
from proxy.fake_trello.request import File
from proxy.fake_trello.samples import fill
from proxy.fake_trello.server import FakeTrello
from proxy.model import Credential
from proxy.runtime.clock import FakeClock

STEP_S = 0.2
"""Of the proxy's clock, after each request: so nothing waits for Trello's limits."""
PAUSE_S = 0.05
"""Of real time: who is not answered by then may wait for the proxy's clock."""
WAITED_S = 5.0
RECOVERED_S = 60.0
"""After faults: whatever they tripped has recovered."""
MIN_SUCCESSES = 100
"""So many answers must be 200: else the walk met a locked door, and proves nothing."""
_ENDLESS = Rate(1_000_000, 10.0)
_KINDS: tuple[Kind, ...] = ("status", "html", "reset", "cut", "too_long", "too_short")
_STATUSES = (200, 302, 401, 404, 429, 500)


class Inconclusive(Exception):
    """The walk met locked doors only."""


@dataclass(frozen=True, slots=True)
class Canaries:
    """Made anew for each run."""

    key: str = field(default_factory=lambda: secrets.token_hex(16), repr=False)
    token: str = field(default_factory=lambda: f"ATTA{secrets.token_hex(36)}", repr=False)
    secret: str = field(default_factory=lambda: secrets.token_hex(32), repr=False)
    admin: str = field(default_factory=lambda: secrets.token_hex(16), repr=False)
    link: str = field(default_factory=lambda: secrets.token_hex(16), repr=False)
    client: ClientCredential = field(
        default_factory=lambda: ClientCredential(
            secrets.token_hex(16), f"ATTA{secrets.token_hex(36)}"
        )
    )

    def all(self, *, forwarded: bool) -> Iterator[Canary]:
        """`forwarded`: Trello is sent the clients' own, and may repeat them to who sent them."""
        yield Canary("the stored key", self.key)
        yield Canary("the stored token", self.token)
        yield Canary("credentials.secret", self.secret)
        yield Canary("admin.token", self.admin)
        yield Canary("a key of links.keys", self.link)
        yield Canary("a client's key", self.client.key, forwarded)
        yield Canary("a client's token", self.client.token, forwarded)
        yield Canary("a signed address of the storage", "X-Signature=")


async def search_for_leaks(config: Config) -> CanarySearch:
    """The search of a proxy that `config` describes, done; NothingProven when it could not be."""
    canaries = Canaries()
    forwarded = config.clients.forwards_credentials
    search, clock = CanarySearch(canaries.all(forwarded=forwarded)), FakeClock()
    fake_trello = FakeTrello(clock, key=canaries.key, token=canaries.token, secret=canaries.secret)
    fill(fake_trello.trello)
    if config.clients.requires_credentials:
        _admit(fake_trello, canaries.client)
    await fake_trello.start()
    try:
        with tempfile.TemporaryDirectory(prefix="trello-proxy-leaks-") as directory:
            made = _config(config, canaries, fake_trello, directory)
            lines: list[bytes] = []
            app = App(
                made,
                Credential(canaries.key, canaries.token),
                SystemPorts(clock, lines.append, secrets.token_bytes),
            )
            await _run_walk(app, ProxyWalk(fake_trello, canaries, clock, search))
            for where, data in kept(Path(directory)):
                search.search("files and values", where, data)
            for number, line in enumerate(b"".join(lines).splitlines(), 1):
                search.search("log lines", f"line {number} of the log", line)
    finally:
        await fake_trello.stop()
    return search


def _admit(fake_trello: FakeTrello, theirs: ClientCredential) -> None:
    """Have Trello know the clients' credential: nothing is answered without one."""
    member = str(fake_trello.trello.request("/1/members/me?fields=id")["id"])
    fake_trello.trello.add_token(theirs.token, member, key=theirs.key)


async def _run_walk(app: App, walker: "ProxyWalk") -> None:
    try:
        await app.start()
        await walker.walk(Client(app.port, walker.search))
    finally:
        await app.stop()


class ProxyWalk:
    """Asks everything there is to ask."""

    def __init__(
        self, fake_trello: FakeTrello, canaries: Canaries, clock: FakeClock, search: CanarySearch
    ) -> None:
        self.search = search
        self._fake_trello = fake_trello
        self._clock = clock
        self._canaries = canaries
        self._walk = RequestSet(fake_trello.trello, canaries.client, canaries.admin)

    async def walk(self, client: Client) -> None:
        """NothingProven when hardly anything was answered."""
        for request in self._walk.reads():
            await self._ask(client, request)
        await self._files(client)
        await self._faults(client)
        for request in (
            *self._walk.operator_pages(),
            *self._walk.malformed(),
            *self._walk.writes(),
        ):
            await self._ask(client, request)
        await self._ask(client, Request("/metrics", "GET", "/metrics"))
        if client.statuses.count(200) < MIN_SUCCESSES:
            raise Inconclusive("hardly anything was answered")

    async def _ask(self, client: Client, request: Request) -> bytes:
        asking = asyncio.ensure_future(client.send(request))
        while not asking.done():
            await asyncio.wait({asking}, timeout=PAUSE_S)
            self._clock.advance(STEP_S if asking.done() else WAITED_S)
        return asking.result()

    async def _files(self, client: Client) -> None:
        """Downloads, behind a signed address and without; whole, and not."""
        faults = self._fake_trello.faults
        for kind in (None, *_KINDS):
            for path in ("*/download/*", "/files/*"):
                faults.clear()
                faults.direct_downloads = path != "/files/*"
                if kind is not None:
                    faults.add(replace(self._fault(kind, 200), path=path))
                target = self._uploaded()
                await self._ask(client, Request("a file", "GET", target))
                await self._ask(client, Request("a file", "GET", target, (("Range", "bytes=1-"),)))
                self._clock.advance(RECOVERED_S)
        faults.clear()

    async def _faults(self, client: Client) -> None:
        """Everything that can go wrong, with our credential in what Trello says of it."""
        refusals = [self._fault("status", status) for status in _STATUSES]
        for fault in (*refusals, *(self._fault(kind, 200) for kind in _KINDS[1:])):
            self._fake_trello.faults.clear()
            self._fake_trello.faults.add(fault)
            for request in self._walk.faults(f"{fault.kind}{fault.status}"):
                await self._ask(client, request)
            self._clock.advance(RECOVERED_S)
        self._fake_trello.faults.clear()

    def _fault(self, kind: Kind, status: int) -> Fault:
        key, token = self._canaries.key, self._canaries.token
        said = f"no: OAuth oauth_consumer_key={key}, oauth_token={token}"
        fields = (("X-Echo", token), ("Location", f"https://trello.com/?token={token}"))
        return Fault(
            kind, times=None, status=status, body=f'{{"message": "{said}"}}', fields=fields
        )

    def _uploaded(self) -> str:
        """The path of a new file, in which our token stands."""
        trello, body = self._fake_trello.trello, f"token: {self._canaries.token}\n" * 100
        file = File("notes.txt", "text/plain", body.encode())
        made = trello.upload(trello.example_card, file)
        return str(made["url"]).removeprefix("https://trello.com")


def _config(config: Config, canaries: Canaries, fake_trello: FakeTrello, directory: str) -> Config:
    """The operator's own configuration, but for where it is, what it knows, and its patience."""
    backend: Backend = "memory" if config.cache.backend == "memory" else "sqlite"
    return replace(
        config,
        listen=Listen("127.0.0.1", 0),
        public_url="http://127.0.0.1:0",
        upstream=replace(
            config.upstream,
            url=fake_trello.url,
            storage_hosts=(fake_trello.storage_host,),
            read_timeout_s=1.0,
        ),
        credentials=Credentials(
            key=Secret(canaries.key),
            token=Secret(canaries.token),
            secret=Secret(canaries.secret),
        ),
        cache=replace(config.cache, backend=backend, directory=directory),
        links=replace(config.links, keys=(Secret(canaries.link),)),
        freshness=replace(config.freshness, webhook_url="http://127.0.0.1:9/-/webhook"),
        limits=replace(
            config.limits, token=_ENDLESS, key=_ENDLESS, members=_ENDLESS, search=_ENDLESS
        ),
        admin=Admin(listen=None, token=Secret(canaries.admin)),
        log=Log(level="debug", format=config.log.format),
    )
