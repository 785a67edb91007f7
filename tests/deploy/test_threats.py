"""The threat model names, for each threat, what stops it and tests that exist."""

import ast
import re
from collections.abc import Iterator
from functools import cache

import pytest

from tests.deploy.examples import DEPLOY, ROOT

OVERVIEW = (DEPLOY / "THREATS.md").read_text()
PAGES = sorted((DEPLOY / "threats").glob("*.md"))
TEXT = "".join(path.read_text() for path in PAGES)
THREATS = {
    title: body
    for path in PAGES
    for part in re.split(r"(?m)^## ", path.read_text())[1:]
    for title, _, body in (part.partition("\n"),)
}
NAMED = re.compile(r"`(tests/[a-z_/]+\.py)::((?:Test[A-Za-z0-9]+::)?test_[a-z0-9_]+)`")


@cache
def names_in(path: str) -> frozenset[str]:
    """As pytest has them, those of a class behind its name."""
    tree = ast.parse((ROOT / path).read_text())
    return frozenset(_names(tree, ""))


def _names(tree: ast.Module | ast.ClassDef, before: str) -> Iterator[str]:
    for node in tree.body:
        match node:
            case ast.FunctionDef() | ast.AsyncFunctionDef():
                yield before + node.name
            case ast.ClassDef():
                yield from _names(node, f"{before}{node.name}::")


def test_there_are_threats_on_the_pages_that_the_overview_lists() -> None:
    assert len(THREATS) > 20
    assert "**Proof" not in OVERVIEW, "a threat belongs to a page below deploy/threats"
    listed = re.findall(r"\(threats/(\w+)\.md\)", OVERVIEW)
    assert sorted(listed) == [path.stem for path in PAGES]


@pytest.mark.parametrize("title", THREATS)
def test_what_stops_it_is_proven_by_tests_that_exist(title: str) -> None:
    stopped, _, proof = THREATS[title].partition("**Proof:**")
    assert "**Stopped" in stopped
    named = NAMED.findall(proof)
    assert named
    assert not [f"{path}::{name}" for path, name in named if name not in names_in(path)]


def test_no_test_is_named_in_another_way() -> None:
    assert TEXT.count("::test_") == len(NAMED.findall(TEXT))
