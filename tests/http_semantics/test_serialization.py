"""Fields become lines, and no value can add one."""

from hypothesis import given
from hypothesis import strategies as st

from proxy.http_semantics.fields import serialize

NAMES = st.text("abcXYZ-", min_size=1, max_size=8)
LATIN = st.text(st.characters(max_codepoint=255), max_size=20)


def test_fields_are_lines_in_their_order() -> None:
    assert serialize((("A", "1"), ("b", ""), ("A", "2"))) == b"A: 1\r\nb: \r\nA: 2\r\n"
    assert serialize(()) == b""


def test_what_could_end_a_line_is_blanked() -> None:
    assert serialize((("A", "1\r\nSet-Cookie: x\n\0y"),)) == b"A: 1  Set-Cookie: x  y\r\n"


def test_bytes_outside_ascii_leave_as_they_came() -> None:
    assert serialize((("A", b"caf\xe9 \xc3\xa9\ttab\x85\xa0".decode("latin-1")),)) == (
        b"A: caf\xe9 \xc3\xa9\ttab\x85\xa0\r\n"
    )


def test_what_no_field_can_carry_becomes_a_question_mark() -> None:
    assert serialize((("A", "\u2603\udc80"),)) == b"A: ??\r\n"


@given(st.lists(st.tuples(NAMES, st.text(max_size=20)), max_size=5))
def test_there_are_as_many_lines_as_fields(fields: list[tuple[str, str]]) -> None:
    head = serialize(fields)
    assert head.count(b"\r\n") == head.count(b"\n") == head.count(b"\r") == len(fields)
    names = [line.split(b": ", 1)[0].decode() for line in head.split(b"\r\n")[:-1]]
    assert names == [name for name, _ in fields]


@given(LATIN)
def test_every_byte_that_is_no_control_character_survives(value: str) -> None:
    line = serialize((("A", value),))[3:-2].decode("latin-1")
    kept = [(new, old) for new, old in zip(line, value, strict=True) if new != old]
    assert all(old < " " and new == " " for new, old in kept)
