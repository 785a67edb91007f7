"""Can requests be served, and as well as they should be? For whoever watches over the proxy."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from proxy.attachments.store.store import AttachmentStore
from proxy.cache.store.store import ResponseStore
from proxy.changes.board_poller import BoardPoller
from proxy.ratelimit.limiter import RateLimiter
from proxy.runtime.clock import Clock
from proxy.upstream.availability import CircuitBreakers
from proxy.upstream.credential_manager import CredentialManager

_DAY_S = 86_400
_TAKEN = "another process uses cache.directory"


@dataclass(frozen=True, slots=True)
class Report:
    """`degraded`: served, and somebody should look. `down`: nothing is there to serve."""

    status: Literal["ready", "degraded", "down"]
    parts: Mapping[str, str | float | None]


class Health:
    """Asks the parts, and nobody else."""

    def __init__(
        self,
        store: tuple[ResponseStore, AttachmentStore],
        limiter: RateLimiter,
        watch: BoardPoller,
        availability: CircuitBreakers,
        credential_manager: CredentialManager,
        clock: Clock,
    ) -> None:
        self._responses, self._files = store
        self._limiter = limiter
        self._poller = watch
        self._availability = availability
        self._credential_manager = credential_manager
        self._clock = clock

    def report(self) -> Report:
        """How it is now."""
        availability, credential_manager = self._availability, self._credential_manager
        resting, refused = availability.open_breakers(), availability.token.is_refused
        good_s = availability.last_success_age_s()
        parts: dict[str, str | float | None] = {
            "store": _store_text(self._responses),
            "files": _files_text(self._files),
            "trello": f"failing; not asked: {', '.join(resting)}" if resting else "ok",
            "token": self._token(),
            "board_poll": _poller_text(self._poller),
            "last_success_age_seconds": None if good_s is None else round(good_s, 3),
            "queue_oldest_seconds": round(self._limiter.oldest_wait_s(), 3),
        }
        cannot_ask = refused or availability.host_state() != "closed"
        if cannot_ask and self._responses.is_empty:
            return Report("down", parts)
        is_late = self._poller.is_late
        works = self._responses.is_working and (self._files.is_working or self._files.is_disabled)
        failing = resting or refused or not works
        is_worse = failing or is_late or credential_manager.is_expiring
        return Report("degraded" if is_worse else "ready", parts)

    def _token(self) -> str:
        if self._availability.token.is_refused:
            return "refused by Trello; stored answers only"
        left_s = self._credential_manager.expires_in_s()
        if left_s is None or not self._credential_manager.is_expiring:
            return "ok"
        return f"expires in {max(0, int(left_s // _DAY_S))} days"


def _store_text(responses: ResponseStore) -> str:
    if responses.is_working:
        return "ok"
    cause = _TAKEN if responses.is_taken else "failing"
    return f"{cause}; answers are kept in memory only"


def _files_text(files: AttachmentStore) -> str:
    if files.is_disabled:
        return "off"
    if files.is_working:
        return "ok"
    return f"{_TAKEN if files.is_taken else 'failing'}; files pass through"


def _poller_text(watch: BoardPoller) -> str:
    if not watch.is_on:
        return "off"
    if watch.is_idle:
        return "asleep; nobody reads"
    return "late; changes made elsewhere show when lifetimes end" if watch.is_late else "ok"
