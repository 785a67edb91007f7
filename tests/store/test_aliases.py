"""Facts are remembered, the later one wins, and names outlive the process."""

import pytest

from proxy.model import FOR_EVER, Fact
from proxy.store import aliases
from proxy.store.aliases import Aliases
from proxy.store.memory import Memory
from proxy.store.responses import Responses
from tests.store.conftest import BOARD, Process, RamShelf, Start

ID, OTHER = "c" * 24, "d" * 24


def fact(about: str, *ids: str, at: float = 10.0, seq: int = 1, until: float = 99.0) -> Fact:
    return Fact(about, ids, at, seq, until)


def name(about: str, known_id: str = ID) -> Fact:
    return fact(about, known_id, until=FOR_EVER)


LATER = {
    "a later answer replaces": (fact("card:x", OTHER, at=11.0), OTHER, 99.0),
    "an answer asked after an invalidation replaces": (
        fact("card:x", OTHER, at=9.0, seq=2),
        OTHER,
        99.0,
    ),
    "an earlier answer that lands late does not": (fact("card:x", OTHER, at=9.0), ID, 99.0),
    "the same again is believed as long as either": (fact("card:x", ID, until=5.0), ID, 99.0),
    "and longer": (fact("card:x", ID, until=200.0), ID, 200.0),
}


@pytest.mark.parametrize(("second", "known_id", "until"), LATER.values(), ids=LATER)
def test_of_two_answers(second: Fact, known_id: str, until: float) -> None:
    kept = Aliases()
    kept.learn([fact("card:x", ID)])
    kept.learn([second])
    found = kept.get("card:x")
    assert found is not None
    assert (found.ids, found.until) == ((known_id,), until)


def test_what_is_confirmed_counts_as_asked_for_last() -> None:
    kept = Aliases()
    kept.learn([fact("card:x", ID, seq=5), fact("card:x", ID, seq=7), fact("card:x", ID, seq=6)])
    found = kept.get("card:x")
    assert found is not None
    assert found.asked_seq == 7


def test_names_that_are_new_and_last_are_told_once() -> None:
    kept = Aliases()
    assert kept.learn([name("card:x"), fact("member:dana", ID)]) == {"card:x": ID}
    assert kept.learn([name("card:x"), name("card:y", OTHER)]) == {"card:y": OTHER}


def test_the_least_recently_used_leaves_first(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(aliases, "MAX_FACTS", 3)
    kept = Aliases()
    kept.learn([name("card:1"), name("card:2"), name("card:3")])
    assert kept.get("card:1") is not None
    kept.learn([name("card:4")])
    assert len(kept) == 3
    assert [bool(kept.get(f"card:{number}")) for number in (1, 2, 3, 4)] == [1, 0, 1, 1]


def _responses(process: Process) -> Responses:
    return Responses(Memory(1 << 20), process.durable, process.epochs)


async def test_names_are_there_for_the_next_process_and_nothing_else(
    start: Start, shelf: RamShelf
) -> None:
    first = await start()
    _responses(first).learn([name("card:x"), fact("member:dana", ID), fact(f"card:{ID}", OTHER)])
    await first.durable.stop()
    assert shelf.names == {"card:x": ID}
    found = _responses(await start()).aliases.get("card:x")
    assert found is not None
    assert (found.ids, found.until) == ((ID,), FOR_EVER)


async def test_a_failing_shelf_costs_nothing_but_memory(start: Start, shelf: RamShelf) -> None:
    process = await start()
    responses = _responses(process)
    shelf.broken = True
    responses.learn([name("card:x")])
    process.invalidate(BOARD)
    await process.durable.flushed()
    assert not process.durable.works
    assert responses.aliases.get("card:x") is not None
    responses.learn([name("card:y", OTHER)])
    shelf.broken = False
    await process.reopened()
    await process.durable.flushed()
    assert shelf.names == {"card:x": ID, "card:y": OTHER}


async def test_without_a_shelf_facts_are_remembered(start: Start) -> None:
    responses = Responses(Memory(1 << 20), None, (await start()).epochs)
    responses.learn([name("card:x")])
    assert responses.aliases.get("card:x") is not None
