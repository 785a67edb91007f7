"""Bytes held for clients: never more than the bound, and the books balance."""

from dataclasses import dataclass, field
from typing import Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.errors import ClientBusy, MemoryFull
from proxy.runtime.memory_budget import ClientUse, Hold, MemoryBudget

LIMIT = 1000


@dataclass(eq=False)
class Connection:
    """Counts how often it was aborted."""

    aborted: int = 0
    client: str = ""

    def abort(self) -> None:
        self.aborted += 1


@dataclass
class Told:
    times: int = 0

    def __call__(self) -> None:
        self.times += 1


def test_a_hold_takes_and_gives_back_what_it_took() -> None:
    budget = MemoryBudget(LIMIT)
    hold = budget.hold()
    hold.take("requests", 300)
    hold.take("requests", 100)
    hold.take("responses", 200)
    assert budget.used_bytes == {"requests": 400, "responses": 200, "buffers": 0}
    hold.give_back("requests", 150)
    assert budget.used_bytes["requests"] == 250
    hold.release()
    hold.release()
    assert budget.total_bytes == 0


def test_what_does_not_fit_three_quarters_is_refused_and_not_counted() -> None:
    told = Told()
    budget = MemoryBudget(LIMIT, told)
    budget.hold().take("requests", 700)
    with pytest.raises(MemoryFull):
        budget.hold().take("responses", 51)
    assert (budget.total_bytes, told.times) == (700, 1)
    budget.hold().take("responses", 50)


def test_the_connection_whose_buffer_was_full_longest_makes_room() -> None:
    told = Told()
    budget = MemoryBudget(LIMIT, told)
    first, second, third = Connection(), Connection(), Connection()
    for each in (first, second):
        budget.buffer(each, 400)
    budget.buffer(first, 500)
    assert (first.aborted, second.aborted) == (0, 0)
    budget.buffer(third, 300)
    assert (first.aborted, second.aborted, third.aborted) == (1, 0, 0)
    assert budget.used_bytes["buffers"] == 700
    assert (budget.aborted, told.times) == (1, 1)
    budget.buffer(first, 0)  # it is lost now
    assert budget.used_bytes["buffers"] == 700


def test_of_several_clients_the_one_with_the_largest_buffers_makes_room() -> None:
    budget = MemoryBudget(LIMIT)
    calm, *greedy = Connection(client="calm"), Connection(client="x"), Connection(client="x")
    budget.buffer(calm, 300)
    for each in greedy:
        budget.buffer(each, 400)
    assert [each.aborted for each in (calm, *greedy)] == [0, 1, 0]


def test_one_client_may_hold_half_of_it() -> None:
    budget = MemoryBudget(LIMIT)
    first, second, other = budget.hold(), budget.hold(), budget.hold()
    for hold, client in ((first, "x"), (second, "x"), (other, "y")):
        hold.assign(client)
    first.take("requests", 400)
    with pytest.raises(MemoryFull):
        second.take("responses", 101)
    other.take("requests", 300)
    first.release()
    second.take("responses", 400)


def test_what_is_held_moves_to_the_client_when_that_is_known() -> None:
    budget = MemoryBudget(LIMIT)
    hold = budget.hold()
    hold.assign("address")
    hold.take("requests", 400)
    hold.assign("name")
    assert budget.clients == {"name": ClientUse(1, 400)}
    hold.release()
    hold.release()
    assert (budget.clients, budget.total_bytes) == ({}, 0)


def test_a_client_with_too_many_requests_gets_no_more() -> None:
    budget = MemoryBudget(LIMIT)
    budget.max_requests = 2
    holds = [budget.hold() for _ in range(4)]
    for hold in holds[:2]:
        hold.assign("x")
    with pytest.raises(ClientBusy):
        holds[2].assign("x")
    holds[3].assign("y")
    with pytest.raises(ClientBusy):
        holds[3].assign("x")
    holds[0].release()
    holds[2].assign("x")
    assert {name: use.requests for name, use in budget.clients.items()} == {"x": 2, "y": 1}


def test_another_limit_holds_from_then_on() -> None:
    budget = MemoryBudget(LIMIT)
    budget.limit_bytes = 100
    with pytest.raises(MemoryFull):
        budget.hold().take("requests", 76)


Step = tuple[Literal["take", "release", "buffer"], int, int]
STEPS = st.lists(
    st.tuples(
        st.sampled_from(["take", "release", "buffer"]), st.integers(0, 4), st.integers(0, 400)
    )
)


@dataclass
class Books:
    """What should be held."""

    holds: dict[int, tuple[Hold, int]] = field(default_factory=dict)
    buffers: dict[int, int] = field(default_factory=dict)


@given(STEPS)
def test_the_bound_holds_and_the_books_balance(steps: list[Step]) -> None:
    budget, books = MemoryBudget(LIMIT), Books()
    connections = [Connection() for _ in range(5)]
    for step, number, size in steps:
        hold, taken = books.holds.setdefault(number, (budget.hold(), 0))
        match step:
            case "take":
                try:
                    hold.take("requests", size)
                except MemoryFull:
                    continue
                books.holds[number] = hold, taken + size
            case "release":
                hold.release()
                books.holds[number] = hold, 0
            case "buffer":
                aborted = [each.aborted for each in connections]
                budget.buffer(connections[number], size)
                books.buffers[number] = size
                for index, each in enumerate(connections):
                    if each.aborted > aborted[index]:
                        books.buffers[index] = 0
        assert budget.total_bytes <= LIMIT
        assert budget.used_bytes["requests"] == sum(size for _, size in books.holds.values())
        assert budget.used_bytes["buffers"] == sum(books.buffers.values())
