"""Facts are remembered, the later one wins, and names outlive the process."""

import pytest

from proxy.cache.store import alias_table
from proxy.cache.store.alias_table import AliasTable
from proxy.cache.store.store import MemoryTier, ResponseStore
from proxy.model import NEVER_EXPIRES, AliasEntry
from tests.cache.store.conftest import BOARD, Process, RamShelf, Start

ID, OTHER = "c" * 24, "d" * 24


def fact(about: str, *ids: str, at: float = 10.0, seq: int = 1, until: float = 99.0) -> AliasEntry:
    return AliasEntry(about, ids, at, seq, until)


def name(about: str, known_id: str = ID) -> AliasEntry:
    return fact(about, known_id, until=NEVER_EXPIRES)


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
def test_of_two_answers(second: AliasEntry, known_id: str, until: float) -> None:
    kept = AliasTable()
    kept.add([fact("card:x", ID)])
    kept.add([second])
    found = kept.get("card:x")
    assert found is not None
    assert (found.target_ids, found.expires_at) == ((known_id,), until)


def test_what_is_confirmed_counts_as_asked_for_last() -> None:
    kept = AliasTable()
    kept.add([fact("card:x", ID, seq=5), fact("card:x", ID, seq=7), fact("card:x", ID, seq=6)])
    found = kept.get("card:x")
    assert found is not None
    assert found.requested_seq == 7


def test_names_that_are_new_and_last_are_told_once() -> None:
    kept = AliasTable()
    assert kept.add([name("card:x"), fact("member:dana", ID)]) == {"card:x": ID}
    assert kept.add([name("card:x"), name("card:y", OTHER)]) == {"card:y": OTHER}


def test_the_least_recently_used_leaves_first(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(alias_table, "MAX_ALIASES", 3)
    kept = AliasTable()
    kept.add([name("card:1"), name("card:2"), name("card:3")])
    assert kept.get("card:1") is not None
    kept.add([name("card:4")])
    assert len(kept) == 3
    assert [bool(kept.get(f"card:{number}")) for number in (1, 2, 3, 4)] == [1, 0, 1, 1]


def _responses(process: Process) -> ResponseStore:
    return ResponseStore(MemoryTier(1 << 20), process.durable, process.epochs)


async def test_names_are_there_for_the_next_process_and_nothing_else(
    start: Start, shelf: RamShelf
) -> None:
    first = await start()
    _responses(first).add_aliases(
        [name("card:x"), fact("member:dana", ID), fact(f"card:{ID}", OTHER)]
    )
    await first.durable.stop()
    assert shelf.names == {"card:x": ID}
    found = _responses(await start()).aliases.get("card:x")
    assert found is not None
    assert (found.target_ids, found.expires_at) == ((ID,), NEVER_EXPIRES)


async def test_a_failing_shelf_costs_nothing_but_memory(start: Start, shelf: RamShelf) -> None:
    process = await start()
    responses = _responses(process)
    shelf.broken = True
    responses.add_aliases([name("card:x")])
    process.invalidate(BOARD)
    await process.durable.flush()
    assert not process.durable.is_working
    assert responses.aliases.get("card:x") is not None
    responses.add_aliases([name("card:y", OTHER)])
    shelf.broken = False
    await process.reopened()
    await process.durable.flush()
    assert shelf.names == {"card:x": ID, "card:y": OTHER}


async def test_without_a_shelf_facts_are_remembered(start: Start) -> None:
    responses = ResponseStore(MemoryTier(1 << 20), None, (await start()).epochs)
    responses.add_aliases([name("card:x")])
    assert responses.aliases.get("card:x") is not None
