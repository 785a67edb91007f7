"""Log of sent requests: what a process used of each token's limits, for its successor. Pure.

Tokens and keys are digests in it. Times are of the process's monotonic clock; they are stored as
ages.
"""

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from enum import IntEnum

from proxy.config.schema import Limits
from proxy.model import Credential, Limit
from proxy.ratelimit.sliding_window import SlidingWindowLimit

MAX_SENDS = 20_000
"""Requests in the log; beyond it the oldest are left out, which a successor can see."""
_TRIM_FROM = 1_000
_WHOLE_TOKEN = frozenset({"key", "token"})


class SendState(IntEnum):
    """What is known of a request."""

    ANSWERED = 0
    IN_FLIGHT = 1
    SHARED = 2
    """Answered, and other programs use the token too, or Trello has sent a 429."""


@dataclass(slots=True)
class Send:
    """One request."""

    token: str
    """Digest of its credential."""
    key: str
    """Digest of its API key."""
    route: str
    """`members` or `search`, if it counts towards that limit."""
    window_s: float
    """The longest window of its limits."""
    at: float
    """When it was sent, or answered."""
    state: SendState = SendState.IN_FLIGHT


def token_text(credential: Credential) -> str:
    """What the digest of a token is made of."""
    return f"sent with token:{credential.key}:{credential.token}"


def key_text(key: str) -> str:
    """What the digest of an API key is made of."""
    return f"sent with key:{key}"


def longest_window_s(limits: Limits) -> float:
    """After so long nothing counts any more."""
    rates = limits.token, limits.key, limits.members, limits.search
    return max(rate.window_s for rate in rates)


class PriorSends:
    """What earlier processes used, as far as it is known."""

    def __init__(
        self,
        now: Callable[[], float],
        ends_at: float,
        sends: Collection[Send] = (),
        *,
        digest: Callable[[str], str] | None = None,
        is_known: bool = False,
    ) -> None:
        """`ends_at`: when nothing of it counts any more. `digest`: needed if there are `sends`."""
        self._now = now
        self._ends_at = ends_at
        self._digest = digest
        self._is_known = is_known
        self._by_owner: dict[str, list[Send]] = {}
        for send in sends:
            self._by_owner.setdefault(send.token, []).append(send)
            self._by_owner.setdefault(send.key, []).append(send)

    def count_in(self, owner: str, limits: Mapping[Limit, SlidingWindowLimit]) -> None:
        """Count in new limits what was used of them; doubt them if that is not known.

        `owner`: text of the token or key, as above.
        """
        if self._now() >= self._ends_at:
            self._by_owner.clear()
            return
        sends: list[Send] = []
        if self._by_owner and self._digest is not None:
            sends = self._by_owner.get(self._digest(owner), [])
        for name, limit in limits.items():
            own = [send for send in sends if name in _WHOLE_TOKEN or name == send.route]
            own.sort(key=lambda send: send.at)
            limit.count_prior(send.at for send in own)
            if not self._is_known or (own and own[-1].state is SendState.SHARED):
                limit.doubt()


class SendLog:
    """Requests of this process and its predecessors that still count, by number."""

    def __init__(self, digest: Callable[[str], str], prior: Collection[Send] = ()) -> None:
        self.digest = digest
        self.sends: dict[int, Send] = dict(enumerate(prior))
        self.changed: dict[int, None] = dict.fromkeys(self.sends)
        """Numbers of those whose state is to be stored."""
        self.is_whole = True
        """Whether none was left out."""
        self.on_change: Callable[[], None] = lambda: None
        """Called after each change."""
        self._number = len(self.sends)
        self._trim_from = _TRIM_FROM

    def sent(self, send: Send) -> int:
        """Number of a request that is sent now."""
        self._number += 1
        self.sends[self._number] = send
        if len(self.sends) > self._trim_from:
            self._trim(send.at)
        self._change(self._number)
        return self._number

    def ended(self, number: int, now: float, *, is_shared: bool) -> None:
        """The request was answered, or lost."""
        send = self.sends.get(number)
        if send is not None:
            send.at, send.state = now, SendState.SHARED if is_shared else SendState.ANSWERED
            self._change(number)

    def unsent(self, number: int) -> None:
        """The request was not sent, so it counts no more."""
        send = self.sends.get(number)
        if send is not None:
            self.ended(number, send.at - send.window_s, is_shared=False)

    def _change(self, number: int) -> None:
        self.changed[number] = None
        self.on_change()

    def _trim(self, now: float) -> None:
        """Forget what does not count any more, and what there is no room for."""
        for number, send in [*self.sends.items()]:
            is_over = send.state is not SendState.IN_FLIGHT and send.at + send.window_s <= now
            if is_over or len(self.sends) > MAX_SENDS:
                self.is_whole &= is_over
                del self.sends[number]
                self.changed.pop(number, None)
        self._trim_from = min(MAX_SENDS, max(_TRIM_FROM, 2 * len(self.sends)))
