"""Where the members of a JSON object lie in its text, so that they can be copied as they stand.

Only compact JSON, without white space between tokens, as Trello writes it: anything else, and an
object that names a member twice, is a ValueError. Values are passed over, never made anew: their
numbers and strings stay the text they came as (D4).
"""

import re
from collections.abc import Iterator, Mapping
from json import JSONDecoder
from typing import NamedTuple


def _reject(constant: str) -> object:
    raise ValueError(f"{constant} is not JSON (RFC 8259 §6)")


_skip = JSONDecoder(parse_int=str, parse_float=str, parse_constant=_reject).raw_decode
"""The value at a position, and where it ends; digits are not turned into numbers."""


_NAME = re.compile(r'"((?:[^"\\\x00-\x1f]|\\.)*)":')
"""A member's name, as it is written, and the colon."""


class Member(NamedTuple):
    """A name and a value within a text: `text[start:end]` is `"name":value`."""

    start: int
    value: int
    end: int


class Object(NamedTuple):
    """An object within a text: `text[start:end]`, and its members by name, in their order."""

    start: int
    end: int
    members: Mapping[str, Member]


def object_at(text: str, start: int) -> Object:
    """The object that begins at `start`; a ValueError or IndexError when none does."""
    _expect(text, start, "{")
    members: dict[str, Member] = {}
    if text[start + 1] == "}":
        return Object(start, start + 2, members)
    at = start + 1
    while True:
        written = _NAME.match(text, at)
        if written is None:
            raise ValueError("no name where one belongs")
        name = written[1] if "\\" not in written[1] else _skip(text, at)[0]
        _, end = _skip(text, written.end())
        if name in members:
            raise ValueError("a member twice")
        members[name] = Member(at, written.end(), end)
        if text[end] == "}":
            return Object(start, end + 1, members)
        _expect(text, end, ",")
        at = end + 1


def objects_at(text: str, start: int) -> Iterator[Object]:
    """The objects of the array that begins at `start`; errors as of `object_at`."""
    _expect(text, start, "[")
    at = start + 1
    if text[at] == "]":
        return
    while True:
        found = object_at(text, at)
        yield found
        if text[found.end] == "]":
            return
        _expect(text, found.end, ",")
        at = found.end + 1


def _expect(text: str, at: int, mark: str) -> None:
    if text[at] != mark:
        raise ValueError(f"no {mark} where one belongs")
