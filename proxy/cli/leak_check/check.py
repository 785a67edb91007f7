"""`check --leaks`: runs a proxy of the configuration and searches its output for secrets (D41)."""

import asyncio
import secrets
import sys
import tempfile
from argparse import Namespace
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from urllib.parse import unquote, urlsplit

from proxy.app.app import App, SystemPorts
from proxy.cli.console import CommandFailed
from proxy.cli.leak_check.client import LeakCheckClient
from proxy.cli.leak_check.requests import ClientCredential, RequestSet
from proxy.cli.leak_check.search import Canary, CanarySearch, stored_data
from proxy.cli.leak_check.walk import ProxyWalk
from proxy.cli.options import config_loader, read_config, worker_environ
from proxy.config.schema import Admin, Config, Credentials, Fleet, LogSettings, Tls
from proxy.errors import StoreError
from proxy.fake_trello.samples import fill
from proxy.fake_trello.server import FakeTrello
from proxy.model import Credential, Listen, Rate, Secret
from proxy.runtime.clock import FakeClock

MIN_SUCCESSES = 100
"""Responses of 200, and values in Redis if it is used, below which the walk proves nothing."""
_UNLIMITED = Rate(1_000_000, 10.0)
_IN_REDIS = "values in Redis"
_PASSWORD_CHARS = 12
"""A shorter password of Redis also occurs in other text, and is not searched for."""


def run(options: Namespace) -> int:
    """The exit code."""
    search = asyncio.run(search_for_leaks(read_config(config_loader(options))))
    for leak in search.leaks:
        print(f"{leak.canary}, {leak.spelling}, in {leak.where}", file=sys.stderr)
    if search.leaks:
        raise CommandFailed(f"trello-proxy: {len(search.leaks)} leaks in {search.scope}")
    print(f"no leak in {search.scope}")
    return 0


@dataclass(frozen=True, slots=True)
class Canaries:
    """Random credentials of one run."""

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

    @property
    def credential(self) -> Credential:
        """The stored key and token."""
        return Credential(self.key, self.token)

    def all(self, *, forwarded: bool) -> Iterator[Canary]:
        """`forwarded`: the clients' own are sent to Trello, which may repeat them to the client."""
        yield Canary("the stored key", self.key)
        yield Canary("the stored token", self.token)
        yield Canary("credentials.secret", self.secret)
        yield Canary("admin.token", self.admin)
        yield Canary("a key of links.keys", self.link)
        yield Canary("a client's key", self.client.key, forwarded)
        yield Canary("a client's token", self.client.token, forwarded)
        yield Canary("a signed storage URL", "X-Signature=")


async def search_for_leaks(config: Config) -> CanarySearch:
    """Search a proxy of this configuration; CommandFailed if it served hardly anything."""
    canaries, clock, log = Canaries(), FakeClock(), list[bytes]()
    redis_name = f"leaks-{secrets.token_hex(8)}"
    password = unquote(urlsplit(config.cache.redis_url).password or "")
    search = CanarySearch(
        (
            *canaries.all(forwarded=config.clients.forwards_credentials),
            *([Canary("the password of Redis", password)] * (len(password) >= _PASSWORD_CHARS)),
        )
    )
    fake_trello = FakeTrello(clock, key=canaries.key, token=canaries.token, secret=canaries.secret)
    fill(fake_trello.trello)
    if config.clients.requires_credentials:
        _accept(fake_trello, canaries.client)
    if config.cache.redis_url:  # not reachable: before a long walk
        await _search_redis(search, config.cache.redis_url, redis_name, clock)
    await fake_trello.start()
    try:
        with tempfile.TemporaryDirectory(prefix="trello-proxy-leaks-") as directory:
            app = App(
                _config(config, canaries, fake_trello, directory, redis_name),
                canaries.credential,
                SystemPorts(
                    clock=clock,
                    write_log=log.append,
                    random=secrets.token_bytes,
                    environ=worker_environ(),
                ),
            )
            try:
                await app.start()
                await _walk(fake_trello, canaries, clock, LeakCheckClient(app.port, search))
            finally:
                await app.stop()
            for where, data in stored_data(Path(directory)):
                search.search("files and values", where, data)
            if config.cache.redis_url:
                await _search_redis(search, config.cache.redis_url, redis_name, clock)
                _require(search.searched.get(_IN_REDIS, 0), "values in Redis")
            for number, line in enumerate(b"".join(log).splitlines(), 1):
                search.search("log lines", f"line {number} of the log", line)
    finally:
        await fake_trello.stop()
    return search


def _accept(fake_trello: FakeTrello, client: ClientCredential) -> None:
    """Have Trello accept the clients' credential, without which it refuses everything."""
    member = str(fake_trello.trello.request("/1/members/me?fields=id")["id"])
    fake_trello.trello.add_token(client.token, member, key=client.key)


async def _walk(
    fake_trello: FakeTrello, canaries: Canaries, clock: FakeClock, client: LeakCheckClient
) -> None:
    requests = RequestSet(fake_trello.trello, canaries.client, canaries.admin)
    await ProxyWalk(fake_trello, canaries.credential, clock, requests, client).run()
    _require(client.statuses.count(200), "responses of 200")


def _require(number: int, what: str) -> None:
    if number < MIN_SUCCESSES:
        raise CommandFailed(f"trello-proxy: nothing is proven: fewer than {MIN_SUCCESSES} {what}")


async def _search_redis(search: CanarySearch, url: str, name: str, clock: FakeClock) -> None:
    """Search everything stored under the name of this check, and delete it."""
    from proxy.cache.store import redis_inspection  # noqa: PLC0415 — an extra

    try:
        async for where, data in redis_inspection.stored_values(url, name, clock):
            search.search(_IN_REDIS, where, data)
        await redis_inspection.delete_values(url, name, clock)
    except StoreError as error:
        raise CommandFailed(f"trello-proxy: nothing is proven: {error}") from None


def _config(
    config: Config, canaries: Canaries, fake_trello: FakeTrello, directory: str, redis_name: str
) -> Config:
    """The configuration with other addresses, credentials, limits and read timeout; no fleet.

    A node of a fleet is searched as a process on its own, so that it needs no other. Any client may
    see any board: what is refused proves nothing.
    """
    return replace(
        config,
        listen=Listen("127.0.0.1", 0),
        public_url="http://127.0.0.1:0",
        upstream=replace(
            config.upstream,
            url=fake_trello.url,
            storage_hosts=(fake_trello.storage_host,),
            read_timeout_s=1.0,
            proxy=None,
            ca=None,
        ),
        tls=Tls(),
        clients=replace(config.clients, access="open", boards=(), workspaces=()),
        credentials=Credentials(
            key=Secret(canaries.key),
            token=Secret(canaries.token),
            secret=Secret(canaries.secret),
        ),
        cache=replace(config.cache, directory=directory),
        redis=replace(config.redis, name=redis_name),
        fleet=Fleet(),
        links=replace(config.links, keys=(Secret(canaries.link),)),
        freshness=replace(config.freshness, webhook_url="http://127.0.0.1:9/-/webhook"),
        limits=replace(
            config.limits, token=_UNLIMITED, key=_UNLIMITED, members=_UNLIMITED, search=_UNLIMITED
        ),
        admin=Admin(listen=None, token=Secret(canaries.admin)),
        log=LogSettings(level="debug", format=config.log.format),
    )
