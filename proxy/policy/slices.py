"""Where the members of a JSON object lie in its text, so that they can be copied as they stand.

Only compact JSON, without white space between tokens, as Trello writes it: anything else, and an
object that names a member twice, is a ValueError. Values are passed over, never made anew: their
numbers and strings stay the text they came as (D4).
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from json import JSONDecoder


def _refused(constant: str) -> object:
    raise ValueError(f"{constant} is not JSON (RFC 8259 §6)")


_skip = JSONDecoder(parse_int=str, parse_float=str, parse_constant=_refused).raw_decode
"""The value at a position, and where it ends; digits are not turned into numbers."""


@dataclass(frozen=True, slots=True)
class Member:
    """A name and a value within a text: `text[start:end]` is `"name":value`."""

    start: int
    value: int
    end: int


@dataclass(frozen=True, slots=True)
class Object:
    """An object within a text: `text[start:end]`, and its members by name, in their order."""

    start: int
    end: int
    members: Mapping[str, Member]


def object_at(text: str, start: int) -> Object:
    """The object that begins at `start`; a ValueError or IndexError when none does."""
    _expect(text, start, "{")
    members: dict[str, Member] = {}
    at = start + 1
    while text[at] != "}" or members:
        _expect(text, at, '"')
        name, colon = _skip(text, at)
        _expect(text, colon, ":")
        _, end = _skip(text, colon + 1)
        if name in members:
            raise ValueError("a member twice")
        members[name] = Member(at, colon + 1, end)
        if text[end] == "}":
            at = end
            break
        _expect(text, end, ",")
        at = end + 1
    return Object(start, at + 1, members)


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
