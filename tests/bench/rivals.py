"""What else stands before Trello when too many ask: nginx's `limit_req`, and nothing at all.

Both are played in virtual time by their documented rules, against the stand-in's own limits: a
real nginx does not know another clock than the machine's.
"""

from dataclasses import dataclass, field

from proxy.fake_trello.limits import Limits
from proxy.fake_trello.request import Requester
from proxy.runtime.clock import FakeClock

ME = Requester("m" * 24, "k", "t", may_write=True)
_CARDS = ("cards", "x")
_RATE, _BURST = 10.0, 100


@dataclass(frozen=True, slots=True, order=True)
class Question:
    """Somebody asks something that nobody asked before."""

    at: float
    tool: str
    number: int


@dataclass(slots=True)
class Told:
    """What came of all questions."""

    answered: dict[str, int] = field(default_factory=dict)
    refused_by_trello: int = 0
    refused_by_proxy: int = 0
    locked_s: set[int] = field(default_factory=set)
    """Seconds in which the key was locked."""
    person_waits: list[float] = field(default_factory=list)

    def ask(self, clock: FakeClock, limits: Limits, tool: str, waited_s: float) -> None:
        """A question that reaches Trello."""
        before = limits.is_locked("k")
        if limits.take(ME, _CARDS) is None:
            self.answered[tool] = self.answered.get(tool, 0) + 1
            if tool == "person":
                self.person_waits.append(waited_s)
        else:
            self.refused_by_trello += 1
        if before:
            self.locked_s.add(int(clock.now()))


def no_limiter(questions: list[Question]) -> Told:
    """Every question goes to Trello as it comes."""
    clock, told = FakeClock(0.0), Told()
    limits = Limits(clock, on=True)
    for request in questions:
        clock.advance(request.at - clock.now())
        told.ask(clock, limits, request.tool, 0.0)
    return told


def limit_req(questions: list[Question], until: float) -> Told:
    """`limit_req_zone … rate=10r/s; limit_req burst=100`: a leaky bucket, first come, first served.

    Its excess falls by the rate; a request adds one, is refused where that is more than the burst,
    and else delayed until the excess before it would have run out. Who waits at the end waits on.
    """
    clock, told = FakeClock(0.0), Told()
    limits = Limits(clock, on=True)
    excess, last_at = 0.0, 0.0
    sent: list[tuple[float, Question]] = []
    for request in questions:
        excess = max(0.0, excess - (request.at - last_at) * _RATE + 1)
        if excess - 1 > _BURST:
            excess -= 1
            told.refused_by_proxy += 1
        else:
            sent.append((request.at + (excess - 1) / _RATE, request))
        last_at = request.at
    for at, request in sorted(each for each in sent if each[0] < until):
        clock.advance(at - clock.now())
        told.ask(clock, limits, request.tool, at - request.at)
    return told
