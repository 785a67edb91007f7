"""Vocabulary: prose in the field's words, and one module for each class name."""

import io
import re
import tokenize
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.generate_docs import ROOT
from tests.test_docs import DOCUMENTS
from tests.test_floor_plan import FILES, folder_of, found_in, module_of, source_of

UNUSED = re.compile(
    r"\b(?:told|tells?|telling|heard|hears?|hearing|whoever|whom|somebody|nobody|everybody|askers?"
    r"|questions?|answers?|watchers?|census|(?<!in )flights?|outdated|trouble|so many|what is there"
    r"|beside the (?:event )?loop)\b",
    re.IGNORECASE,
)
"""request, response, client, poller, stale, upstream failure, off the event loop … instead."""
ALLOWED = {"proxy.cache.collapsing": {"flight", "flights"}}
"""Go's *singleflight* is a word of the field where requests are collapsed."""
TEXTS = (
    *DOCUMENTS,
    ROOT / "proxy.yaml",
    *(path for path in sorted((ROOT / "deploy").rglob("*")) if path.is_file()),
)


def prose_of(path: Path) -> Iterator[tuple[int, str]]:
    """Docstrings, also of attributes, and comments, with their first line's number."""
    source = source_of(path)
    yield from source.docstrings
    for token in tokenize.generate_tokens(io.StringIO(source.text).readline):
        if token.type == tokenize.COMMENT:
            yield token.start[0], token.string


def unused_words(path: Path) -> list[str]:
    allowed = ALLOWED.get(module_of(path), set())
    return [
        f"{line}: {word}"
        for line, text in prose_of(path)
        for word in UNUSED.findall(text)
        if word.lower() not in allowed
    ]


def test_docstrings_and_comments_are_in_plain_words() -> None:
    assert not found_in(FILES, unused_words)


@pytest.mark.parametrize("path", dict.fromkeys(TEXTS), ids=lambda path: "/".join(path.parts[-2:]))
def test_documents_and_examples_are_in_plain_words(path: Path) -> None:
    text = re.sub(r"`[^`]*`", "", path.read_text())
    assert not [
        f"{number}: {word}"
        for number, line in enumerate(text.splitlines(), start=1)
        for word in UNUSED.findall(line)
    ]


def test_a_class_name_stands_in_one_module() -> None:
    modules = defaultdict[str, set[str]](set)
    for path in FILES:
        if folder_of(module_of(path)) != "fake_trello":
            for name in source_of(path).classes:
                if not name.startswith("_"):
                    modules[name].add(module_of(path))
    assert not {name: found for name, found in modules.items() if len(found) > 1}
