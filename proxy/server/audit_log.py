"""Audit log: writes, refused requests and administrative actions, each with who sent it (D63)."""

from collections import deque

from proxy.access.audit import AuditEntry
from proxy.errors import AuditFailed
from proxy.observability.log import Log
from proxy.runtime.append_file import AppendFile
from proxy.runtime.clock import Clock
from proxy.server.request_context import RequestContext

MAX_RECENT = 100
_REFUSED = frozenset({401, 403, 421})
"""Statuses of requests that were refused, by the proxy or by Trello."""


class AuditLog:
    """Appends entries to the audit file, if there is one, and keeps the last ones."""

    def __init__(self, path: str | None, clock: Clock, log: Log, *, is_required: bool) -> None:
        """`is_required`: a write is not sent unless it is in the file before."""
        self._file = AppendFile(path) if path is not None else None
        self._clock = clock
        self._log = log
        self._is_required = is_required
        self.recent: deque[AuditEntry] = deque(maxlen=MAX_RECENT)
        """The last entries since the start, oldest first."""

    def reopen(self) -> None:
        """Go on in the file of the configured name: the old one was rotated."""
        if self._file is not None:
            try:
                self._file.reopen()
            except OSError as error:
                self._note_failure(error)

    def before_write(self, context: RequestContext) -> None:
        """AuditFailed if entries are required, and that of this write cannot be written."""
        if self._is_required and not self._append(self._entry(context, None, "")):
            raise AuditFailed("Try again later; the operator finds the reason in the proxy's log.")

    def record(self, context: RequestContext, status: int, problem: str) -> None:
        """Add the entry of a request that has ended, if it is of interest."""
        if context.is_audited or status in _REFUSED:
            entry = self._entry(context, status, problem)
            self.recent.append(entry)
            self._append(entry)

    def record_reload(self) -> None:
        """Add the entry of a configuration that was applied on SIGHUP."""
        entry = AuditEntry(
            at=self._clock.now(),
            request_id="",
            client="",
            user="",
            address="",
            method="SIGHUP",
            route="",
            objects=(),
            status=200,
        )
        self.recent.append(entry)
        self._append(entry)

    def close(self) -> None:
        """Close the file."""
        if self._file is not None:
            self._file.close()

    def _entry(self, context: RequestContext, status: int | None, problem: str) -> AuditEntry:
        is_user = context.client.source == "user"
        return AuditEntry(
            at=self._clock.now(),
            request_id=context.request_id,
            client="" if is_user else context.client.name,
            user=context.user,
            address=context.client_address,
            method=context.method,
            route=context.route,
            objects=context.object_ids,
            status=status,
            problem=problem,
        )

    def _append(self, entry: AuditEntry) -> bool:
        if self._file is None:
            return True
        try:
            self._file.write(entry.line())
        except OSError as error:
            self._note_failure(error)
            return False
        return True

    def _note_failure(self, error: OSError) -> None:
        reason = error.strerror or str(error)
        self._log.event_once_a_minute("error", "audit failed", reason=reason)
