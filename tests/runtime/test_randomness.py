"""Random numbers lie between 0 and 1, and come from the injected bytes alone."""

from hypothesis import given
from hypothesis import strategies as st

from proxy.runtime.randomness import uniform


@given(st.binary(min_size=4, max_size=4))
def test_a_number_lies_between_0_and_1(data: bytes) -> None:
    assert 0.0 <= uniform(lambda _: data) <= 1.0


def test_the_bytes_decide() -> None:
    assert uniform(lambda count: b"\0" * count) == 0.0
    assert uniform(lambda count: b"\xff" * count) == 1.0
