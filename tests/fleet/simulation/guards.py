"""Guards of the protocol, each with a way to switch it off; the fleet must fail without it."""

from collections.abc import Callable
from typing import Any

import pytest

from proxy.cache.store import redis_chain
from proxy.cache.store.redis_chain import Opening
from proxy.cache.store.tag_epochs import TagEpochs
from proxy.fleet import election, near, trust, write_intents
from proxy.fleet.barrier import Barrier, Subscription
from proxy.fleet.consent import Consent
from proxy.fleet.election import Election
from proxy.fleet.leadership import Leadership
from proxy.fleet.lease import Record
from proxy.fleet.near import Given, Near
from proxy.fleet.node import Node
from proxy.fleet.trust import Holders
from proxy.fleet.witness import Witness
from proxy.fleet.write_intents import WriteIntents
from tests.fleet.simulation import redis, store
from tests.fleet.simulation.redis import Redis, SimulatedIntents

Off = Callable[[pytest.MonkeyPatch], None]
GUARDS: dict[str, tuple[Off, str]] = {}
"""How to switch each off, and the scenario that shows it."""


def guard(scenario: str) -> Callable[[Off], Off]:
    def register(off: Off) -> Off:
        GUARDS[off.__name__] = off, scenario
        return off

    return register


@guard("leader_loses_its_connections")
def wait_for_the_lease_to_stand_still(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(election, "LEASE_S", 0.0)


@guard("leader_cut_off_from_everything")
def consent_of_all(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(Consent, "is_unanimous", lambda self, now, others: self.is_requested)


@guard("follower_that_promised_is_cut_off")
def keep_a_promise(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(Election, "promise", lambda self, now: None)


@guard("follower_that_promised_restarts_and_is_cut_off")
def begin_bound(patch: pytest.MonkeyPatch) -> None:
    begin: Any = Election.__init__

    def begin_unbound(self: Any, started_at: float) -> None:
        begin(self, started_at)
        self._promised_until = started_at

    patch.setattr(Election, "__init__", begin_unbound)


@guard("redis_loses_the_lease_twice")
def lost_leases_differ(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(Redis, "new_beat", lambda self: 1)


@guard("redis_goes_back_to_a_released_lease")
def released_on_the_same_server(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(Record, "is_free", property(lambda self: self.free_on != ""))


@guard("newcomer_finds_a_leader_without_redis")
def newcomer_dials(patch: pytest.MonkeyPatch) -> None:
    async def may_run(self: Node, record: Any) -> bool:
        return True

    patch.setattr(Node, "_may_run", may_run)


@guard("leader_killed_after_writes_that_redis_lacks")
def promise_says_behind(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(Witness, "promised", lambda self: None)
    patch.setattr(Leadership, "_is_behind", lambda self: False)


@guard("leader_killed_after_writes_that_redis_lacks")
def pong_says_behind(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(Leadership, "_is_behind", lambda self: False)


@guard("redis_loses_writes_and_later_the_leader_is_killed")
def chain_of_batches(patch: pytest.MonkeyPatch) -> None:
    judge = redis_chain.judge_opening

    def keep(found: Any, known: Any, *, is_behind: bool = False) -> Opening:
        return judge(found, None, is_behind=is_behind) if known is None else Opening.KEEP

    patch.setattr(redis_chain, "judge_opening", keep)


@guard("redis_loses_writes_and_the_leader_is_killed_at_once")
def new_generation(patch: pytest.MonkeyPatch) -> None:
    judge = redis_chain.judge_opening

    def restore(found: Any, known: Any, *, is_behind: bool = False) -> Opening:
        return Opening.RESTORE if known is None and found.gen else judge(found, known)

    patch.setattr(redis_chain, "judge_opening", restore)


@guard("leader_killed_after_it_sent_a_write")
def intents(patch: pytest.MonkeyPatch) -> None:
    async def put(self: Any, intents: Any) -> None:
        return

    patch.setattr(SimulatedIntents, "put", put)


@guard("leaders_killed_after_redis_lost_the_intent_of_a_write")
def intent_for_what_was_lost(patch: pytest.MonkeyPatch) -> None:
    take_over = WriteIntents.take_over

    async def take_over_in_memory(self: WriteIntents, lost: Any) -> Any:
        return {**await take_over(self, ()), "lost": lost}

    patch.setattr(WriteIntents, "take_over", take_over_in_memory)


@guard("redis_loses_the_intent_of_a_write_and_later_the_leader_is_killed")
def restore_intents(patch: pytest.MonkeyPatch) -> None:
    async def restore(self: WriteIntents) -> None:
        return

    patch.setattr(WriteIntents, "restore", restore)


@guard("write_arrives_after_the_next_leader_has_read")
def repeat_intents(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(write_intents, "REPEAT_S", 1000.0)


@guard("leader_paused_before_it_sends_a_write")
def check_before_sending(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(WriteIntents, "check", lambda self, intent: None)


@guard("batch_arrives_after_the_next_leader_wrote")
def fencing_of_batches(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(store, "FENCES_BATCHES", False)


@guard("paused_leader_goes_on")
def check_on_arrival(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(Leadership, "acts", lambda self: self._is_established)


@guard("follower_that_keeps_a_card_is_cut_off")
def use_while_trusted(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(Near, "is_usable", lambda self: self.term > 0)


@guard("follower_that_keeps_a_card_is_cut_off")
def wait_until_trust_is_over(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(trust, "at_least", lambda duration_s: 0.5)


@guard("leader_alone_sees_a_connection_end")
def trust_outlives_a_session(patch: pytest.MonkeyPatch) -> None:
    leave = Subscription.leave
    patch.setattr(Subscription, "leave", lambda self, *, is_gone: leave(self, is_gone=True))


@guard("invalidation_is_late")
def barrier_of_writes(patch: pytest.MonkeyPatch) -> None:
    async def confirmed(self: Barrier) -> None:
        return

    patch.setattr(Barrier, "confirmed", confirmed)


@guard("invalidation_is_late")
def apply_before_acknowledging(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(Near, "apply", lambda self, message: None)


@guard("response_is_overtaken_by_its_invalidation")
def number_of_a_response(patch: pytest.MonkeyPatch) -> None:
    keep = Near.keep

    def keep_as_current(self: Near, key: Any, stored: Any, given: Given, took_s: float) -> Any:
        return keep(self, key, stored, given._replace(number=self.store.seq), took_s)

    patch.setattr(Near, "keep", keep_as_current)


@guard("response_of_an_earlier_session_arrives")
def nothing_of_an_earlier_session(patch: pytest.MonkeyPatch) -> None:
    begin: Any = near._NearStore.__init__

    def begin_without_floor(self: Any, *arguments: Any) -> None:
        begin(self, *arguments)
        self.epochs.min_valid_seq = 0

    patch.setattr(near._NearStore, "__init__", begin_without_floor)


@guard("follower_joins_again_after_a_write")
def replay_of_what_was_missed(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(TagEpochs, "since", lambda self, seq: [])


@guard("what_was_missed_is_late")
def trust_ends_with_a_new_session(patch: pytest.MonkeyPatch) -> None:
    begin = Near.begin

    def begin_in_trust(self: Near, term: int, number: int | None) -> None:
        with pytest.MonkeyPatch.context() as inside:
            inside.setattr(Near, "suspend", lambda self: self.on_change())
            begin(self, term, number)

    patch.setattr(Near, "begin", begin_in_trust)


@guard("leader_killed_and_a_follower_cut_off")
def hold_after_a_take_over(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(Holders, "expect", lambda self, addresses: setattr(self._prior, "until", 0.0))


@guard("redis_flushed_and_leader_killed_and_a_follower_cut_off")
def hold_for_the_unknown(patch: pytest.MonkeyPatch) -> None:
    expect = Holders.expect
    patch.setattr(Holders, "expect", lambda self, known: expect(self, known or set()))


@guard("follower_that_keeps_a_card_becomes_the_leader")
def leader_uses_nothing_near(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(Near, "end", lambda self: None)


@guard("leader_stays_with_a_former_master")
def replicas_have_the_lease(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(redis, "NEEDS_REPLICAS", False)
