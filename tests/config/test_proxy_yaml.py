"""proxy.yaml is at once the default, the example and the reference."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from proxy.config import schema
from proxy.config.fields import (
    FieldType,
    ListOf,
    SectionOf,
    settings_of,
)
from proxy.config.schema import Config
from proxy.config.yaml_source import KeyPath, parse

TEXT = (Path(__file__).parents[2] / "proxy.yaml").read_text()
LINES = parse(TEXT).lines


def places_of(form: FieldType[Any], place: KeyPath = ()) -> Iterator[KeyPath]:
    match form:
        case SectionOf(kind):
            for key, field in settings_of(kind).items():
                yield (*place, key)
                yield from places_of(field.metadata["form"], (*place, key))
        case ListOf(item):
            yield from places_of(item, (*place, 0))


@pytest.mark.parametrize("place", list(places_of(SectionOf(Config))), ids=str)
def test_every_key_stands_there_with_a_comment(place: KeyPath) -> None:
    assert "  # " in TEXT.splitlines()[LINES[place] - 1]


def test_nothing_else_stands_there() -> None:
    known = set(places_of(SectionOf(Config)))
    assert {place for place in LINES if isinstance(place[-1], str)} - known == {
        ("credentials", name, "env") for name in ("key", "token", "secret")
    }


def test_it_is_the_default_but_for_its_route() -> None:
    example = schema.load(TEXT, "proxy.yaml", {}, str)
    assert len(example.routes) == 1
    assert replace(example, routes=()) == schema.default()


def test_it_takes_the_credentials_from_where_the_default_does() -> None:
    environ = {name: f"dummy-{name}" for name in ("TRELLO_KEY", "TRELLO_TOKEN", "TRELLO_SECRET")}
    example = schema.load(TEXT, "proxy.yaml", environ, str)
    assert example.credentials == schema.load("", "empty", environ, str).credentials
    assert example.credentials != schema.default().credentials
