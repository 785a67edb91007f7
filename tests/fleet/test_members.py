"""Who may be alive?"""

from proxy.fleet.lease import MAX_MEMBERS
from proxy.fleet.members import Members


def test_a_register_that_lost_members_takes_none_away() -> None:
    members = Members("A")
    members.add(["A", "B", "C"], 0.0)
    members.registered(["A", "C"], (), 1.0)
    assert set(members.others) == {"B", "C"}


def test_a_silent_member_is_forgotten_and_removed_from_the_register() -> None:
    members = Members("A")
    members.add(["B", "C"], 0.0)
    members.contact("B", 50.0)
    members.forget_silent(61.0)
    assert set(members.others) == {"B"}
    assert set(members.forgotten) == {"C"}
    members.registered(["B"], ["C"], 61.0)
    assert not members.forgotten


def test_one_that_comes_back_is_a_member_again() -> None:
    members = Members("A")
    members.add(["B"], 0.0)
    members.leave("B")
    members.add(["B"], 1.0)
    assert set(members.others) == {"B"}
    assert not members.forgotten


def test_contact_makes_no_member() -> None:
    members = Members("A")
    members.contact("B", 0.0)
    assert not members.others


def test_their_number_is_bounded() -> None:
    members = Members("A")
    members.add([f"n{number}" for number in range(MAX_MEMBERS - 1)], 0.0)
    assert members.has_room_for("n1")
    assert not members.has_room_for("B")
