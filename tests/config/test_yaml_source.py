"""YAML is read as it is written: no word becomes another value, and every fault has its line."""

from dataclasses import dataclass
from typing import Annotated

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from proxy.config.fields import Reader
from proxy.config.yaml_source import Document, Place

Text = Annotated[str, str] | None


@dataclass(frozen=True, kw_only=True)
class Section:
    """A section of optional texts, for these tests."""

    a: Text = None
    b: Text = None
    c: tuple[Text, ...] = ()


def read(text: str) -> tuple[object, list[tuple[int, str]]]:
    """The section in a text, and the faults of it."""
    document = Document(text)
    return Reader(document, {}, str).read(Section, document.root, Place()), document.faults


READ: dict[str, tuple[str, Section]] = {
    "nothing": ("", Section()),
    "only a comment": ("# off\n", Section()),
    "a word that other readers take for a boolean": ("a: off", Section(a="off")),
    "a number of another base": ("a: 0777", Section(a="0777")),
    "a number of base sixty": ("a: 1:30", Section(a="1:30")),
    "a number with an exponent": ("a: 1e3", Section(a="1e3")),
    "a date": ("a: 2026-11-21", Section(a="2026-11-21")),
    "true is a word, too": ("a: true", Section(a="true")),
    "null": ("c: [null, ~, Null, '', 'null']", Section(c=(None, None, None, "", "null"))),
    "an empty value": ("a:\nb: 1", Section(b="1")),
    "several lines": ("a: |\n  b\n  c\n", Section(a="b\nc\n")),
    "an alias is its anchor's value": ("a: &x 1\nb: *x", Section(a="1", b="1")),
}
FAULTS = {
    "a duplicate": ("a: 1\nb: 2\na: 3", "3: a: duplicate key, first on line 1; remove one of them"),
    "a duplicate that may be a secret": ("{Ab1: 1, Ab1: 2, a: 3}", "1: ***: duplicate key"),
    "an alias of nothing": ("a: 1\nb: *dummy", "2: not YAML, found undefined alias; check"),
    "a tag": ("a: 1\nb: !!python/name:os.system 2", "2: b: a YAML tag has no meaning here"),
    "a tag that is not declared": ("a: !dummy!cd 2", "1: not YAML, found undefined tag handle;"),
    "a key that is a list": ("a: 1\n? [b]\n: c", "2: ***: a key must be one word; write key: va"),
    "a list that never ends": ("a: 1\nb: [\n", "3: not YAML, expected the node content"),
    "a tab for indentation": ("a:\n\tb: 1", "2: not YAML, found character"),
    "two documents": ("a: 1\n---\nb: 2", "2: not YAML, but found another document"),
    "a control character": ("a: 1\nb: \x07", "2: not YAML, found a control character"),
    "a character beyond all": ('a: "\\UFFFFFFFF"', "1: not YAML, found an escape or a number"),
    "a character after the last": ('a: "\\U00110000"', "1: not YAML, found an escape or a number"),
    "brackets without end": ("[" * 5_000, "1: not YAML, found too many brackets"),
    "a merge is a key like any other": ("<<: {a: b}", "1: ***: unknown key"),
}


@pytest.mark.parametrize(("text", "section"), READ.values(), ids=READ.keys())
def test_what_is_read(text: str, section: Section) -> None:
    assert read(text) == (section, [])


@pytest.mark.timeout(5)
def test_a_bomb_of_aliases_is_not_expanded() -> None:
    bomb = "a: &a [x]\nb: &b [*a, *a]\n" + "\n".join(
        f"c{n}: &c{n} [*{before}, *{before}]"
        for n, before in enumerate(["b", *(f"c{n}" for n in range(60))])
    )
    _, faults = read(f"{bomb}\nc: *c60")
    assert len(faults) == 61


@pytest.mark.parametrize(("text", "fault"), FAULTS.values(), ids=FAULTS.keys())
def test_what_is_wrong(text: str, fault: str) -> None:
    (line, found), *_ = read(text)[1]
    assert f"{line}: {found}".startswith(fault)
    assert "dummy" not in found


def test_a_fault_stands_on_the_line_of_its_key_or_item() -> None:
    _, faults = read("a:\n  x\nc:\n  - 1\n  - [2]\n  - !x 3\nb:\n  !x 4\n")
    assert [(line, text.partition(":")[0]) for line, text in faults] == [(7, "b"), (6, "c.2")]


@settings(deadline=None)
@given(st.text() | st.text("ab:- \n[]{}#&*!|>'\"%@\\U0?\t~"))
def test_every_text_is_a_document(text: str) -> None:
    assert all(1 <= line <= len(text) + 1 for line, _ in read(text)[1])
