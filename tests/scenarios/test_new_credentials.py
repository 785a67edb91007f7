"""Another key and token while the proxy runs: verified, and used by everybody at once."""

import asyncio
import json
import os
import secrets
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from itertools import count
from pathlib import Path

import aiohttp
import pytest

from proxy.app.app import App, SystemPorts
from proxy.app.from_config import credential_of
from proxy.app.reload import POLL_S
from proxy.cli.options import ConfigLoader
from proxy.fake_trello.faults import Fault
from proxy.fake_trello.server import FakeTrello
from proxy.runtime.clock import FakeClock
from tests.scenarios.conftest import (
    BREATH_S,
    KEY,
    OTHER_KEY,
    OTHER_TOKEN,
    TOKEN,
    Proxy,
    until,
)
from tests.server.canary import shown_in

NEW_TOKEN = "ATTA" + "4e77ab" * 12
DAY_S = 86_400
WATCHED = "/1/members/me/boards"
_ticks = count(1)


class Office:
    """A configuration on disk, and the proxies that run on it."""

    def __init__(self, directory: Path, fake_trello: FakeTrello, clock: FakeClock) -> None:
        self.directory = directory
        self.clock = clock
        self._standin = fake_trello
        self._stack = AsyncExitStack()
        self.freshness = "{watch: off}"
        self.lines: list[bytes] = []
        directory.mkdir(exist_ok=True)
        self.write(KEY, TOKEN)

    def write(self, key: str, token: str) -> None:
        """Put them into the files of secrets; as later than what was there."""
        for name, text in (("key", key), ("token", token)):
            path = self.directory / name
            path.write_text(text)
            tick = 1_700_000_000 + next(_ticks)
            os.utime(path, (tick, tick))

    @property
    def config(self) -> Path:
        return self.directory / "proxy.yaml"

    async def start(self) -> Proxy:
        self.config.write_text(
            f"listen: 127.0.0.1:0\n"
            f"upstream: {{url: '{self._standin.url}', read_timeout: 250ms}}\n"
            f"credentials: {{key: {{file: '{self.directory}/key'}}, "
            f"token: {{file: '{self.directory}/token'}}}}\n"
            f"cache: {{directory: '{self.directory}/cache'}}\n"
            f"freshness: {self.freshness}\n"
        )
        source = ConfigLoader(str(self.config), {})
        config = source.load()
        credential = credential_of(config)
        assert credential is not None
        app = App(
            config,
            credential,
            SystemPorts(
                clock=self.clock,
                write_log=self.lines.append,
                random=secrets.token_bytes,
                source=source,
            ),
        )
        session = await self._stack.enter_async_context(
            aiohttp.ClientSession(auto_decompress=False, cookie_jar=aiohttp.DummyCookieJar())
        )
        self._stack.push_async_callback(app.stop)
        await app.start()
        return Proxy(app, session, self.lines)

    async def close(self) -> None:
        await self._stack.aclose()

    async def look(self, is_so: Callable[[], bool]) -> None:
        """Let time pass until the proxy has looked, and it is so."""
        async with asyncio.timeout(20):
            while not is_so():
                self.clock.advance(POLL_S)
                await asyncio.sleep(0.01)

    def told(self, message: str) -> list[dict[str, object]]:
        lines = map(json.loads, b"".join(self.lines).splitlines())
        return [line for line in lines if line["message"] == message]


Start = Callable[[], Awaitable[Proxy]]


@pytest.fixture
async def office(tmp_path: Path, standin: FakeTrello, clock: FakeClock) -> AsyncIterator[Office]:
    made = Office(tmp_path / "office", standin, clock)
    yield made
    await made.close()


async def learned(office: Office) -> None:
    """Return when the proxy knows whose its token is."""
    kept = office.directory / "cache" / "identity.json"
    await until(lambda: kept.exists() and bool(json.loads(kept.read_text())["member"]))


async def test_a_changed_file_is_noticed_verified_and_used_and_the_cache_is_kept(
    office: Office, standin: FakeTrello, board: str
) -> None:
    proxy = await office.start()
    await learned(office)
    before = await proxy.get(f"/1/boards/{board}")
    standin.trello.add_token(NEW_TOKEN, standin.trello.me["id"], key=OTHER_KEY)
    office.write(OTHER_KEY, NEW_TOKEN)
    await office.look(lambda: bool(office.told("credential replaced")))
    standin.trello.revoke(TOKEN)
    again = await proxy.get(f"/1/boards/{board}")
    assert (again.body, again.cache.partition(";")[0]) == (before.body, "hit")
    assert (await proxy.get(f"/1/boards/{board}/lists")).status == 200
    assert (await proxy("PUT", f"/1/boards/{board}?name=After")).status == 200


