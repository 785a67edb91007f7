"""Who goes next: by urgency, then one of each tool in turn."""

from dataclasses import dataclass

from hypothesis import given
from hypothesis import strategies as st

from proxy.flow.line import MOST_TOOLS, Line
from proxy.model import Urgency

P, T, B, W = Urgency.PERSON, Urgency.TOOL, Urgency.BACKGROUND, Urgency.WARM


@dataclass(eq=False)
class Somebody:
    urgency: Urgency
    tool: str
    number: int = 0


def line_of(*waiters: tuple[Urgency, str]) -> Line[Somebody]:
    line = Line[Somebody]()
    for number, (urgency, tool) in enumerate(waiters):
        line.push(Somebody(urgency, tool, number))
    return line


def served(line: Line[Somebody]) -> list[Somebody]:
    out = []
    while urgencies := line.urgencies():
        out.append(line.first(urgencies[0]))
        line.remove(out[-1])
    return out


def test_the_more_urgent_go_first() -> None:
    order = served(line_of((W, "w"), (B, "a"), (T, "a"), (P, "p"), (T, "a")))
    assert [each.number for each in order] == [3, 2, 4, 1, 0]


def test_tools_take_turns() -> None:
    order = served(line_of(*[(T, "hog")] * 5, (T, "a"), (T, "b"), (T, "a")))
    assert "".join(each.tool[0] for each in order) == "habhahhh"


def test_who_leaves_is_passed_over() -> None:
    line = line_of((T, "a"), (T, "a"), (T, "b"))
    line.remove(line.first(T))
    assert [each.number for each in served(line)] == [2, 1]


def test_tools_beyond_the_most_share_a_turn() -> None:
    tools = [(T, f"tool {n}") for n in range(MOST_TOOLS + 3)]
    line = line_of(*tools, *tools)
    assert len(line) == 2 * MOST_TOOLS + 6
    order = served(line)
    assert [each.tool for each in order[:MOST_TOOLS]] == [f"tool {n}" for n in range(MOST_TOOLS)]
    assert order[MOST_TOOLS].tool == f"tool {MOST_TOOLS}"
    assert len(order) == 2 * MOST_TOOLS + 6


WAITERS = st.lists(st.tuples(st.sampled_from([P, T, B]), st.sampled_from("abcd")), max_size=40)


@given(WAITERS, st.sampled_from([P, T, B]), st.sampled_from("abcd"))
def test_ahead_is_how_many_go_first_and_at_most_half_as_many_again(
    waiters: list[tuple[Urgency, str]], urgency: Urgency, tool: str
) -> None:
    line = line_of(*waiters)
    ahead = line.ahead(urgency, tool)
    last = Somebody(urgency, tool)
    line.push(last)
    first = served(line).index(last)
    assert first <= ahead <= first * 1.5


@given(WAITERS)
def test_everybody_is_served_once_and_each_tool_in_its_own_order(
    waiters: list[tuple[Urgency, str]],
) -> None:
    order = served(line_of(*waiters))
    assert sorted(each.number for each in order) == list(range(len(waiters)))
    for wanted in set(waiters):
        numbers = [each.number for each in order if (each.urgency, each.tool) == wanted]
        assert numbers == sorted(numbers)
