"""ApiRequest: its cache key is one partition's and one target's, and reveals neither."""

from hypothesis import given
from hypothesis import strategies as st

from proxy.http_semantics.cache_control import NONE
from proxy.model import Credential
from proxy.trello.message import ApiRequest, key_of
from proxy.trello.routes import RouteTable

TARGETS = st.text(max_size=12)


def test_nothing_runs_together() -> None:
    keys = {
        key_of("p", "/1/ab/c"),
        key_of("p", "/1/a/bc"),
        key_of("p/1", "/ab/c"),
        key_of("", "p/1/ab/c"),
        key_of("", "1:p/1/ab/c"),
        key_of("1:p", "/1/ab/c"),
        key_of("p", "/1/ab?c"),
    }
    assert len(keys) == 7


@given(st.tuples(TARGETS, TARGETS), st.tuples(TARGETS, TARGETS))
def test_two_keys_where_partition_or_target_differ(
    one: tuple[str, str], other: tuple[str, str]
) -> None:
    assert (key_of(*one) == key_of(*other)) is (one == other)


def test_another_partition_never_shares_a_key() -> None:
    assert key_of("mine", "/1/boards/x?a=1") != key_of("theirs", "/1/boards/x?a=1")


def test_a_key_reveals_nothing() -> None:
    key = key_of("partition", "/1/cards/secretname?query=secretname")
    assert len(key) == 40
    assert set(key) <= set("0123456789abcdef")


def test_a_derived_request_is_known_by_its_new_target_and_keeps_whose_it_is() -> None:
    table = RouteTable()
    spelled = ApiRequest(
        effective_method="GET",
        method="GET",
        target="/1/cards/x?fields=name",
        match=table.classify("GET", ("cards", "x")),
        query_names=frozenset({"fields"}),
        key=key_of("theirs", "/1/cards/id?fields=name"),
        spelled_key=key_of("theirs", "/1/cards/x?fields=name"),
        partition="theirs",
        credential=Credential("k", "t"),
        uses_stored_credential=False,
        directives=NONE,
    )
    match = table.classify("GET", ("boards", "b", "lists"))
    derived = spelled.derive(target="/1/boards/b/lists?a%20b=c&d=", match=match)
    assert (derived.target, derived.match) == ("/1/boards/b/lists?a%20b=c&d=", match)
    assert derived.key == key_of("theirs", derived.target)
    assert derived.spelled_key is None
    assert derived.query_names == {"a b", "d"}
    assert (derived.credential, derived.partition) == (spelled.credential, spelled.partition)
    assert spelled.derive(target="/1/cards/x").match is spelled.match
