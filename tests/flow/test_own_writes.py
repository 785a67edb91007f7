"""What our own writes named is remembered by the mark they carried, and not for ever."""

from proxy.flow.ask import Ask
from proxy.flow.own_writes import MOST_WRITES, OwnWrites
from proxy.model import CacheKey, Credential, Fields, Tag
from proxy.policy.directives import NONE
from proxy.policy.routes import RouteTable

TABLE = RouteTable()
TAGS = {Tag("spanning")}


def write(fields: Fields = ()) -> Ask:
    return Ask(
        means="PUT",
        method="PUT",
        target="/1/cards/x",
        match=TABLE.classify("PUT", ("cards", "x")),
        query_names=frozenset(),
        key=CacheKey(""),
        credential=Credential("", ""),
        own=True,
        directives=NONE,
        fields=fields,
    )


def mark_of(ask: Ask) -> str:
    return dict(ask.fields)["X-Trello-Client-Identifier"]


def test_a_mark_leads_to_what_its_write_named_once_that_is_known() -> None:
    own = OwnWrites("secret")
    first, second = own.marked(write((("Accept", "*/*"),))), own.marked(write())
    assert mark_of(first) != mark_of(second)
    assert dict(first.fields)["Accept"] == "*/*"
    assert not own.named(mark_of(first))
    own.remember(first, TAGS)
    assert (own.named(mark_of(first)), own.named(mark_of(second))) == (TAGS, ())


def test_a_mark_of_the_clients_own_stays_and_is_not_remembered() -> None:
    own = OwnWrites("secret")
    theirs = own.marked(write((("x-trello-client-identifier", "tool"),)))
    assert theirs.fields == (("x-trello-client-identifier", "tool"),)
    own.remember(theirs, TAGS)
    own.remember(write(), TAGS)
    assert (own.named("tool"), own.named("")) == ((), ())


def test_another_process_has_other_marks() -> None:
    one, other = OwnWrites("one"), OwnWrites("other")
    marked = one.marked(write())
    one.remember(marked, TAGS)
    other.remember(marked, TAGS)
    assert (one.named(mark_of(marked)), other.named(mark_of(marked))) == (TAGS, ())


def test_the_oldest_are_forgotten() -> None:
    own = OwnWrites("secret")
    writes = [own.marked(write()) for _ in range(MOST_WRITES + 1)]
    for each in writes:
        own.remember(each, TAGS)
    assert [bool(own.named(mark_of(each))) for each in writes[:2]] == [False, True]
