"""YAML source: the nodes of a file, and every fault found in it, with their lines.

A scalar stays the text it was written as (`off`, `1:30`, `0777`, `2026-11-21`), except an unquoted
null. No fault repeats a value (D14).
"""

import re
from typing import NamedTuple

import yaml

_NULLS = frozenset({"", "~", "null", "Null", "NULL"})
_KEY = re.compile(r"[a-z][a-z_]{0,23}")


class Place(NamedTuple):
    """Line of a value (from 1), and the keys and indices that lead to it: `routes.0.lifetime`."""

    line: int = 1
    path: str = ""

    def inner(self, step: str | int, node: yaml.Node | None = None) -> "Place":
        """A key or index below this place, at the line of its node; None: it is not written."""
        # A key that does not look like one may be a pasted secret.
        shown = step if isinstance(step, int) or _KEY.fullmatch(step) else "***"
        line = node.start_mark.line + 1 if node else self.line
        return Place(line, f"{self.path}.{shown}" if self.path else str(shown))


class Document:
    """A parsed file; broken YAML has no root and one fault."""

    def __init__(self, text: str) -> None:
        self.root: yaml.Node | None = None
        self.faults: list[tuple[int, str]] = []
        """Line, and the text after it: place, what is wrong, and the cure."""
        try:
            self.root = yaml.compose(text, Loader=yaml.BaseLoader)
        except yaml.MarkedYAMLError as error:
            mark = error.problem_mark or error.context_mark
            self._broken(mark.line + 1 if mark else 1, error.problem or error.context or "")
        except yaml.reader.ReaderError as error:
            self._broken(text.count("\n", 0, error.position) + 1, "found a control character")
        except RecursionError:
            self._broken(1, "found too many brackets inside each other")
        except (ValueError, OverflowError):  # of chr() and int() in PyYAML
            self._broken(1, "found an escape or a number out of range")

    def note(self, place: Place, text: str) -> None:
        """Add a fault."""
        self.faults.append((place.line, f"{place.path}: {text}" if place.path else text))

    def _broken(self, line: int, problem: str) -> None:
        # What PyYAML repeats may be a secret.
        problem = re.sub(r"(alias|tag handle) .*", r"\1", problem) or "found a tag without a name"
        cure = "check the indentation, or put the value in quotes"
        self.note(Place(line), f"not YAML, {problem}; {cure}")


def text_of(node: yaml.Node | None) -> str | None:
    """The text of a scalar; None for null, a list or a mapping."""
    return node.value if isinstance(node, yaml.ScalarNode) and not is_null(node) else None


def is_null(node: yaml.Node | None) -> bool:
    """Whether it is not written, or null without quotes."""
    is_plain = isinstance(node, yaml.ScalarNode) and node.style is None
    return node is None or (is_plain and node.value in _NULLS)
