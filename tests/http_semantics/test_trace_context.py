"""Trace context: a traceparent is forwarded unchanged or not at all (W3C Trace Context §3.2)."""

import pytest

from proxy.http_semantics.trace_context import parse_traceparent

ID, PARENT = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
FIELD = f"00-{ID}-{PARENT}-01"

CASES: dict[str, tuple[list[str], str | None]] = {
    "as in the standard's example": ([FIELD], FIELD),
    "not sampled": ([f"00-{ID}-{PARENT}-00"], f"00-{ID}-{PARENT}-00"),
    "with space around it": ([f" {FIELD} "], FIELD),
    "of a version to come": ([f"cc-{ID}-{PARENT}-01"], FIELD),
    "with more than is known": ([f"cc-{ID}-{PARENT}-01-what-the-future-brings"], FIELD),
    "no field": ([], None),
    "two fields": ([FIELD, FIELD], None),
    "an empty one": ([""], None),
    "the version that is none": ([f"ff-{ID}-{PARENT}-01"], None),
    "more than version 00 has": ([f"{FIELD}-x"], None),
    "more, without a dash": ([f"cc-{ID}-{PARENT}-01x"], None),
    "no trace-id": ([f"00-{'0' * 32}-{PARENT}-01"], None),
    "no parent-id": ([f"00-{ID}-{'0' * 16}-01"], None),
    "capitals": ([FIELD.upper()], None),
    "too short": ([FIELD[:-1]], None),
    "another alphabet": ([f"00-{'g' * 32}-{PARENT}-01"], None),
    "a line's end": ([f"{FIELD}\n"], FIELD),
    "a field behind a line's end": ([f"{FIELD}\nX: y"], None),
}


@pytest.mark.parametrize(("values", "parent"), CASES.values(), ids=CASES.keys())
def test_trace_of(values: list[str], parent: str | None) -> None:
    trace = parse_traceparent(values)
    assert (trace.parent if trace else None) == parent
    assert trace is None or trace.trace_id == ID
