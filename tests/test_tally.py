"""What tools ask and spend, and what Trello would have refused them."""

from hypothesis import given
from hypothesis import strategies as st

from proxy.tally import MOST_TOOLS, OTHER, OWN, REST_S, WINDOW_REQUESTS, WINDOW_S, Tally

AT = 1_800_000_000.0
"""The beginning of a window."""


def asked(tally: Tally, times: int, at: float) -> None:
    for _ in range(times):
        tally.ask("curl", at)


def test_a_hundred_in_a_window_pass() -> None:
    tally = Tally()
    asked(tally, WINDOW_REQUESTS, AT)
    asked(tally, WINDOW_REQUESTS, AT + WINDOW_S)
    assert (tally.requests, tally.throttled) == (2 * WINDOW_REQUESTS, 0)


def test_each_one_more_in_a_window_would_have_been_refused() -> None:
    tally = Tally()
    asked(tally, WINDOW_REQUESTS, AT)
    asked(tally, 7, AT + WINDOW_S - 0.001)
    assert tally.throttled == 7


def test_a_window_is_forgotten_when_the_next_one_begins() -> None:
    tally = Tally()
    asked(tally, WINDOW_REQUESTS + 5, AT)
    asked(tally, 5, AT + WINDOW_S)
    assert tally.throttled == 5


def test_all_tools_share_the_limit() -> None:
    tally = Tally()
    for number in range(WINDOW_REQUESTS + 1):
        tally.ask(f"tool{number % 2}", AT)
    assert tally.throttled == 1


def test_a_tool_has_what_it_asked_and_what_was_spent_for_it() -> None:
    tally = Tally()
    asked(tally, 3, AT)
    tally.spend("curl")
    tally.spend("sync")
    assert tally.asked == {OTHER: 0, OWN: 0, "curl": 3, "sync": 0}
    assert tally.spent == {OTHER: 0, OWN: 0, "curl": 1, "sync": 1}


@given(st.lists(st.tuples(st.booleans(), st.integers(0, 3 * MOST_TOOLS)), max_size=400))
def test_tools_are_bounded_and_nothing_is_lost(events: list[tuple[bool, int]]) -> None:
    tally = Tally()
    for is_spent, number in events:
        if is_spent:
            tally.spend(f"t{number}")
        else:
            tally.ask(f"t{number}", AT)
    assert len(tally.asked) == len(tally.spent) <= MOST_TOOLS
    assert sum(tally.asked.values()) == tally.requests
    assert sum(tally.spent.values()) == sum(is_spent for is_spent, _ in events)


def test_tools_that_ask_no_more_make_room_for_others() -> None:
    tally = Tally()
    for number in range(MOST_TOOLS):
        tally.ask(f"t{number}", AT)
    tally.ask("late", AT)
    assert "late" not in tally.asked
    for _ in range(3):
        tally.ask("t1", AT + REST_S + 1)
    tally.ask("new", AT + REST_S + 1)
    assert "new" in tally.asked
    assert tally.asked["t1"] == 4
    assert "t2" not in tally.asked
    assert len(tally.asked) == len(tally.spent) <= MOST_TOOLS
    assert tally.requests == MOST_TOOLS + 1 + 3 + 1


def test_what_was_spent_for_tools_that_left_still_counts() -> None:
    tally = Tally()
    for number in range(MOST_TOOLS):
        tally.ask(f"t{number}", AT)
        tally.spend(f"t{number}")
    tally.ask("a", AT)
    tally.ask("b", AT + REST_S + 1)
    assert sum(tally.spent.values()) < tally.sent == MOST_TOOLS
