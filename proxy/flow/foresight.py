"""What a read would be told now, said without asking Trello and without serving it."""

from dataclasses import dataclass

from proxy.flow.ask import Ask
from proxy.flow.landed import Found
from proxy.model import Fwd, Outcome, StoredResponse
from proxy.policy.freshness import Absent, Fresh, Stale, Verdict


@dataclass(frozen=True, slots=True)
class Foreseen:
    """A read under its key, what is stored for it, and what its Cache-Status would say."""

    ask: Ask
    found: Found
    outcome: Outcome


def outcome_of(found: Found) -> Outcome:
    """A hit, fresh or stale; or why Trello would be asked."""
    match found.verdict:
        case Fresh(ttl_s):
            return Outcome(hit=True, ttl_s=int(ttl_s), detail=found.detail)
        case Stale(while_revalidate=True) as stale:
            return Outcome(hit=True, ttl_s=stale.ttl_s)
        case Stale() | Absent():
            return Outcome(fwd=reason_of(found.stored, found.verdict))


def reason_of(stored: StoredResponse | None, verdict: Verdict) -> Fwd:
    """What is stored and not past its lifetime was the client's own to refuse (RFC 9211 §2.2)."""
    if stored is None:
        return Fwd.URI_MISS
    refused = isinstance(verdict, Stale) and verdict.refused
    return Fwd.REQUEST if refused else Fwd.STALE
