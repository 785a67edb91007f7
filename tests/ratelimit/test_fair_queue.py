"""The fair queue: by priority, and round robin over clients."""

from dataclasses import dataclass

from hypothesis import given
from hypothesis import strategies as st

from proxy.model import Priority
from proxy.ratelimit.fair_queue import MAX_CLIENTS, FairQueue

P, T, B, W = Priority.INTERACTIVE, Priority.API, Priority.BACKGROUND, Priority.PREFETCH


@dataclass(eq=False)
class Item:
    priority: Priority
    client: str
    number: int = 0


def queue_of(*items: tuple[Priority, str]) -> FairQueue[Item]:
    queue = FairQueue[Item]()
    for number, (priority, client) in enumerate(items):
        queue.push(Item(priority, client, number))
    return queue


def served(queue: FairQueue[Item]) -> list[Item]:
    out = []
    while priorities := queue.priorities():
        out.append(queue.first(priorities[0]))
        queue.remove(out[-1])
    return out


def test_higher_priorities_are_served_first() -> None:
    order = served(queue_of((W, "w"), (B, "a"), (T, "a"), (P, "p"), (T, "a")))
    assert [each.number for each in order] == [3, 2, 4, 1, 0]


def test_clients_are_served_round_robin() -> None:
    order = served(queue_of(*[(T, "hog")] * 5, (T, "a"), (T, "b"), (T, "a")))
    assert "".join(each.client[0] for each in order) == "habhahhh"


def test_a_removed_item_is_skipped() -> None:
    queue = queue_of((T, "a"), (T, "a"), (T, "b"))
    queue.remove(queue.first(T))
    assert [each.number for each in served(queue)] == [2, 1]


def test_clients_beyond_the_maximum_share_a_queue() -> None:
    clients = [(T, f"client {n}") for n in range(MAX_CLIENTS + 3)]
    queue = queue_of(*clients, *clients)
    assert len(queue) == 2 * MAX_CLIENTS + 6
    order = served(queue)
    assert [each.client for each in order[:MAX_CLIENTS]] == [
        f"client {n}" for n in range(MAX_CLIENTS)
    ]
    assert order[MAX_CLIENTS].client == f"client {MAX_CLIENTS}"
    assert len(order) == 2 * MAX_CLIENTS + 6


ITEMS = st.lists(st.tuples(st.sampled_from([P, T, B]), st.sampled_from("abcd")), max_size=40)


@given(ITEMS, st.sampled_from([P, T, B]), st.sampled_from("abcd"))
def test_ahead_is_the_number_served_first_and_at_most_half_as_many_again(
    items: list[tuple[Priority, str]], priority: Priority, client: str
) -> None:
    queue = queue_of(*items)
    ahead = queue.ahead(priority, client)
    last = Item(priority, client)
    queue.push(last)
    first = served(queue).index(last)
    assert first <= ahead <= first * 1.5


@given(ITEMS)
def test_each_item_is_served_once_and_those_of_a_client_in_order(
    items: list[tuple[Priority, str]],
) -> None:
    order = served(queue_of(*items))
    assert sorted(each.number for each in order) == list(range(len(items)))
    for wanted in set(items):
        numbers = [each.number for each in order if (each.priority, each.client) == wanted]
        assert numbers == sorted(numbers)
