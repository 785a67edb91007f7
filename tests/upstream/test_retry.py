"""What may be sent again, how often, and after how long."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.errors import (
    CircuitOpen,
    ConnectionTerminated,
    ConnectTimeout,
    IncompleteResponse,
    InvalidResponse,
    RateLimited,
    ResponseTimeout,
    Unreachable,
    UpstreamError,
)
from proxy.upstream.retry import (
    MAX_PAUSE_S,
    MAX_SAVED,
    RetryBudget,
    may_repeat,
    pause_s,
)

REPEATED: dict[str, tuple[UpstreamError, bool, bool, bool]] = {
    "a read whose connection ended": (ConnectionTerminated(""), True, True, True),
    "a write whose connection ended may have been made": (
        ConnectionTerminated(""),
        False,
        True,
        False,
    ),
    "a write that never left": (Unreachable(""), False, True, True),
    "an upload that never left, and is gone": (Unreachable(""), False, False, False),
    "a read that was slow": (ResponseTimeout(""), True, True, False),
    "a read that nobody took in time": (ConnectTimeout(""), True, True, False),
    "a read that was cut": (IncompleteResponse(""), True, True, False),
    "a read that makes no sense": (InvalidResponse(""), True, True, False),
    "a read that was not sent, for Trello's good": (CircuitOpen(1), True, True, False),
    "a read beyond the limits": (RateLimited("", "", 1), True, True, False),
}


@pytest.mark.parametrize(
    ("error", "is_read", "is_whole", "repeated"), REPEATED.values(), ids=REPEATED.keys()
)
def test_may_repeat(error: UpstreamError, *, is_read: bool, is_whole: bool, repeated: bool) -> None:
    assert may_repeat(error, is_read=is_read, is_whole=is_whole) is repeated


def test_a_kept_connection_that_ended_is_no_reason_to_wait() -> None:
    assert pause_s(ConnectionTerminated(""), 1.0) == 0
    assert [pause_s(Unreachable(""), jitter) for jitter in (0.0, 1.0)] == [
        MAX_PAUSE_S / 2,
        MAX_PAUSE_S,
    ]


@given(st.lists(st.booleans(), max_size=400))
def test_repeats_are_a_tenth_of_the_requests_and_ten_more_at_most(asks: list[bool]) -> None:
    budget, sent, repeated = RetryBudget(), 0, 0
    for wants_repeat in asks:
        budget.add()
        sent += 1
        repeated += wants_repeat and budget.take()
    assert repeated <= MAX_SAVED + sent / 10


def test_a_budget_that_is_used_up_grows_with_what_is_sent() -> None:
    budget = RetryBudget()
    assert [budget.take() for _ in range(11)] == [True] * 10 + [False]
    for _ in range(11):
        budget.add()
    assert [budget.take() for _ in range(2)] == [True, False]
