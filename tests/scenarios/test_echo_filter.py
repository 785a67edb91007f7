"""What our own writes named is remembered by the mark they carried, and not for ever."""

from proxy.cache.write_through import MAX_REMEMBERED_WRITES, EchoFilter
from proxy.http_semantics.cache_control import NONE
from proxy.model import (
    CacheKey,
    Credential,
    Fields,
    Tag,
)
from proxy.trello.message import ApiRequest
from proxy.trello.routes import RouteTable

TABLE = RouteTable()
TAGS = {Tag("spanning")}


def write(fields: Fields = ()) -> ApiRequest:
    return ApiRequest(
        effective_method="PUT",
        method="PUT",
        target="/1/cards/x",
        match=TABLE.classify("PUT", ("cards", "x")),
        query_names=frozenset(),
        key=CacheKey(""),
        credential=Credential("", ""),
        uses_stored_credential=True,
        directives=NONE,
        fields=fields,
    )


def mark_of(request: ApiRequest) -> str:
    return dict(request.fields)["X-Trello-Client-Identifier"]


def test_a_mark_leads_to_what_its_write_named_once_that_is_known() -> None:
    own = EchoFilter("secret")
    first, second = own.with_identifier(write((("Accept", "*/*"),))), own.with_identifier(write())
    assert mark_of(first) != mark_of(second)
    assert dict(first.fields)["Accept"] == "*/*"
    assert not own.tags_of(mark_of(first))
    own.remember(first, TAGS)
    assert (own.tags_of(mark_of(first)), own.tags_of(mark_of(second))) == (TAGS, ())


def test_a_mark_of_the_clients_own_stays_and_is_not_remembered() -> None:
    own = EchoFilter("secret")
    theirs = own.with_identifier(write((("x-trello-client-identifier", "tool"),)))
    assert theirs.fields == (("x-trello-client-identifier", "tool"),)
    own.remember(theirs, TAGS)
    own.remember(write(), TAGS)
    assert (own.tags_of("tool"), own.tags_of("")) == ((), ())


def test_another_process_has_other_marks() -> None:
    one, other = EchoFilter("one"), EchoFilter("other")
    marked = one.with_identifier(write())
    one.remember(marked, TAGS)
    other.remember(marked, TAGS)
    assert (one.tags_of(mark_of(marked)), other.tags_of(mark_of(marked))) == (TAGS, ())


def test_the_oldest_are_forgotten() -> None:
    own = EchoFilter("secret")
    writes = [own.with_identifier(write()) for _ in range(MAX_REMEMBERED_WRITES + 1)]
    for each in writes:
        own.remember(each, TAGS)
    assert [bool(own.tags_of(mark_of(each))) for each in writes[:2]] == [False, True]
