"""A history accepts what a register may show, and names each read that is wrong."""

from tests.fleet.history import MAX_WRITES, Read, Register


def made(*writes: tuple[str, float, float | None]) -> Register:
    """A register that held "" first; of each write version, invocation and acknowledgement."""
    register = Register("")
    for version, invoked_at, acknowledged_at in writes:
        write = register.write(version, invoked_at)
        if acknowledged_at is not None:
            write.made_by = write.acknowledged_at = acknowledged_at
    return register


def test_a_read_shows_the_last_acknowledged_write() -> None:
    register = made(("a", 1, 2), ("b", 3, 4))
    assert not register.fault_of(Read("b", 5, 6))
    assert register.fault_of(Read("a", 5, 6)) == "a after b was acknowledged"
    assert register.fault_of(Read("", 5, 6)) == " after a was acknowledged"


def test_a_read_beside_a_write_shows_either() -> None:
    register = made(("a", 1, 2), ("b", 3, 6))
    assert not register.fault_of(Read("a", 5, 7))
    assert not register.fault_of(Read("b", 3.5, 4))


def test_a_write_of_unknown_outcome_may_be_made_at_any_time_or_never() -> None:
    register = made(("a", 1, 2), ("lost", 3, None), ("b", 5, 6))
    assert not register.fault_of(Read("b", 7, 8))
    assert not register.fault_of(Read("lost", 7, 8))
    assert not made(("a", 1, 2), ("lost", 3, None)).fault_of(Read("a", 90, 91))


def test_once_it_was_seen_it_is_no_longer_unknown() -> None:
    register = made(("a", 1, 2), ("lost", 3, None))
    assert not register.fault_of(Read("lost", 3.5, 4))
    register.write("b", 5).acknowledged_at = 6
    assert register.fault_of(Read("lost", 7, 8)) == "lost after b was acknowledged"


def test_writes_side_by_side_may_have_been_made_in_either_order() -> None:
    register = made(("a", 1, 5), ("b", 2, 4))
    assert not register.fault_of(Read("a", 6, 7))
    assert not register.fault_of(Read("b", 6, 7))


def test_a_read_of_what_nobody_wrote_or_not_yet_is_wrong() -> None:
    register = made(("a", 1, 2), ("b", 9, 10))
    assert register.fault_of(Read("x", 5, 6)) == "x was never written"
    assert register.fault_of(Read("b", 5, 6)) == "b is to be"


def test_a_version_that_came_back_is_right_if_its_last_writing_is() -> None:
    register = made(("a", 1, 2), ("b", 3, 4), ("a", 5, 6))
    assert not register.fault_of(Read("a", 7, 8))
    assert register.fault_of(Read("b", 7, 8)) == "b after a was acknowledged"


def test_a_history_is_bounded() -> None:
    register = made(*((str(n), n + 0.0, n + 0.5) for n in range(2 * MAX_WRITES)))
    assert len(register.writes) == MAX_WRITES
    assert not register.fault_of(Read(str(2 * MAX_WRITES - 1), 1e6, 1e6))
