"""YAML as plain text values that remember their lines; nothing is guessed from how a word looks.

A scalar stays the text it was written as (`off`, `1:30`, `0777`, `2026-11-21`), except an unquoted
null. Aliases and tags are refused, so the tree is finite. No fault repeats a value.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

import yaml

Value = str | None | list["Value"] | dict[str, "Value"]
KeyPath = tuple[str | int, ...]
"""The way to a value: `("routes", 0, "lifetime")`."""

MAX_DEPTH = 32
_NULLS = frozenset({"", "~", "null", "Null", "NULL"})
_PLAIN_TAGS = frozenset(f"tag:yaml.org,2002:{kind}" for kind in ("str", "seq", "map"))
_SHOWABLE = re.compile(r"[a-z][a-z_]{0,23}")


@dataclass(frozen=True, slots=True)
class Fault:
    """What is wrong and what to write instead, and the line (from 1) where it stands."""

    line: int
    place: KeyPath
    text: str

    def __str__(self) -> str:
        return f"{self.line}: " + (f"{format_path(self.place)}: " if self.place else "") + self.text


@dataclass(frozen=True, slots=True)
class Document:
    """A parsed file: its tree, where its parts stand, and what is wrong with it as YAML."""

    root: Value = None
    lines: Mapping[KeyPath, int] = field(default_factory=dict)
    faults: tuple[Fault, ...] = ()

    def fault(self, place: KeyPath, text: str) -> Fault:
        """At the line of a key or list item; of what encloses it when it is not written."""
        written = place
        while written and written not in self.lines:
            written = written[:-1]
        return Fault(self.lines.get(written, 1), place, text)


def format_path(place: KeyPath) -> str:
    """`routes.0.lifetime`; a key that does not look like one may be a pasted secret: `***`."""
    return ".".join(
        str(step) if isinstance(step, int) or _SHOWABLE.fullmatch(step) else "***" for step in place
    )


def parse(text: str) -> Document:
    """The document, whatever the text; broken YAML has a null root and one fault."""
    try:
        root = _Composer(text).get_single_node()
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        return _broken(mark.line + 1 if mark else 1, error.problem or error.context)
    except yaml.reader.ReaderError as error:
        return _broken(text.count("\n", 0, error.position) + 1, "found a control character")
    except (ValueError, OverflowError):  # PyYAML lets chr() and int() speak for themselves
        return _broken(1, "found an escape or a number out of range")
    marker = _Positions()
    return Document(
        marker.plain(root, ()) if root else None, marker.lines, faults=tuple(marker.faults)
    )


def _broken(line: int, problem: str | None) -> Document:
    if not problem or "tag handle" in problem:  # the one message that repeats what was written
        problem = "found a tag that is not declared"
    cure = "check the indentation, or put the value in quotes"
    return Document(faults=(Fault(line, (), f"not YAML, {problem}; {cure}"),))


class _Composer(yaml.BaseLoader):
    """Nodes with their marks; no aliases, and no deeper than `MAX_DEPTH`."""

    _depth = 0

    def compose_node(self, parent: yaml.Node | None, index: int) -> yaml.Node | None:
        if self.check_event(yaml.AliasEvent):
            raise self._refused("found an alias, a word that begins with *")
        if self._depth == MAX_DEPTH:
            raise self._refused("found too many brackets inside each other")
        self._depth += 1
        node = super().compose_node(parent, index)
        self._depth -= 1
        return node

    def _refused(self, problem: str) -> yaml.MarkedYAMLError:
        return yaml.MarkedYAMLError(problem=problem, problem_mark=self.current_event.start_mark)


class _Positions:
    """Turns nodes into values and notes their lines."""

    def __init__(self) -> None:
        self.lines: dict[KeyPath, int] = {}
        self.faults: list[Fault] = []

    def plain(self, node: yaml.Node, place: KeyPath) -> Value:
        if node.tag not in _PLAIN_TAGS:
            self._note(node, place, "a YAML tag has no meaning here; write the value alone")
        if isinstance(node, yaml.MappingNode):
            return self._mapping(node, place)
        if isinstance(node, yaml.SequenceNode):
            return [self._child(item, item, (*place, i)) for i, item in enumerate(node.value)]
        is_quoted = isinstance(node, yaml.ScalarNode) and node.style is not None
        return None if node.value in _NULLS and not is_quoted else str(node.value)

    def _mapping(self, node: yaml.MappingNode, place: KeyPath) -> Value:
        values: dict[str, Value] = {}
        for key, child in node.value:
            if not isinstance(key, yaml.ScalarNode):
                self._note(key, place, "a key must be one word; write key: value")
                continue
            inner = (*place, str(key.value))
            if key.value in values:
                first = self.lines[inner]
                self._note(key, inner, f"duplicate key, first on line {first}; remove one of them")
                continue
            values[key.value] = self._child(key, child, inner)
        return values

    def _child(self, mark: yaml.Node, node: yaml.Node, place: KeyPath) -> Value:
        self.lines[place] = mark.start_mark.line + 1
        return self.plain(node, place)

    def _note(self, node: yaml.Node, place: KeyPath, text: str) -> None:
        self.faults.append(Fault(node.start_mark.line + 1, place, text))
