"""Readiness report of `/readyz`: whether requests can be served, and what is degraded."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from proxy.attachments.store.store import AttachmentStore
from proxy.cache.store.store import ResponseStore
from proxy.changes.board_poller import BoardPoller
from proxy.ratelimit.limiter import RateLimiter
from proxy.upstream.availability import CircuitBreakers
from proxy.upstream.credential_manager import CredentialManager

_DAY_S = 86_400
_TAKEN = "another process uses cache.directory"


@dataclass(frozen=True, slots=True)
class Report:
    """`degraded`: served, but the operator should look. `down`: nothing can be served."""

    status: Literal["ready", "degraded", "down"]
    parts: Mapping[str, str | float | None]
    """State of each part; figures in seconds."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Health:
    """Derives the report from the state of the parts; sends nothing upstream."""

    responses: ResponseStore
    files: AttachmentStore
    limiter: RateLimiter
    poller: BoardPoller
    availability: CircuitBreakers
    credential_manager: CredentialManager

    def report(self) -> Report:
        """The report as of now."""
        circuits, is_refused = self.availability.open_breakers(), self.availability.token.is_refused
        success_age_s = self.availability.last_success_age_s()
        parts: dict[str, str | float | None] = {
            "store": _store_text(self.responses),
            "files": _files_text(self.files),
            "trello": f"failing; circuit open: {', '.join(circuits)}" if circuits else "ok",
            "token": self._token_text(),
            "board_poll": _poller_text(self.poller),
            "last_success_age_seconds": None if success_age_s is None else round(success_age_s, 3),
            "queue_oldest_seconds": round(self.limiter.oldest_wait_s(), 3),
        }
        if self._is_down():
            return Report("down", parts)
        faults = (
            circuits,
            is_refused,
            not self.responses.is_working,
            not (self.files.is_working or self.files.is_disabled),
            self.poller.is_late,
            self.credential_manager.is_expiring,
        )
        return Report("degraded" if any(faults) else "ready", parts)

    def _is_down(self) -> bool:
        """Whether no upstream request can be sent and no response is stored."""
        is_closed = self.availability.host_state() == "closed"
        can_send = is_closed and not self.availability.token.is_refused
        return not can_send and self.responses.is_empty

    def _token_text(self) -> str:
        if self.availability.token.is_refused:
            return "refused by Trello; stored responses only"
        remaining_s = self.credential_manager.expires_in_s()
        if remaining_s is None or not self.credential_manager.is_expiring:
            return "ok"
        return f"expires in {max(0, int(remaining_s // _DAY_S))} days"


def _store_text(responses: ResponseStore) -> str:
    if responses.is_working:
        return "ok"
    return f"{responses.taken or 'failing'}; responses are stored in memory only"


def _files_text(files: AttachmentStore) -> str:
    if files.is_disabled:
        return "off"
    if files.is_working:
        return "ok"
    return f"{_TAKEN if files.is_taken else 'failing'}; files are not stored"


def _poller_text(poller: BoardPoller) -> str:
    if not poller.is_on:
        return "off"
    if poller.is_idle:
        return "idle; there are no requests"
    return "late; changes made elsewhere show when lifetimes end" if poller.is_late else "ok"
