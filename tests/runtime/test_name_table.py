"""A table of names that clients choose is bounded, and idle names make room."""

from dataclasses import dataclass

from hypothesis import given
from hypothesis import strategies as st

from proxy.runtime.lru import IDLE_S, OTHER, NameTable

NOW = 1_800_000_000.0


@dataclass
class Used:
    name: str
    last_used_at: float


def table(max_names: int) -> NameTable[Used]:
    return NameTable(max_names, Used, permanent=("own",))


def test_a_name_has_one_entry() -> None:
    names = table(2)
    assert names.entry("a", NOW) is names.entry("a", NOW + 1)
    assert names.entry("own", NOW).name == "own"


def test_names_beyond_the_limit_share_an_entry() -> None:
    names = table(1)
    names.entry("a", NOW)
    assert names.entry("b", NOW) is names.entry("c", NOW) is names.entries[OTHER]


def test_the_least_recently_used_idle_name_makes_room() -> None:
    names = table(2)
    names.entry("a", NOW)
    names.entry("b", NOW).last_used_at = NOW + 1
    assert names.entry("c", NOW + IDLE_S - 1).name == OTHER
    assert names.entry("c", NOW + IDLE_S).name == "c"
    assert names.entry("d", NOW + IDLE_S).name == OTHER
    assert names.entries.keys() == {OTHER, "own", "b", "c"}


@given(st.lists(st.tuples(st.integers(0, 9), st.floats(0, 2 * IDLE_S))), st.integers(1, 5))
def test_it_is_bounded_and_keeps_permanent_names(
    uses: list[tuple[int, float]], max_names: int
) -> None:
    names, now = table(max_names), NOW
    for name, pause_s in uses:
        now += pause_s
        names.entry(str(name), now).last_used_at = now
        assert names.entries.keys() >= {OTHER, "own"}
        assert len(names.entries) <= max_names + 2
