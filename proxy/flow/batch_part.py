"""One read of a batch: what is known of it, and what it got."""

from collections.abc import Sequence
from dataclasses import dataclass

from proxy.flow.ask import ApiRequest
from proxy.flow.foresight import forward_reason
from proxy.flow.read_through import may_serve_stale_if_error
from proxy.model import Fwd, StoredResponse
from proxy.policy.batch import Item
from proxy.policy.freshness import Absent, Fresh, Stale, Verdict
from proxy.policy.trouble import is_upstream_failure


@dataclass(frozen=True, slots=True)
class PartLookup:
    """One read of a batch, and what is known of it."""

    request: ApiRequest
    stored: StoredResponse | None
    verdict: Verdict

    @property
    def may_revalidate_later(self) -> bool:
        """Whether it can be answered before Trello is asked."""
        return isinstance(self.verdict, Fresh) or (
            isinstance(self.verdict, Stale) and self.verdict.while_revalidate
        )

    @property
    def ttl_s(self) -> int:
        """What remains of its life, in RFC 9211's sense; 0 where there is none."""
        return 0 if isinstance(self.verdict, Absent) else int(self.verdict.ttl_s)

    def fresher_than(self, piece: "PartResult") -> bool:
        """Whether what is stored is to be used, because Trello is in trouble with this part."""
        return (
            isinstance(piece, Item)
            and may_serve_stale_if_error(self.verdict)
            and is_upstream_failure(
                piece.status, piece.raw, own=self.request.uses_stored_credential
            )
        )


PartResult = StoredResponse | Item
"""What a part got: it is stored now, or it is this asker's alone."""


def batch_forward_reason(wanted: Sequence[PartLookup]) -> Fwd:
    """The weightiest of their reasons (RFC 9211 §2.2)."""
    reasons = {forward_reason(part.stored, part.verdict) for part in wanted}
    return next(fwd for fwd in (Fwd.URI_MISS, Fwd.STALE, Fwd.REQUEST) if fwd in reasons)
