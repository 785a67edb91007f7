"""Durations, sizes and rates mean what they say, and are written back as they were meant."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from proxy.config import units
from proxy.model import Rate

DURATIONS = {
    "milliseconds": ("500ms", 0.5),
    "seconds": ("30s", 30.0),
    "minutes": ("10m", 600.0),
    "hours": ("1h", 3_600.0),
    "days": ("1d", 86_400.0),
    "nothing": ("0s", 0.0),
}
SIZES = {
    "bytes": ("512B", 512),
    "kibibytes": ("64KiB", 65_536),
    "mebibytes": ("256MiB", 268_435_456),
    "gibibytes": ("10GiB", 10_737_418_240),
    "tebibytes": ("1TiB", 1_099_511_627_776),
}
NOT_DURATIONS = ["", "30", "s", "30 s", "1.5s", "-1s", "30S", "1h30m", "1:30", "٣s", "99999999d"]
NOT_SIZES = ["", "512", "1GB", "1.5GiB", "-1B", "0B", "1 KiB", "1kib", "1e3B"]
NOT_RATES = ["", "100", "100/10", "/10s", "0/10s", "100/0s", "100/10s/2", "100 / 10s", "1e2/10s"]


@pytest.mark.parametrize(("text", "seconds"), DURATIONS.values(), ids=DURATIONS.keys())
def test_a_duration_is_seconds(text: str, seconds: float) -> None:
    assert units.duration(text) == seconds
    assert units.duration_text(seconds) == text


@pytest.mark.parametrize(("text", "count"), SIZES.values(), ids=SIZES.keys())
def test_a_size_is_bytes(text: str, count: int) -> None:
    assert units.size(text) == count
    assert units.size_text(count) == text


def test_a_rate_is_a_count_in_a_window() -> None:
    assert units.rate("100/10s") == Rate(count=100, window_s=10.0)


@pytest.mark.parametrize("text", NOT_DURATIONS)
def test_anything_else_is_no_duration(text: str) -> None:
    with pytest.raises(ValueError, match="not a duration; write a number with its unit"):
        units.duration(text)


@pytest.mark.parametrize("text", NOT_SIZES)
def test_anything_else_is_no_size(text: str) -> None:
    with pytest.raises(ValueError, match="not a size; write a number with its unit"):
        units.size(text)


@pytest.mark.parametrize("text", NOT_RATES)
def test_anything_else_is_no_rate(text: str) -> None:
    with pytest.raises(ValueError, match="not a rate; write requests/duration"):
        units.rate(text)


def test_less_than_the_least_is_a_fault_of_its_own() -> None:
    assert units.duration("1ms", at_least_s=0.001) == 0.001
    with pytest.raises(ValueError, match="write 1ms or more"):
        units.duration("0h", at_least_s=0.001)
    with pytest.raises(ValueError, match="write 1KiB or more"):
        units.size("1023B", at_least=1024)


@settings(deadline=None)
@given(st.integers(0, 9_999_999), st.sampled_from(["ms", "s", "m", "h", "d"]))
def test_a_duration_written_back_is_the_same_duration(amount: int, unit: str) -> None:
    seconds = units.duration(f"{amount}{unit}")
    assert units.duration(units.duration_text(seconds)) == seconds


@settings(deadline=None)
@given(st.integers(1, 999_999), st.sampled_from(["B", "KiB", "MiB", "GiB", "TiB"]))
def test_a_size_written_back_is_the_same_size(amount: int, unit: str) -> None:
    count = units.size(f"{amount}{unit}")
    assert units.size(units.size_text(count)) == count
