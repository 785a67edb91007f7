"""Retries: of which errors, how many, and after how long."""

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
from proxy.upstream.client import MAX_PAUSE_S, MAX_SAVED, RetryBudget, may_retry, pause_s

RETRIED: dict[str, tuple[UpstreamError, bool, bool, bool]] = {
    "a read whose connection ended": (ConnectionTerminated(""), True, True, True),
    "a write whose connection ended may have taken effect": (
        ConnectionTerminated(""),
        False,
        True,
        False,
    ),
    "a write that was not sent": (Unreachable(""), False, True, True),
    "a streamed upload that was not sent": (Unreachable(""), False, False, False),
    "a read that was slow": (ResponseTimeout(""), True, True, False),
    "a read without a connection in time": (ConnectTimeout(""), True, True, False),
    "a read whose body was truncated": (IncompleteResponse(""), True, True, False),
    "a read with an invalid response": (InvalidResponse(""), True, True, False),
    "a read while the circuit is open": (CircuitOpen(1), True, True, False),
    "a read beyond the limits": (RateLimited("", "", 1), True, True, False),
}


@pytest.mark.parametrize(
    ("error", "is_read", "is_repeatable", "retried"), RETRIED.values(), ids=RETRIED.keys()
)
def test_may_retry(
    error: UpstreamError, *, is_read: bool, is_repeatable: bool, retried: bool
) -> None:
    assert may_retry(error, is_read=is_read, is_repeatable=is_repeatable) is retried


def test_a_reused_connection_that_ended_is_no_reason_to_wait() -> None:
    assert pause_s(ConnectionTerminated(""), 1.0) == 0
    assert [pause_s(Unreachable(""), jitter) for jitter in (0.0, 1.0)] == [
        MAX_PAUSE_S / 2,
        MAX_PAUSE_S,
    ]


@given(st.lists(st.booleans(), max_size=400))
def test_retries_are_a_tenth_of_the_requests_and_ten_more_at_most(wanted: list[bool]) -> None:
    budget, sent, retried = RetryBudget(), 0, 0
    for wants_retry in wanted:
        budget.add()
        sent += 1
        retried += wants_retry and budget.take()
    assert retried <= MAX_SAVED + sent / 10


def test_a_spent_budget_grows_with_each_request() -> None:
    budget = RetryBudget()
    assert [budget.take() for _ in range(11)] == [True] * 10 + [False]
    for _ in range(11):
        budget.add()
    assert [budget.take() for _ in range(2)] == [True, False]
