"""May this node act?"""

from proxy.fleet.term import Term

OTHERS = ("B", "C")


def test_it_acts_until_a_little_before_the_lease_may_be_taken() -> None:
    term = Term(7, 100.0)
    assert term.acts(101.29, OTHERS)
    assert not term.acts(101.31, OTHERS)


def test_a_renewal_counts_from_when_it_was_sent() -> None:
    term = Term(7, 100.0)
    term.renewed(100.4, 100.7, OTHERS)
    assert term.acts(101.69, OTHERS)
    assert not term.acts(101.71, OTHERS)


def test_without_redis_it_acts_as_long_as_all_others_promise() -> None:
    term = Term(7, 100.0)
    number = term.consent.request(100.8)
    assert term.promised("B", number, 100.9, OTHERS)
    assert not term.acts(101.4, OTHERS)
    term = Term(7, 100.0)
    number = term.consent.request(100.8)
    assert all(term.promised(each, number, 100.9, OTHERS) for each in OTHERS)
    assert term.acts(103.7, OTHERS)
    assert not term.acts(103.8, OTHERS)
    assert not term.acts(103.0, (*OTHERS, "D"))


def test_once_it_does_not_act_it_never_does_again() -> None:
    term = Term(7, 100.0)
    number = term.consent.request(101.2)
    assert not term.promised("B", number, 101.4, OTHERS)
    assert not term.promised("C", number, 101.4, OTHERS)
    assert not term.acts(101.2, OTHERS)
    term = Term(7, 100.0)
    term.renewed(101.2, 101.4, OTHERS)
    assert not term.acts(101.5, OTHERS)


def test_a_promise_to_an_earlier_request_counts_from_that() -> None:
    term = Term(7, 100.0)
    first = term.consent.request(100.4)
    term.consent.request(101.2)
    assert term.promised("B", first, 101.25, ("B",))
    assert not term.acts(103.4, ("B",))


def test_promises_end_when_redis_has_everything() -> None:
    term = Term(7, 100.0)
    number = term.consent.request(100.4)
    term.consent.clear()
    assert not term.promised("B", number, 100.5, ("B",))
    assert not term.consent.is_unanimous(100.5, ())


def test_a_node_alone_acts_without_redis() -> None:
    term = Term(7, 100.0)
    assert not term.acts(102.0, ())
    term = Term(7, 100.0)
    term.consent.request(100.4)
    assert term.acts(102.0, ())