async def test_old_and_new_ones_are_masked(office: Office, standin: FakeTrello, board: str) -> None:
    proxy = await office.start()
    standin.trello.add_token(NEW_TOKEN, standin.trello.me["id"])
    office.write(KEY, NEW_TOKEN)
    await office.look(lambda: bool(office.told("credential replaced")))
    body = json.dumps([TOKEN, NEW_TOKEN, KEY])
    path = f"*/boards/{board}/lists"  # not the proxy's own look at the token
    standin.faults.add(
        Fault("status", path, status=200, body=body, content_type="application/json")
    )
    heard = await proxy.get(f"/1/boards/{board}/lists")
    assert heard.json == ["*" * len(TOKEN), "*" * len(NEW_TOKEN), "*" * len(KEY)]
    metrics = (await proxy.get("/metrics")).body
    ready = (await proxy.get("/readyz")).body
    assert shown_in(b"".join(office.lines) + metrics + ready, TOKEN, NEW_TOKEN, KEY) == []
    kept = (office.directory / "cache" / "identity.json").read_bytes()
    assert shown_in(kept, TOKEN, NEW_TOKEN, KEY) == []


async def test_another_members_are_refused(
    office: Office, standin: FakeTrello, clock: FakeClock, board: str
) -> None:
    proxy = await office.start()
    await learned(office)
    standin.trello.add_token(OTHER_TOKEN, standin.trello.add_member("eve", "Eve"), key=OTHER_KEY)
    office.write(OTHER_KEY, OTHER_TOKEN)
    await office.look(lambda: bool(office.told("credential replacement rejected")))
    assert "another member" in str(office.told("credential replacement rejected")[0]["reason"])
    assert (await proxy.get(f"/1/boards/{board}")).status == 200
    asked = standin.request_log.total
    clock.advance(POLL_S)
    assert (await proxy.get(f"/1/boards/{board}")).status == 200
    assert standin.request_log.total == asked


async def test_ones_that_trello_does_not_accept_are_refused(
    office: Office, standin: FakeTrello, board: str
) -> None:
    proxy = await office.start()
    office.write(OTHER_KEY, OTHER_TOKEN)
    await office.look(lambda: bool(office.told("credential replacement rejected")))
    assert (await proxy.get(f"/1/boards/{board}")).status == 200
    assert office.told("token refused") == []


async def test_half_a_change_is_borne(office: Office, standin: FakeTrello, board: str) -> None:
    proxy = await office.start()
    standin.trello.add_token(NEW_TOKEN, standin.trello.me["id"])
    (office.directory / "token").write_text("")
    await office.look(lambda: bool(office.told("configuration rejected")))
    fault = str(office.told("configuration rejected")[0]["fault"])
    assert fault.startswith(f"{office.config}:3: credentials.token:")
    assert (await proxy.get(f"/1/boards/{board}")).status == 200
    office.write(KEY, NEW_TOKEN)
    await office.look(lambda: bool(office.told("credential replaced")))


async def test_while_trello_is_down_they_are_offered_again_and_again(
    office: Office, standin: FakeTrello
) -> None:
    await office.start()
    await learned(office)
    standin.trello.add_token(NEW_TOKEN, standin.trello.me["id"])
    standin.faults.add(Fault("status", status=503, times=None))
    office.write(KEY, NEW_TOKEN)
    await office.look(lambda: len(office.told("credential not verified")) > 2)
    standin.faults.clear()
    await office.look(lambda: bool(office.told("credential replaced")))


async def test_a_refused_token_is_replaced_without_a_restart(
    office: Office, standin: FakeTrello, board: str
) -> None:
    proxy = await office.start()
    await learned(office)
    before = await proxy.get(f"/1/boards/{board}")
    standin.trello.revoke(TOKEN)
    assert (await proxy.get(f"/1/boards/{board}/lists")).status == 401
    assert (await proxy.get(f"/1/boards/{board}/cards")).problem == "token-refused"
    standin.trello.add_token(NEW_TOKEN, standin.trello.me["id"])
    office.write(KEY, NEW_TOKEN)
    await office.look(lambda: bool(office.told("credential replaced")))
    assert (await proxy.get(f"/1/boards/{board}/cards")).status == 200
    assert (await proxy.get(f"/1/boards/{board}")).body == before.body
    assert (await proxy.get("/readyz")).json["status"] == "ready"


async def test_a_token_that_changed_while_nothing_ran_keeps_the_cache_once_it_is_known(
    office: Office, standin: FakeTrello, board: str
) -> None:
    proxy = await office.start()
    await learned(office)
    before = await proxy.get(f"/1/boards/{board}")
    await proxy.app.stop()
    standin.trello.add_token(NEW_TOKEN, standin.trello.me["id"])
    office.write(KEY, NEW_TOKEN)
    kept = office.directory / "cache" / "identity.json"
    was = kept.read_text()
    proxy = await office.start()
    await until(lambda: kept.read_text() != was)
    again = await proxy.get(f"/1/boards/{board}")
    assert (again.body, again.cache.partition(";")[0]) == (before.body, "hit")


