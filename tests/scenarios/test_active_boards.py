"""Boards that were read within a day, so many at most, and none that is not named in full."""

from proxy.cache.boards import IDLE_S, MAX_ACTIVE_BOARDS, ActiveBoards
from proxy.runtime.clock import FakeClock


def test_a_board_is_served_for_a_day_after_it_was_seen() -> None:
    clock = FakeClock()
    boards = ActiveBoards(clock)
    boards.see("a")
    clock.advance(IDLE_S - 1)
    boards.see("b")
    assert boards.recent() == ["a", "b"]
    clock.advance(1)
    assert boards.recent() == ["b"]
    boards.see("b")
    clock.advance(IDLE_S - 1)
    assert boards.recent() == ["b"]


def test_newcomers_wait_until_there_is_room() -> None:
    clock = FakeClock()
    boards = ActiveBoards(clock)
    for number in range(MAX_ACTIVE_BOARDS):
        boards.see(str(number))
    boards.see("new")
    clock.advance(IDLE_S / 2)
    boards.see("0")
    assert len(boards.recent()) == MAX_ACTIVE_BOARDS
    assert "new" not in boards.recent()
    clock.advance(IDLE_S / 2)
    assert boards.recent() == ["0"]
    boards.see("new")
    assert boards.recent() == ["0", "new"]
