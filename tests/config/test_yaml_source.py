"""YAML is read as it is written: no word becomes another value, and every part has its line."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from proxy.config.yaml_source import Document, Value

READ: dict[str, tuple[str, Value]] = {
    "nothing": ("", None),
    "only a comment": ("# off\n", None),
    "a word that other readers take for a boolean": ("a: off", {"a": "off"}),
    "a number of another base": ("a: 0777", {"a": "0777"}),
    "a number of base sixty": ("a: 1:30", {"a": "1:30"}),
    "a number with an exponent": ("a: 1e3", {"a": "1e3"}),
    "a date": ("a: 2026-11-21", {"a": "2026-11-21"}),
    "true is a word, too": ("a: true", {"a": "true"}),
    "null": ("[null, ~, Null, '', 'null']", [None, None, None, "", "null"]),
    "an empty value": ("a:\nb: 1", {"a": None, "b": "1"}),
    "a key that other readers take for null": ("~: a", {"~": "a"}),
    "a merge is a key like any other": ("<<: {a: b}", {"<<": {"a": "b"}}),
    "several lines": ("a: |\n  b\n  c\n", {"a": "b\nc\n"}),
}
FAULTS = {
    "a duplicate": ("a: 1\nb: 2\na: 3", "3: a: duplicate key, first on line 1; remove one of them"),
    "a duplicate that may be a secret": ("{Ab1: {x: 1, x: 2}}", "1: ***.x: duplicate key"),
    "an alias": ("a: &x 1\nb: *x", "2: b: an alias, a word that begins with *; write the"),
    "an alias in a list": ("a: &x 1\nb: [*x]", "2: b.0: an alias"),
    "a tag": ("a: 1\nb: !!python/name:os.system 2", "2: b: a YAML tag has no meaning here"),
    "a tag that is not declared": ("a: !ab!cd 2", "1: not YAML, found a tag that is not declared"),
    "a key that is a list": ("a: 1\n? [b]\n: c", "2: a key must be one word; write key: value"),
    "a list that never ends": ("a: 1\nb: [\n", "3: not YAML, expected the node content"),
    "a tab for indentation": ("a:\n\tb: 1", "2: not YAML, found character"),
    "two documents": ("a: 1\n---\nb: 2", "2: not YAML, but found another document"),
    "a control character": ("a: 1\nb: \x07", "2: not YAML, found a control character"),
    "a character beyond all": ('a: "\\UFFFFFFFF"', "1: not YAML, found an escape or a number"),
    "a character after the last": ('a: "\\U00110000"', "1: not YAML, found an escape or a number"),
    "brackets without end": ("[" * 5_000, "1: not YAML, found too many brackets"),
}


@pytest.mark.parametrize(("text", "value"), READ.values(), ids=READ.keys())
def test_what_is_read(text: str, value: Value) -> None:
    document = Document(text)
    assert document.root == value
    assert document.faults == []


@pytest.mark.timeout(5)
def test_a_bomb_is_refused_alias_by_alias() -> None:
    bomb = "a: &a [x]\nb: &b [*a, *a]\n" + "\n".join(
        f"c{n}: &c{n} [*{before}, *{before}]"
        for n, before in enumerate(["b", *(f"c{n}" for n in range(60))])
    )
    faults = Document(bomb).faults
    assert faults[0] == (2, "b.0: an alias, a word that begins with *; write the value instead")
    assert len(faults) == 2 * 62


@pytest.mark.parametrize(("text", "fault"), FAULTS.values(), ids=FAULTS.keys())
def test_what_is_wrong(text: str, fault: str) -> None:
    ((line, found),) = Document(text).faults
    assert f"{line}: {found}".startswith(fault)


def test_the_first_of_two_duplicates_is_kept() -> None:
    assert Document("{a: 1, a: 2}").root == {"a": "1"}


def test_a_fault_stands_on_the_line_of_its_key_or_item() -> None:
    document = Document("a:\n  - b:\n      x\n  - c: 1\n")
    places = [("a",), ("a", 0, "b"), ("a", 1, "c"), ("a", 1, "missing"), ("missing",)]
    for place in places:
        document.note(place, "")
    assert [line for line, _ in document.faults] == [1, 2, 4, 4, 1]


@settings(deadline=None)
@given(st.text() | st.text("ab:- \n[]{}#&*!|>'\"%@\\U0?\t~"))
def test_every_text_is_a_document(text: str) -> None:
    document = Document(text)
    assert all(1 <= line <= len(text) + 1 for line, _ in document.faults)
