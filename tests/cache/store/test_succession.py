"""Taking over the store of another leader."""

from proxy.cache.store.redis_chain import ServerState
from proxy.cache.store.succession import Succession


def test_stored_responses_are_used_after_a_hand_over_or_with_a_witness() -> None:
    succession = Succession(term=9, witnessed_term=7)
    assert succession.trusts(ServerState(term=7))
    assert succession.trusts(ServerState(term=8, is_handed_over=True))
    assert not succession.trusts(ServerState(term=8))


def test_a_store_that_no_leader_had_open_is_not_trusted() -> None:
    assert not Succession(9, 0).trusts(ServerState())
    assert not Succession(9, 0).trusts(ServerState(is_handed_over=True))


def test_numbers_of_invalidations_begin_above_those_of_earlier_terms() -> None:
    assert Succession(9, 0).first_seq > Succession(8, 0).first_seq + 900
