"""May this node take the lease?"""

from proxy.fleet.election import Election
from proxy.fleet.lease import Record, Sighting

BEGAN = 100.0
LATER = 200.0


def record(beat: int = 1, *, run_id: str = "r1", free_on: str = "") -> Record:
    return Record(run_id, term=7, beat=beat, address="A", free_on=free_on)


def test_a_lease_is_taken_when_it_has_stood_still_for_longer_than_it_lasts() -> None:
    election = Election(BEGAN)
    election.looked(record(), LATER)
    election.looked(record(), LATER + 1.0)
    assert election.wait_s(LATER + 1.0) > 0.5
    assert election.wait_s(LATER + 1.54) == 0


def test_a_renewal_or_another_server_begins_the_wait_again() -> None:
    for later in (record(beat=2), record(run_id="r2"), Record("r1")):
        election = Election(BEGAN)
        election.looked(record(), LATER)
        election.looked(later, LATER + 1.4)
        assert election.wait_s(LATER + 2.0) > 0.8


def test_a_lease_that_redis_loses_again_and_again_is_told_from_one_that_was_never_taken() -> None:
    election = Election(BEGAN)
    assert not election.is_forgotten(Record("r1", beat=1))
    election.looked(Record("r1", beat=1), LATER)
    assert not election.is_forgotten(Record("r1", beat=1))
    assert not election.is_forgotten(Record("r2", beat=2))
    assert election.is_forgotten(Record("r1", beat=2))


def test_what_the_leader_said_of_its_renewals_counts_as_seen() -> None:
    election = Election(BEGAN)
    election.saw(Sighting("r1", 7, 1), LATER)
    election.looked(record(), LATER + 1.0)
    assert election.wait_s(LATER + 1.54) == 0


def test_a_released_lease_is_taken_at_once_if_the_server_has_run_since() -> None:
    election = Election(BEGAN)
    election.looked(record(free_on="r1"), LATER)
    assert election.wait_s(LATER) == 0
    election.looked(record(run_id="r2", free_on="r1"), LATER)
    assert election.wait_s(LATER) > 1.5


def test_a_promise_is_kept_and_a_new_process_does_not_know_of_any() -> None:
    election = Election(BEGAN)
    assert election.has_promised(BEGAN + 2.9)
    election.looked(record(), BEGAN)
    assert election.wait_s(BEGAN + 2.9) > 0
    assert election.wait_s(BEGAN + 3.0) == 0
    election.promise(LATER)
    assert election.wait_s(LATER + 2.9) > 0


def test_a_node_that_seeks_for_long_is_apart() -> None:
    election = Election(BEGAN)
    assert election.apart_in_s(BEGAN + 1.0) == 4.0
    election.seek(BEGAN + 3.0)
    assert election.apart_in_s(BEGAN + 5.0) == 0
    election.settle()
    assert election.apart_in_s(BEGAN + 9.0) is None
    election.seek(LATER)
    assert election.apart_in_s(LATER) == 5.0
