"""`check --online`: verifies the key and token with Trello, and inspects Redis if it is used."""

import asyncio
import secrets
import sys
from argparse import Namespace
from collections.abc import Callable, Iterable
from contextlib import AsyncExitStack
from dataclasses import dataclass
from datetime import UTC, datetime

from proxy.app.factory import build_transport
from proxy.cli.check import print_config
from proxy.config.schema import Config
from proxy.credentials.identity import CachePartitions, StoredCredential
from proxy.credentials.redaction import Redactor
from proxy.errors import UpstreamError
from proxy.model import Credential
from proxy.observability.log import Log
from proxy.observability.metrics import Metrics
from proxy.ratelimit.limiter import RateLimiter
from proxy.runtime.clock import Clock, SystemClock
from proxy.runtime.memory_budget import MemoryBudget
from proxy.trello.routes import RouteTable
from proxy.trello.token_info import Member, TokenInfo, days_left
from proxy.upstream.availability import CircuitBreakers
from proxy.upstream.client import UpstreamClient
from proxy.upstream.credential_manager import WARN_DAYS, CredentialRefused, TokenInspector
from proxy.upstream.egress import egress_of
from proxy.upstream.exchange import UpstreamExchange


def run(options: Namespace) -> int:
    """The exit code."""
    config, credential = print_config(options)
    clock = SystemClock()
    report = asyncio.run(check_credentials(config, credential, clock, secrets.token_bytes))
    is_usable = _print(report.lines, report.is_usable)
    if config.cache.redis_url:
        from proxy.cache.store.redis_inspection import inspect_redis  # noqa: PLC0415 — an extra

        redis = asyncio.run(inspect_redis(config.cache.redis_url, config.redis, clock))
        is_usable &= _print(redis.lines, redis.is_usable)
    if config.fleet.listen is not None:
        from proxy.fleet.inspection import inspect_fleet  # noqa: PLC0415 — as above

        lines = asyncio.run(inspect_fleet(config.cache.redis_url, config.redis.name, clock))
        _print(lines, is_usable=True)
    return 0 if is_usable else 1


def _print(lines: Iterable[str], is_usable: bool) -> bool:  # noqa: FBT001 — of a report
    print("\n".join(lines), file=sys.stdout if is_usable else sys.stderr)
    return is_usable


@dataclass(frozen=True, slots=True)
class CredentialReport:
    """Result of the check, as lines to print."""

    lines: tuple[str, ...]
    is_usable: bool


async def check_credentials(
    config: Config, credential: Credential, clock: Clock, random: Callable[[int], bytes]
) -> CredentialReport:
    """Send two requests to Trello."""
    metrics, log = Metrics(), Log(lambda _: None, clock)
    async with AsyncExitStack() as closing:
        limiter = RateLimiter(config.limits, clock, random, metrics)
        closing.push_async_callback(limiter.stop)
        stored = StoredCredential(credential, CachePartitions(b"", ""))
        availability = CircuitBreakers(stored, clock, log, random)
        transport = build_transport(config, egress_of(config.upstream))
        closing.push_async_callback(transport.close)
        client = UpstreamClient(
            transport,
            limiter=limiter,
            availability=availability,
            metrics=metrics,
            clock=clock,
            random_bytes=random,
        )
        exchange = UpstreamExchange(
            client,
            origin=config.upstream.url,
            via="trello-proxy-check",
            redactor=Redactor((credential.key, credential.token)),
            link_rewriter=None,
            metrics=metrics,
            memory=MemoryBudget(config.limits.memory_bytes),
            clock=clock,
        )
        inspector = TokenInspector(exchange, RouteTable())
        try:
            member, info = await inspector.member(credential), await inspector.token(credential)
        except CredentialRefused:
            return CredentialReport(("Trello does not accept the key and token.",), is_usable=False)
        except UpstreamError as error:
            return CredentialReport(
                tuple(filter(None, (str(error), error.reason))), is_usable=False
            )
    return CredentialReport(tuple(_format(member, info, clock.now())), is_usable=True)


def _format(member: Member, info: TokenInfo, now: float) -> list[str]:
    lines = [f"member:  {member.username} ({member.id})"]
    lines.append(f"scopes:  {', '.join(info.scopes) or 'none'}")
    if info.expires_at is None:
        return [*lines, "expires: never"]
    left = days_left(info.expires_at, now)
    date = datetime.fromtimestamp(info.expires_at, UTC)
    lines.append(f"expires: {date:%Y-%m-%d}, in {left} days")
    if left < WARN_DAYS:
        lines.append("warning: get a new token soon; a changed file is noticed without a restart")
    return lines
