"""Files that a request passes: a change that adds one to a hit or a miss says so here."""

from tests.bench.trace import traces

MAX_FILES = {"cached GET, fast path": 9, "cached GET, ordinary path": 45, "miss, stored": 67}


async def test_a_hit_and_a_miss_pass_a_bounded_number_of_files() -> None:
    found = await traces()
    passed = {name: len(found[name].files) for name in MAX_FILES}
    assert all(passed[name] <= most for name, most in MAX_FILES.items()), passed
