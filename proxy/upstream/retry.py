"""May a request that failed be sent once more? Pure: jitter is told.

Only what cannot do anything twice: a read that a connection ended under, or what never left the
machine. Not what was slow: the client has waited enough. Not what was answered, a 429 least of all.
"""

from proxy.errors import (
    ConnectionTerminated,
    Unreachable,
    UpstreamError,
)

SHARE = 0.1
"""Of all requests: so many of them may be sent again."""
MAX_SAVED = 10.0
MAX_PAUSE_S = 0.2
"""Before what could not be sent is tried again; a kept connection that had ended is no reason."""


class RetryBudget:
    """What all requests together may repeat: each first one adds a little, a repeat takes one."""

    def __init__(self) -> None:
        self._saved = MAX_SAVED

    def add(self) -> None:
        """A request was sent for the first time."""
        self._saved = min(MAX_SAVED, self._saved + SHARE)

    @property
    def is_spent(self) -> bool:
        """Whether nothing may be repeated now."""
        return self._saved < 1

    def take(self) -> bool:
        """Whether one more repeat is within it; it is counted then."""
        if self.is_spent:
            return False
        self._saved -= 1
        return True


def may_repeat(error: UpstreamError, *, is_read: bool, is_whole: bool) -> bool:
    """Whether sending it once more can do no harm, and may help.

    `is_read`: it is safe (RFC 9110 §9.2.1) and has no body. `is_whole`: its body, if any, is there
    to be sent again.
    """
    match error:
        case ConnectionTerminated():
            return is_read
        case Unreachable():
            return is_whole
        case _:
            return False


def pause_s(error: UpstreamError, jitter: float) -> float:
    """Seconds to wait before it; `jitter` is between 0 and 1."""
    return 0.0 if error.sent else MAX_PAUSE_S * (1 + jitter) / 2
