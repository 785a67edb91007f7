"""In doubt more is invalidated: no stored response of an object outlives a write to it."""

import json
import re
from collections.abc import Iterable
from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.model import Kind, Tag
from proxy.trello.read_operations import READS
from proxy.trello.routes import RouteTable
from proxy.trello.tags import EVERYTHING, ROOTS, stored_tags
from proxy.trello.write_effects import tags_changed_by
from proxy.trello.write_operations import operations

TABLE = RouteTable()
ID = "c" * 24
ALIAS = "sccccccc"
SAME = {"id": ID, "idBoard": ID, "idCard": ID, "idModel": ID}
BODIES = [b"", b"[]", b"{}", json.dumps(SAME).encode(), json.dumps([SAME]).encode()]
WRITES = [(method, template) for method, template, _words in operations() if "{id}" in template]


def path_of(template: str, own_id: str) -> list[str]:
    filled = template.replace("{id}", own_id)
    return re.sub(r"\{\w+\}", "x", filled).strip("/").split("/")


def answers_below(root: str) -> Iterable[tuple[str, set[Tag]]]:
    """Whatever may be stored of one object: by either name, however much the body shows."""
    for kind, _lifetimes, block in READS:
        for template in block.split():
            if kind is Kind.READ and template.startswith(f"/{root}/{{id}}"):
                for own_id, body, query in product((ID, ALIAS), BODIES, ([], ["cards"])):
                    read = TABLE.classify("GET", path_of(template, own_id))
                    yield template, set(stored_tags(read, query, body))


BELOW = {root: list(answers_below(root)) for root in ROOTS}


@pytest.mark.parametrize(("method", "template"), WRITES, ids=map(" ".join, WRITES))
@pytest.mark.parametrize("own_id", [ID, ALIAS])
def test_an_unknown_outcome_leaves_nothing_stored_of_the_same_object(
    method: str, template: str, own_id: str
) -> None:
    write = TABLE.classify(method, path_of(template, own_id))
    tags = tags_changed_by(method, write, {}, b"")
    assert write.route.kind is Kind.WRITE
    assert [read for read, depends in BELOW[write.segments[0]] if not tags & depends] == []


def nested(inner: st.SearchStrategy[object]) -> st.SearchStrategy[object]:
    names = st.sampled_from(["id", "idBoard", "idModel", "modelType", "shortLink", "data", "card"])
    return st.lists(inner) | st.dictionaries(names, inner)


def json_bytes(value: object) -> bytes:
    return json.dumps(value).encode()


@given(
    st.sampled_from(operations()),
    st.dictionaries(st.sampled_from(["idBoard", "idList", "modelType"]), st.text()),
    st.one_of(st.binary(), st.recursive(st.none() | st.text(), nested).map(json_bytes)),
)
def test_no_answer_and_no_parameter_hides_the_object_itself(
    row: tuple[str, str, object], params: dict[str, str], answer: bytes
) -> None:
    method, template, _words = row
    write = TABLE.classify(method, path_of(template, ALIAS))
    tags = tags_changed_by(method, write, params, answer)
    if write.segments[0] in ROOTS and len(write.segments) > 1:
        assert all(tags & depends for _read, depends in BELOW[write.segments[0]])


def test_no_write_in_the_table_is_unknown() -> None:
    for method, template, _words in operations():
        match = TABLE.classify(method, path_of(template, ID))
        assert EVERYTHING not in tags_changed_by(method, match, {}, b""), (method, template)


@pytest.mark.parametrize("root", ROOTS)
def test_every_stored_response_can_be_purged(root: str) -> None:
    assert EVERYTHING in stored_tags(TABLE.classify("GET", [root, ID]), [], b"{}")
