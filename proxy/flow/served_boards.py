"""The boards that answers were stored of lately: those worth a webhook."""

from proxy.clock import Clock
from proxy.flow.ask import ApiRequest
from proxy.model import StoredResponse
from proxy.policy.answers import is_id

MAX_BOARDS = 200
"""A newcomer waits until another one has been idle: webhooks are not made and removed in turns."""
IDLE_S = 86_400.0
_KINDS = frozenset({"board", "cards-of"})


class ActiveBoards:
    """Full ids of boards, and when each was seen last; bounded."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._seen_at: dict[str, float] = {}

    def note(self, request: ApiRequest, stored: StoredResponse) -> None:
        """An answer was stored; what was asked in a client's own name may not be ours to see."""
        if not request.uses_stored_credential:
            return
        for kind, _, name in (tag.partition(":") for tag in stored.tags):
            if kind in _KINDS and is_id(name):
                self.see(name)

    def see(self, board: str) -> None:
        """The board is of use just now."""
        if board in self._seen_at or len(self._seen_at) < MAX_BOARDS:
            self._seen_at[board] = self._clock.monotonic()

    def recent(self) -> list[str]:
        """Those seen within a day."""
        idle_since = self._clock.monotonic() - IDLE_S
        self._seen_at = {board: at for board, at in self._seen_at.items() if at > idle_since}
        return list(self._seen_at)
