"""The chain of writes to Redis: nothing that was lost, or written by another, is trusted."""

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from proxy.cache.store.redis_chain import (
    SCHEMA,
    Chain,
    Opening,
    ServerState,
    judge_opening,
)

WHOLE = ServerState("me", "g", 7, SCHEMA, "run", "run", has_epochs=True)
STATES = st.builds(
    ServerState,
    holder=st.sampled_from(["", "me", "other"]),
    gen=st.sampled_from(["", "g", "h"]),
    n=st.integers(0, 12),
    schema=st.sampled_from(["", SCHEMA, "0"]),
    run_id=st.sampled_from(["", "run", "later"]),
    server_run_id=st.sampled_from(["", "run", "later"]),
    has_epochs=st.booleans(),
)


@given(STATES, st.integers(0, 10), st.integers(0, 2))
def test_a_process_keeps_responses_only_where_nothing_it_confirmed_was_lost(
    found: ServerState, confirmed: int, unconfirmed: int
) -> None:
    chain = Chain("me", "g", confirmed, confirmed + unconfirmed)
    is_own = (found.holder, found.gen) == ("me", "g")
    is_whole = is_own and confirmed <= found.n <= confirmed + unconfirmed
    match judge_opening(found, chain):
        case Opening.KEEP:
            assert is_whole
            assert found.has_epochs
        case Opening.REASSERT:
            assert is_whole
            assert not found.has_epochs
        case opening:
            assert opening is Opening.RENEW
            assert not is_whole


@given(STATES)
def test_a_new_process_reads_only_what_the_same_run_of_the_server_holds_wholly(
    found: ServerState,
) -> None:
    opening = judge_opening(found, None)
    assert opening in (Opening.RESTORE, Opening.RENEW)
    if opening is Opening.RESTORE:
        assert found.run_id == found.server_run_id != ""
        assert (found.gen != "", found.schema, found.has_epochs) == (True, SCHEMA, True)


def test_what_an_earlier_process_left_is_read() -> None:
    assert judge_opening(WHOLE, None) is Opening.RESTORE
    assert judge_opening(replace(WHOLE, server_run_id=""), None) is Opening.RENEW
    assert judge_opening(WHOLE, None, is_behind=True) is Opening.RENEW


def test_a_reply_that_was_on_its_way_meanwhile_is_no_loss() -> None:
    chain = Chain("me", "g", confirmed=9, sent=10)
    assert chain.covers("me", "g", 8, confirmed=8)
    assert not chain.covers("me", "g", 8)
    assert not chain.covers("me", "g", 11)
