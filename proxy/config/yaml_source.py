"""YAML source: the values of a file as text, with their lines.

A scalar stays the text it was written as (`off`, `1:30`, `0777`, `2026-11-21`), except an unquoted
null. Aliases and tags are refused, so the tree is finite. No fault repeats a value.
"""

import re
from collections.abc import Iterable

import yaml

Value = str | None | list["Value"] | dict[str, "Value"]
KeyPath = tuple[str | int, ...]
"""Keys and indices from the root to a value: `("routes", 0, "lifetime")`."""
Fault = tuple[int, str]
"""Line (from 1), and the text after it: place, what is wrong, and the cure."""

_NULLS = frozenset({"", "~", "null", "Null", "NULL"})
_PLAIN_TAGS = frozenset(f"tag:yaml.org,2002:{kind}" for kind in ("str", "seq", "map"))
_KEY = re.compile(r"[a-z][a-z_]{0,23}")


class Document:
    """A parsed file; broken YAML has a null root and one fault."""

    def __init__(self, text: str) -> None:
        self.root: Value = None
        self.lines: dict[KeyPath, int] = {}
        self.faults: list[Fault] = []
        self._nodes = set[int]()
        try:
            self.root = self._value(yaml.compose(text, Loader=yaml.BaseLoader), ())
        except yaml.MarkedYAMLError as error:
            mark = error.problem_mark or error.context_mark
            self._broken(mark.line + 1 if mark else 1, error.problem or error.context or "")
        except yaml.reader.ReaderError as error:
            line = text.count("\n", 0, error.position) + 1
            self._broken(line, "found a control character")
        except RecursionError:
            self._broken(1, "found too many brackets inside each other")
        except (ValueError, OverflowError):  # of chr() and int() in PyYAML
            self._broken(1, "found an escape or a number out of range")

    def note(self, place: KeyPath, text: str, line: int = 0) -> None:
        """Add a fault at a line; else at that of the key or item, or of the one around it."""
        written = place
        while written and written not in self.lines:
            written = written[:-1]
        path = f"{_path_text(place)}: " if place else ""
        self.faults.append((line or self.lines.get(written, 1), path + text))

    def _broken(self, line: int, problem: str) -> None:
        if not problem or "tag handle" in problem:  # the one message that repeats what was written
            problem = "found a tag that is not declared"
        cure = "check the indentation, or put the value in quotes"
        self.root, self.faults = None, [(line, f"not YAML, {problem}; {cure}")]

    def _value(self, node: yaml.Node | None, place: KeyPath) -> Value:
        if node is None:
            return None
        if id(node) in self._nodes:
            self.note(place, "an alias, a word that begins with *; write the value instead")
            return None
        self._nodes.add(id(node))
        if node.tag not in _PLAIN_TAGS:
            self.note(place, "a YAML tag has no meaning here; write the value alone")
        match node:
            case yaml.MappingNode():
                return self._mapping(node.value, place)
            case yaml.SequenceNode():
                return [self._child(item, item, (*place, i)) for i, item in enumerate(node.value)]
            case yaml.ScalarNode(style=None) if node.value in _NULLS:
                return None
        return str(node.value)

    def _mapping(self, pairs: Iterable[tuple[yaml.Node, yaml.Node]], place: KeyPath) -> Value:
        values: dict[str, Value] = {}
        for key, node in pairs:
            inner, line = (*place, str(key.value)), key.start_mark.line + 1
            if not isinstance(key, yaml.ScalarNode):
                self.note(place, "a key must be one word; write key: value", line)
            elif key.value in values:
                first = self.lines[inner]
                fault = f"duplicate key, first on line {first}; remove one of them"
                self.note(inner, fault, line)
            else:
                values[key.value] = self._child(key, node, inner)
        return values

    def _child(self, mark: yaml.Node, node: yaml.Node, place: KeyPath) -> Value:
        if isinstance(place[-1], str) or id(node) not in self._nodes:  # an alias has no line
            self.lines[place] = mark.start_mark.line + 1
        return self._value(node, place)


def _path_text(place: KeyPath) -> str:
    """`routes.0.lifetime`; a key that does not look like one may be a pasted secret: `***`."""
    return ".".join(
        str(step) if isinstance(step, int) or _KEY.fullmatch(step) else "***" for step in place
    )
