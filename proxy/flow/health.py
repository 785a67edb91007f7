"""Can requests be served, and as well as they should be? For whoever watches over the proxy."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from proxy.clock import Clock
from proxy.flow.custodian import Custodian
from proxy.flow.outlook import Outlook
from proxy.flow.turns import Turns
from proxy.flow.watch import Watch
from proxy.store.files import Files
from proxy.store.responses import Responses

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
        store: tuple[Responses, Files],
        turns: Turns,
        watch: Watch,
        outlook: Outlook,
        custodian: Custodian,
        clock: Clock,
    ) -> None:
        self._responses, self._files = store
        self._turns = turns
        self._watch = watch
        self._outlook = outlook
        self._custodian = custodian
        self._clock = clock

    def report(self) -> Report:
        """How it is now."""
        outlook, custodian = self._outlook, self._custodian
        resting, refused = outlook.resting(), outlook.token.is_refused
        good_s = outlook.last_good_s()
        parts: dict[str, str | float | None] = {
            "store": _store_text(self._responses),
            "files": _files_text(self._files),
            "trello": f"failing; not asked: {', '.join(resting)}" if resting else "ok",
            "token": self._token(),
            "watch": _watch_text(self._watch),
            "last_good_answer_seconds": None if good_s is None else round(good_s, 3),
            "oldest_wait_seconds": round(self._turns.oldest_s(), 3),
        }
        cannot_ask = refused or outlook.host_state() != "closed"
        if cannot_ask and self._responses.is_empty:
            return Report("down", parts)
        is_late = self._watch.is_late
        works = self._responses.works and (self._files.works or self._files.is_off)
        failing = resting or refused or not works
        is_worse = failing or is_late or custodian.is_expiring
        return Report("degraded" if is_worse else "ready", parts)

    def _token(self) -> str:
        if self._outlook.token.is_refused:
            return "refused by Trello; stored answers only"
        left_s = self._custodian.expires_in_s()
        if left_s is None or not self._custodian.is_expiring:
            return "ok"
        return f"expires in {max(0, int(left_s // _DAY_S))} days"


def _store_text(responses: Responses) -> str:
    if responses.works:
        return "ok"
    cause = _TAKEN if responses.is_taken else "failing"
    return f"{cause}; answers are kept in memory only"


def _files_text(files: Files) -> str:
    if files.is_off:
        return "off"
    if files.works:
        return "ok"
    return f"{_TAKEN if files.is_taken else 'failing'}; files pass through"


def _watch_text(watch: Watch) -> str:
    if not watch.is_on:
        return "off"
    if watch.is_asleep:
        return "asleep; nobody reads"
    return "late; changes made elsewhere show when lifetimes end" if watch.is_late else "ok"
