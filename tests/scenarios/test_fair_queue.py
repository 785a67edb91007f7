"""Who goes next: by urgency, then one of each tool in turn."""

from dataclasses import dataclass

from hypothesis import given
from hypothesis import strategies as st

from proxy.model import Priority
from proxy.ratelimit.fair_queue import MAX_CLIENTS, FairQueue

P, T, B, W = Priority.INTERACTIVE, Priority.API, Priority.BACKGROUND, Priority.PREFETCH


@dataclass(eq=False)
class Waiting:
    priority: Priority
    client: str
    number: int = 0


def line_of(*waiters: tuple[Priority, str]) -> FairQueue[Waiting]:
    line = FairQueue[Waiting]()
    for number, (priority, tool) in enumerate(waiters):
        line.push(Waiting(priority, tool, number))
    return line


def served(line: FairQueue[Waiting]) -> list[Waiting]:
    out = []
    while urgencies := line.priorities():
        out.append(line.first(urgencies[0]))
        line.remove(out[-1])
    return out


def test_the_more_urgent_go_first() -> None:
    order = served(line_of((W, "w"), (B, "a"), (T, "a"), (P, "p"), (T, "a")))
    assert [each.number for each in order] == [3, 2, 4, 1, 0]


def test_tools_take_turns() -> None:
    order = served(line_of(*[(T, "hog")] * 5, (T, "a"), (T, "b"), (T, "a")))
    assert "".join(each.client[0] for each in order) == "habhahhh"


def test_who_leaves_is_passed_over() -> None:
    line = line_of((T, "a"), (T, "a"), (T, "b"))
    line.remove(line.first(T))
    assert [each.number for each in served(line)] == [2, 1]


def test_tools_beyond_the_most_share_a_turn() -> None:
    tools = [(T, f"tool {n}") for n in range(MAX_CLIENTS + 3)]
    line = line_of(*tools, *tools)
    assert len(line) == 2 * MAX_CLIENTS + 6
    order = served(line)
    assert [each.client for each in order[:MAX_CLIENTS]] == [
        f"tool {n}" for n in range(MAX_CLIENTS)
    ]
    assert order[MAX_CLIENTS].client == f"tool {MAX_CLIENTS}"
    assert len(order) == 2 * MAX_CLIENTS + 6


WAITERS = st.lists(st.tuples(st.sampled_from([P, T, B]), st.sampled_from("abcd")), max_size=40)


@given(WAITERS, st.sampled_from([P, T, B]), st.sampled_from("abcd"))
def test_ahead_is_how_many_go_first_and_at_most_half_as_many_again(
    waiters: list[tuple[Priority, str]], urgency: Priority, tool: str
) -> None:
    line = line_of(*waiters)
    ahead = line.ahead(urgency, tool)
    last = Waiting(urgency, tool)
    line.push(last)
    first = served(line).index(last)
    assert first <= ahead <= first * 1.5


@given(WAITERS)
def test_everybody_is_served_once_and_each_tool_in_its_own_order(
    waiters: list[tuple[Priority, str]],
) -> None:
    order = served(line_of(*waiters))
    assert sorted(each.number for each in order) == list(range(len(waiters)))
    for wanted in set(waiters):
        numbers = [each.number for each in order if (each.priority, each.client) == wanted]
        assert numbers == sorted(numbers)
