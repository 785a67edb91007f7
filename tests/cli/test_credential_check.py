"""`check --online` says whose the credentials are, what they may do, and until when."""

import secrets
from collections.abc import AsyncIterator
from dataclasses import replace

import pytest

from proxy.cli.credential_check import CredentialReport, check_credentials
from proxy.config.schema import Config, Upstream
from proxy.fake_trello.samples import fill
from proxy.fake_trello.server import FakeTrello
from proxy.model import Credential
from proxy.runtime.clock import FakeClock

KEY, TOKEN = "0123456789abcdef" * 2, "fedcba9876543210" * 4
DAY_S = 86_400


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
async def standin(clock: FakeClock) -> AsyncIterator[FakeTrello]:
    made = FakeTrello(clock, key=KEY, token=TOKEN)
    fill(made.trello)
    await made.start()
    yield made
    await made.stop()


@pytest.fixture
def config(standin: FakeTrello) -> Config:
    return Config(upstream=Upstream(url=standin.url))


async def found(config: Config, clock: FakeClock, token: str = TOKEN) -> CredentialReport:
    return await check_credentials(config, Credential(KEY, token), clock, secrets.token_bytes)


async def test_whose_they_are_what_they_may_do_and_that_they_never_end(
    config: Config, clock: FakeClock, standin: FakeTrello
) -> None:
    findings = await found(config, clock)
    assert findings.is_usable
    assert findings.lines == (
        f"member:  demo ({standin.trello.me['id']})",
        "scopes:  read, write",
        "expires: never",
    )
    assert {asked.credential for asked in standin.request_log.requests} == {"header"}


@pytest.mark.parametrize(("days", "warned"), [(30, False), (14, False), (13, True)])
async def test_an_end_that_is_near_is_warned_of(
    config: Config, clock: FakeClock, standin: FakeTrello, days: int, *, warned: bool
) -> None:
    standin.trello.revoke(TOKEN)
    ends_at = clock.now() + days * DAY_S
    standin.trello.add_token(TOKEN, standin.trello.me["id"], expires=ends_at, write=False)
    findings = await found(config, clock)
    assert findings.lines[1] == "scopes:  read"
    assert findings.lines[2].endswith(f", in {days} days")
    assert (len(findings.lines) == 4) is warned


async def test_what_trello_does_not_accept_is_no_good(config: Config, clock: FakeClock) -> None:
    findings = await found(config, clock, "0" * 64)
    assert findings == CredentialReport(
        ("Trello does not accept the key and token.",), is_usable=False
    )


async def test_without_a_trello_it_says_so(
    config: Config, clock: FakeClock, standin: FakeTrello
) -> None:
    await standin.stop()
    findings = await found(config, clock)
    assert not findings.is_usable
    sentence, reason = findings.lines
    assert sentence == "Trello's address refuses connections; try again later."
    assert reason.startswith(f"{standin.url.removeprefix('http://')}: ECONNREFUSED")


async def test_a_name_without_an_address_is_told_as_that(config: Config, clock: FakeClock) -> None:
    named = replace(config, upstream=replace(config.upstream, url="http://trello.invalid"))
    sentence, reason = (await found(named, clock)).lines
    assert "DNS knows no address" in sentence
    assert reason.startswith("trello.invalid:80: gaierror: ")
