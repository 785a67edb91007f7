"""Can this node vouch for what Redis holds?"""

from proxy.fleet.witness import Witness


def test_a_follower_vouches_for_a_leader_that_left_everything_in_redis() -> None:
    witness = Witness()
    assert witness.term(0.0) == 0
    witness.received(7, is_behind=True, now=10.0)
    assert witness.term(10.0) == 0
    witness.received(7, is_behind=False, now=11.0)
    assert witness.term(12.0) == 7


def test_a_promise_ends_that_until_the_leader_says_otherwise() -> None:
    witness = Witness()
    witness.received(7, is_behind=False, now=10.0)
    witness.promised()
    assert witness.term(10.1) == 0
    witness.received(7, is_behind=False, now=11.0)
    assert witness.term(11.0) == 7


def test_a_follower_that_the_leader_may_have_forgotten_vouches_for_nothing() -> None:
    witness = Witness()
    witness.received(7, is_behind=False, now=10.0)
    assert witness.is_member(7, 39.0)
    assert not witness.is_member(8, 39.0)
    assert witness.term(40.0) == 0
    assert not witness.is_member(7, 40.0)
