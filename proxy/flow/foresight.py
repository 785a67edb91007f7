"""What a read would be told now, said without asking Trello and without serving it."""

from dataclasses import dataclass

from proxy.flow.ask import ApiRequest
from proxy.flow.landed import LookupResult
from proxy.model import Fwd, Outcome, StoredResponse
from proxy.policy.freshness import Absent, Fresh, Stale, Verdict


@dataclass(frozen=True, slots=True)
class Prediction:
    """A read under its key, what is stored for it, and what its Cache-Status would say."""

    request: ApiRequest
    lookup: LookupResult
    outcome: Outcome


def outcome_for(found: LookupResult) -> Outcome:
    """A hit, fresh or stale; or why Trello would be asked."""
    match found.verdict:
        case Fresh(ttl_s):
            return Outcome(hit=True, ttl_s=int(ttl_s), detail=found.detail)
        case Stale(while_revalidate=True) as stale:
            return Outcome(hit=True, ttl_s=stale.ttl_s)
        case Stale() | Absent():
            return Outcome(fwd=forward_reason(found.stored, found.verdict))


def forward_reason(stored: StoredResponse | None, verdict: Verdict) -> Fwd:
    """What is stored and not past its lifetime was the client's own to refuse (RFC 9211 §2.2)."""
    if stored is None:
        return Fwd.URI_MISS
    refused = isinstance(verdict, Stale) and verdict.refused
    return Fwd.REQUEST if refused else Fwd.STALE