async def test_another_members_token_at_the_start_gets_nothing_of_the_cache(
    office: Office, standin: FakeTrello, board: str
) -> None:
    proxy = await office.start()
    await learned(office)
    await proxy.get(f"/1/boards/{board}")
    await proxy.app.stop()
    standin.trello.add_token(OTHER_TOKEN, standin.trello.add_member("eve", "Eve"))
    office.write(KEY, OTHER_TOKEN)
    proxy = await office.start()
    heard = await proxy.get(f"/1/boards/{board}")
    assert (heard.status, heard.body) == (401, b"unauthorized permission requested")


async def test_the_tokens_end_is_known_ahead(
    office: Office, standin: FakeTrello, clock: FakeClock
) -> None:
    standin.trello.revoke(TOKEN)
    ends_at = clock.now() + 20 * DAY_S
    standin.trello.add_token(TOKEN, standin.trello.me["id"], expires=ends_at)
    proxy = await office.start()
    await learned(office)
    assert await proxy.metric("trello_proxy_token_expires_seconds") == 20 * DAY_S
    assert (await proxy.get("/readyz")).json["status"] == "ready"
    clock.advance(7 * DAY_S)
    assert (await proxy.get("/readyz")).json["token"] == "expires in 13 days"  # noqa: S105
    async with asyncio.timeout(20):
        while not office.told("token expires soon"):  # asked every day, from whenever it began
            clock.advance(DAY_S / 24)
            await asyncio.sleep(BREATH_S)


async def test_a_token_without_an_end_has_no_such_figure(office: Office) -> None:
    proxy = await office.start()
    await learned(office)
    assert b"\ntrello_proxy_token_expires_seconds " not in (await proxy.get("/metrics")).body


async def test_routes_and_limits_change_on_request_and_the_rest_is_named(
    office: Office, standin: FakeTrello, clock: FakeClock, board: str
) -> None:
    proxy = await office.start()
    await learned(office)
    path = f"/1/boards/{board}"
    await proxy.get(path)
    assert (await proxy.get(path)).cache == "hit; ttl=30"
    text = office.config.read_text()
    office.config.write_text(
        f"{text}routes: [{{match: /boards/*, lifetime: 5s}}]\n"
        "limits: {token: 7/10s, memory: 2MiB}\nlog: {level: debug}\nlinks: {rewrite: false}\n"
        "attachments: {disk: 1GiB}\n"
    )
    assert proxy.app.reloader is not None
    proxy.app.reloader.request()
    await until(lambda: bool(office.told("configuration reloaded")))
    waiting = office.told("configuration reloaded")[0]["restart_for"]
    assert waiting == "attachments.disk, links.rewrite, log.level"
    assert (await proxy.get(path)).cache == "hit; ttl=5"
    assert await proxy.metric('trello_proxy_rate_limit_remaining{limit="token"}') <= 7
    assert await proxy.metric("trello_proxy_client_memory_limit_bytes") == 2 << 20
    office.config.write_text(text + "routes: nonsense\n")
    proxy.app.reloader.request()
    await until(lambda: bool(office.told("configuration rejected")))
    assert ":6: routes" in str(office.told("configuration rejected")[0]["fault"])
    assert (await proxy.get(path)).cache == "hit; ttl=5"


async def test_ones_that_are_not_whole_are_refused_and_the_next_are_not(
    office: Office, standin: FakeTrello
) -> None:
    await office.start()
    office.write(KEY, "short")
    await office.look(lambda: bool(office.told("credential replacement rejected")))
    standin.trello.add_token(NEW_TOKEN, standin.trello.me["id"])
    office.write(KEY, NEW_TOKEN)
    await office.look(lambda: bool(office.told("credential replaced")))


async def test_the_watcher_goes_on_with_the_new_ones(office: Office, standin: FakeTrello) -> None:
    office.freshness = "{watch: 10s}"
    proxy = await office.start()
    await learned(office)
    standin.trello.add_token(NEW_TOKEN, standin.trello.me["id"])
    office.write(KEY, NEW_TOKEN)
    await office.look(lambda: bool(office.told("credential replaced")))
    standin.trello.revoke(TOKEN)
    asked = standin.request_log.count("GET", WATCHED)
    await office.look(lambda: standin.request_log.count("GET", WATCHED) > asked)
    assert standin.request_log.requests[-1].status == 200
    assert (await proxy.get("/readyz")).json["status"] == "ready"
