"""What Trello says of the configured credentials: whose they are, what they may do, until when."""

from collections.abc import Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass
from datetime import UTC, datetime

from proxy.clock import Clock
from proxy.config import Config
from proxy.equipment import Equipment
from proxy.errors import UpstreamError
from proxy.flow.custodian import WARN_DAYS
from proxy.flow.exchange import Exchange
from proxy.flow.identity import Partitions, StoredIdentity
from proxy.flow.inquiry import Inquiry, NotAccepted
from proxy.flow.outlook import Outlook
from proxy.flow.sending import Sending
from proxy.flow.turns import Turns
from proxy.log import Log
from proxy.memory_budget import MemoryBudget
from proxy.metrics import Metrics
from proxy.model import Credential
from proxy.policy.routes import RouteTable
from proxy.policy.scrub import Scrubber
from proxy.policy.token_facts import Member, TokenFacts, days_left


@dataclass(frozen=True, slots=True)
class Findings:
    """Lines to print; `is_good` unless the credentials cannot be used."""

    lines: tuple[str, ...]
    is_good: bool


async def look(
    config: Config, credential: Credential, clock: Clock, random: Callable[[int], bytes]
) -> Findings:
    """Ask Trello two questions."""
    metrics, log = Metrics(), Log(lambda _: None, clock)
    async with AsyncExitStack() as closing:
        turns = Turns(config.limits, clock, random, metrics)
        closing.push_async_callback(turns.stop)
        stored = StoredIdentity(credential, Partitions(b"", ""))
        outlook = Outlook(stored, clock, log, random)
        upstream = Equipment(config, clock, log, closing).upstream()
        exchange = Exchange(
            Sending(upstream, turns, outlook, metrics, clock),
            config.upstream.url,
            "trello-proxy-check",
            (Scrubber((credential.key, credential.token)), None),
            (metrics, MemoryBudget(config.limits.memory_bytes)),
            clock,
        )
        inquiry = Inquiry(exchange, RouteTable())
        try:
            member, facts = await inquiry.member(credential), await inquiry.token(credential)
        except NotAccepted:
            return Findings(("Trello does not accept the key and token.",), is_good=False)
        except UpstreamError as error:
            return Findings(tuple(filter(None, (str(error), error.reason))), is_good=False)
    return Findings(tuple(_told(member, facts, clock.now())), is_good=True)


def _told(member: Member, facts: TokenFacts, now: float) -> list[str]:
    lines = [f"member:  {member.username} ({member.id})"]
    lines.append(f"scopes:  {', '.join(facts.scopes) or 'none'}")
    if facts.expires_at is None:
        return [*lines, "expires: never"]
    left = days_left(facts.expires_at, now)
    lines.append(
        f"expires: {datetime.fromtimestamp(facts.expires_at, UTC):%Y-%m-%d}, in {left} days"
    )
    if left < WARN_DAYS:
        lines.append("warning: get a new token soon; a changed file is noticed without a restart")
    return lines
