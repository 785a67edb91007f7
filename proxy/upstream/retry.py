"""Retries: whether a failed request may be sent once more, and when. Deterministic, no I/O.

Retried is what cannot take effect twice: a read whose connection ended, and any request of which
nothing was sent. Not a timeout, as the client has waited long enough; not a response, least of all
a 429.
"""

from proxy.errors import (
    ConnectionTerminated,
    Unreachable,
    UpstreamError,
)

SHARE = 0.1
"""Retries per first request."""
MAX_SAVED = 10.0
MAX_PAUSE_S = 0.2
"""Before the retry of a request that was not sent. A reused connection that had ended is retried at
once."""


class RetryBudget:
    """Retries that all requests together may use: a request adds SHARE, a retry takes one."""

    def __init__(self) -> None:
        self._saved = MAX_SAVED

    def add(self) -> None:
        """Count a first request."""
        self._saved = min(MAX_SAVED, self._saved + SHARE)

    @property
    def is_spent(self) -> bool:
        """Whether no retry is left."""
        return self._saved < 1

    def take(self) -> bool:
        """Whether a retry is left; it is used up then."""
        if self.is_spent:
            return False
        self._saved -= 1
        return True


def may_retry(error: UpstreamError, *, is_read: bool, is_repeatable: bool) -> bool:
    """Whether a retry is harmless and may succeed.

    `is_read`: the method is safe (RFC 9110 §9.2.1), and there is no body. `is_repeatable`: the
    body, if any, is in memory.
    """
    match error:
        case ConnectionTerminated():
            return is_read
        case Unreachable():
            return is_repeatable
        case _:
            return False


def pause_s(error: UpstreamError, jitter: float) -> float:
    """Seconds to wait before the retry; `jitter` is between 0 and 1."""
    return 0.0 if error.sent else MAX_PAUSE_S * (1 + jitter) / 2
