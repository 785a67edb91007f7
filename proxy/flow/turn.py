"""Leave to send one request to Trello."""

from typing import Protocol

from proxy.flow.account import QueueClass, TokenLimits, Usage
from proxy.model import Fields


class PermitIssuer(Protocol):
    """Who is told what came of a turn."""

    def end(self, queue_class: QueueClass, taken: Usage, fields: Fields) -> None: ...

    def release(self, queue_class: QueueClass) -> None: ...

    def stop_limit(self, account: TokenLimits, limit: str) -> None: ...


class Permit:
    """Leave to send one request; `end`, `fail` or `throttled` says what came of it."""

    def __init__(self, limiter: PermitIssuer, queue_class: QueueClass, taken: Usage) -> None:
        self._limiter = limiter
        self._queue_class = queue_class
        self._usage = taken

    def end(self, fields: Fields) -> None:
        """It was answered."""
        self._limiter.end(self._queue_class, self._usage, fields)

    def fail(self, *, sent: bool) -> None:
        """There is no answer; unless nothing was `sent`, Trello may have counted it."""
        if sent:
            self.end(())
        else:
            self._limiter.release(self._queue_class)

    def throttled(self, limit: str) -> None:
        """Trello refused it for this limit's sake."""
        self._limiter.stop_limit(self._queue_class.token_limits, limit)
