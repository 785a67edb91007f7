"""Leave to send one request to Trello."""

from typing import Protocol

from proxy.flow.account import Account, Lane, Taken
from proxy.model import Fields


class Turns(Protocol):
    """Who is told what came of a turn."""

    def end(self, lane: Lane, taken: Taken, fields: Fields) -> None: ...

    def give_back(self, lane: Lane) -> None: ...

    def stop_limit(self, account: Account, limit: str) -> None: ...


class Turn:
    """Leave to send one request; `end`, `fail` or `throttled` says what came of it."""

    def __init__(self, turns: Turns, lane: Lane, taken: Taken) -> None:
        self._turns = turns
        self._lane = lane
        self._taken = taken

    def end(self, fields: Fields) -> None:
        """It was answered."""
        self._turns.end(self._lane, self._taken, fields)

    def fail(self, *, sent: bool) -> None:
        """There is no answer; unless nothing was `sent`, Trello may have counted it."""
        if sent:
            self.end(())
        else:
            self._turns.give_back(self._lane)

    def throttled(self, limit: str) -> None:
        """Trello refused it for this limit's sake."""
        self._turns.stop_limit(self._lane.account, limit)
