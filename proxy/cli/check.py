"""What Trello says of the configured credentials: whose they are, what they may do, until when."""

from collections.abc import Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass
from datetime import UTC, datetime

from proxy.app.factory import (
    ComponentFactory,
)
from proxy.config.schema import Config
from proxy.credentials.identity import CachePartitions, StoredCredential
from proxy.credentials.redaction import Redactor
from proxy.errors import UpstreamError
from proxy.model import Credential
from proxy.observability.log import Log
from proxy.observability.metrics import Metrics
from proxy.ratelimit.limiter import RateLimiter
from proxy.runtime.clock import Clock
from proxy.runtime.memory_budget import MemoryBudget
from proxy.trello.routes import RouteTable
from proxy.trello.token_info import (
    Member,
    TokenInfo,
    days_left,
)
from proxy.upstream.availability import CircuitBreakers
from proxy.upstream.client import UpstreamClient
from proxy.upstream.credential_manager import WARN_DAYS, CredentialRefused, TokenInspector
from proxy.upstream.exchange import UpstreamExchange


@dataclass(frozen=True, slots=True)
class CredentialReport:
    """Lines to print; `is_good` unless the credentials cannot be used."""

    lines: tuple[str, ...]
    is_usable: bool


async def check_credentials(
    config: Config, credential: Credential, clock: Clock, random: Callable[[int], bytes]
) -> CredentialReport:
    """Ask Trello two questions."""
    metrics, log = Metrics(), Log(lambda _: None, clock)
    async with AsyncExitStack() as closing:
        limiter = RateLimiter(config.limits, clock, random, metrics)
        closing.push_async_callback(limiter.stop)
        stored = StoredCredential(credential, CachePartitions(b"", ""))
        availability = CircuitBreakers(stored, clock, log, random)
        upstream = ComponentFactory(config, clock, log, closing).transport()
        exchange = UpstreamExchange(
            UpstreamClient(upstream, limiter, availability, metrics, clock),
            config.upstream.url,
            "trello-proxy-check",
            (Redactor((credential.key, credential.token)), None),
            (metrics, MemoryBudget(config.limits.memory_bytes)),
            clock,
        )
        inquiry = TokenInspector(exchange, RouteTable())
        try:
            member, entries = await inquiry.member(credential), await inquiry.token(credential)
        except CredentialRefused:
            return CredentialReport(("Trello does not accept the key and token.",), is_usable=False)
        except UpstreamError as error:
            return CredentialReport(
                tuple(filter(None, (str(error), error.reason))), is_usable=False
            )
    return CredentialReport(tuple(_format(member, entries, clock.now())), is_usable=True)


def _format(member: Member, entries: TokenInfo, now: float) -> list[str]:
    lines = [f"member:  {member.username} ({member.id})"]
    lines.append(f"scopes:  {', '.join(entries.scopes) or 'none'}")
    if entries.expires_at is None:
        return [*lines, "expires: never"]
    left = days_left(entries.expires_at, now)
    lines.append(
        f"expires: {datetime.fromtimestamp(entries.expires_at, UTC):%Y-%m-%d}, in {left} days"
    )
    if left < WARN_DAYS:
        lines.append("warning: get a new token soon; a changed file is noticed without a restart")
    return lines
