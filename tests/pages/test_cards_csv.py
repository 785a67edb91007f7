"""CSV of cards: what a parser of RFC 4180 reads back, and nothing that a spreadsheet calculates."""

import csv
import io
import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.pages.cards_csv import BOM, COLUMNS, BoardNames, cell, csv_chunks, parse_names

BOARD = {
    "name": "Release",
    "lists": [{"id": "l1", "name": "Doing"}],
    "members": [
        {"id": "m1", "fullName": "Ana, B."},
        {"id": "m2", "fullName": "", "username": "bo"},
    ],
    "customFields": [
        {"id": "f1", "name": "Effort", "type": "number"},
        {"id": "f2", "name": "=Size", "type": "list", "options": [
            {"id": "o1", "value": {"text": "large"}},
        ]},
        {"id": "f3", "name": "Ready", "type": "checkbox"},
        {"id": "f4", "name": "When", "type": "date"},
        {"id": "f5", "name": "Note", "type": "text"},
    ],
}  # fmt: skip
CARD: dict[str, Any] = {
    "name": 'Fix "it", now',
    "idList": "l1",
    "labels": [{"name": "bug"}, {"name": "", "color": "red"}],
    "idMembers": ["m1", "m2", "gone"],
    "due": "2026-11-28T12:00:00.000Z",
    "dueComplete": True,
    "dateLastActivity": "2026-11-01T08:00:00.123Z",
    "shortUrl": "https://trello.com/c/AbCd1234",
    "customFieldItems": [
        {"idCustomField": "f1", "value": {"number": "-5.5"}},
        {"idCustomField": "f2", "idValue": "o1", "value": None},
        {"idCustomField": "f3", "value": {"checked": "true"}},
        {"idCustomField": "f4", "value": {"date": "2026-12-24T00:00:00.000Z"}},
        {"idCustomField": "f5", "value": {"text": "@SUM(1)"}},
    ],
}
STARTS_FORMULA = re.compile(r"[\s]*[=+\-@\t\r\uff1d\uff0b\uff0d\uff20]")


def rows_of(cards: list[Any], names: BoardNames | None = None) -> list[list[str]]:
    data = b"".join(csv_chunks(names or parse_names(BOARD), cards, has_bom=False))
    assert data.endswith(b"\r\n")
    return list(csv.reader(io.StringIO(data.decode(), newline=""), strict=True))


def test_a_card_is_a_row_and_its_custom_fields_are_columns() -> None:
    head, row = rows_of([CARD])
    assert head == [*COLUMNS, "Effort", "'=Size", "Ready", "When", "Note"]
    assert row == [
        'Fix "it", now', "Doing", "bug; red", "Ana, B.; bo", "2026-11-28T12:00:00Z", "true",
        "2026-11-01T08:00:00Z", "https://trello.com/c/AbCd1234",
        "-5.5", "large", "true", "2026-12-24T00:00:00Z", "'@SUM(1)",
    ]  # fmt: skip


def test_an_empty_board_has_a_header() -> None:
    assert rows_of([], parse_names({})) == [list(COLUMNS)]


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("=1+1", "'=1+1"),
        ("+1", "'+1"),
        ("-1", "'-1"),
        ("@x", "'@x"),
        ("\t=1", "'\t'=1"),
        ("\r=1", "'=1"),
        ("\tx", "'\tx"),
        ("  =1", "'  =1"),
        ("\u202e=1", "'=1"),
        ("\x00=1", "'=1"),
        ("\ufeff=1", "'=1"),
        ("\uff1d1", "'\uff1d1"),
        ("a;=1;b", "a;'=1;b"),
        ("a; =1", "a;' =1"),
        ("a\n=1", "a\n'=1"),
        ("a\r\n+1", "a\n'+1"),
        ("abc\u202ecod.exe", "abccod.exe"),
        ("a-b=c", "a-b=c"),
        ('a;"=1', "a;'\"=1"),
        ("\U0001f469\u200d\U0001f4bb", "\U0001f469\u200d\U0001f4bb"),
        ("", ""),
    ],
)
def test_formulas_are_text_and_invisible_characters_left_out(text: str, shown: str) -> None:
    assert cell(text) == shown


@given(st.text(st.sampled_from("=+-@\t\r\n ;,\"'a\u202e\x00\ufeff\uff1d")))
def test_no_cell_begins_as_a_formula_by_whatever_separator(text: str) -> None:
    cards = [{"name": text, "labels": [{"name": text}]}]
    (row,) = rows_of(cards)[1:]
    assert not [each for each in row if STARTS_FORMULA.match(each)]
    data = b"".join(csv_chunks(parse_names({}), cards, has_bom=False)).decode()
    for separator in ";\t":
        rest = io.StringIO(data.partition("\r\n")[2], newline="")
        for line in csv.reader(rest, delimiter=separator):
            assert not [each for each in line if re.match(r"\s*[=+@]", each)]


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(max_size=5),
        lambda inner: (
            st.lists(inner, max_size=3)
            | st.dictionaries(
                st.sampled_from([*CARD, "id", "value", "number", "text", "idValue", "options"]),
                inner,
            )
        ),
        max_leaves=20,
    )
)
def test_whatever_trello_sends_is_a_table(value: Any) -> None:
    names = parse_names({"customFields": [value], "lists": value, "members": [value], **BOARD})
    for each in ({**CARD, "customFieldItems": [value], "labels": value, "name": value}, value):
        rows = rows_of([each], names)
        assert {len(row) for row in rows} == {len(rows[0])}


def test_a_bom_comes_first_and_once() -> None:
    chunks = list(csv_chunks(parse_names(BOARD), [CARD] * 600, has_bom=True))
    assert b"".join(chunks).count(BOM) == 1
    assert chunks[0].startswith(BOM + b"name,")
    assert len(chunks) == 4


def test_a_lone_surrogate_ends_nothing() -> None:
    assert rows_of([{"name": "a\ud800b"}])[1][0] == "a?b"
