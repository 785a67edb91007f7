"""Header fields as bytes; Latin-1 both ways, so what arrived leaves unchanged (RFC 9110 §5.5)."""

from collections.abc import Iterable


def serialize(fields: Iterable[tuple[str, str]]) -> bytes:
    """`Name: value CRLF` lines. Control characters, which could end a line, are blanked."""
    return "".join(f"{name}: {_line(value)}\r\n" for name, value in fields).encode(
        "latin-1", "replace"
    )


def _line(value: str) -> str:
    if value.isprintable():
        return value
    return "".join(" " if char < " " and char != "\t" else char for char in value)
