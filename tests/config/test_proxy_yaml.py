"""proxy.yaml is at once the default, the example and the reference."""

from collections.abc import Iterator
from dataclasses import is_dataclass, replace
from typing import Any, get_args, get_origin

import pytest
import yaml

from proxy.config import schema
from proxy.config.fields import fields_by_key
from proxy.config.reference import with_examples
from proxy.config.schema import Config
from tests.generate_docs import ROOT

TEXT = (ROOT / "proxy.yaml").read_text()
FILLED = with_examples(TEXT)
KeyPath = tuple[str | int, ...]
"""Keys and indices from the root: `("routes", 0, "lifetime")`."""


def lines_of(node: yaml.Node | None, place: KeyPath = ()) -> Iterator[tuple[KeyPath, int]]:
    """The line of every key below a node, from 1."""
    if isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            yield (*place, key.value), key.start_mark.line + 1
            yield from lines_of(value, (*place, key.value))
    elif isinstance(node, yaml.SequenceNode):
        for number, item in enumerate(node.value):
            yield from lines_of(item, (*place, number))


LINES = dict(lines_of(yaml.compose(FILLED)))


def places_of(form: Any, place: KeyPath = ()) -> Iterator[KeyPath]:
    """Every key of a section, and of the sections in it; the items of a list are one, 0."""
    if is_dataclass(form) and isinstance(form, type):
        for key, field in fields_by_key(form).items():
            yield (*place, key)
            yield from places_of(field.type, (*place, key))
    elif get_origin(form) is tuple:
        yield from places_of(get_args(form)[0], (*place, 0))


@pytest.mark.parametrize("place", list(places_of(Config)), ids=str)
def test_every_key_stands_there_with_a_comment(place: KeyPath) -> None:
    assert "  # " in FILLED.splitlines()[LINES[place] - 1]


def test_nothing_else_stands_there() -> None:
    known = set(places_of(Config))
    assert LINES.keys() - known == {
        ("credentials", name, "env") for name in ("key", "token", "secret")
    }


def test_it_is_the_default() -> None:
    assert schema.load(TEXT, "proxy.yaml", {}, str) == Config()


def test_its_examples_are_a_route_and_a_client_key() -> None:
    example = schema.load(FILLED, "proxy.yaml", {}, str)
    assert len(example.routes) == len(example.clients.keys) == 1
    clients = replace(example.clients, keys=())
    assert replace(example, routes=(), clients=clients) == Config()


def test_it_takes_the_credentials_from_where_the_default_does() -> None:
    environ = {name: f"dummy-{name}" for name in ("TRELLO_KEY", "TRELLO_TOKEN", "TRELLO_SECRET")}
    example = schema.load(TEXT, "proxy.yaml", environ, str)
    assert example.credentials == schema.load("", "empty", environ, str).credentials
    assert example.credentials != Config().credentials
