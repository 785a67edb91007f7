"""Sizes, counts and times as people read them."""

import pytest

from proxy.pages.format import counted, date_text, duration_text, parse_time, size_text, time_text

SIZES = {
    0: "0 bytes", 1: "1 byte", 999: "999 bytes", 1000: "1.0 KB", 9_949: "9.9 KB",
    9_951: "10 KB", 999_499: "999 KB", 999_999: "1.0 MB", 38_000_000: "38 MB",
    2_000_000_000: "2.0 GB", 10**16: "10000 TB",
}  # fmt: skip


@pytest.mark.parametrize(("size_bytes", "text"), SIZES.items())
def test_sizes_have_two_digits(size_bytes: int, text: str) -> None:
    assert size_text(size_bytes) == text


def test_times_are_in_utc() -> None:
    moment = parse_time("2026-11-21T19:58:00.000Z")
    assert moment is not None
    assert date_text(moment) == "21 Nov 2026"
    assert time_text(moment.timestamp()) == "21 Nov 2026, 19:58 UTC"
    assert parse_time("yesterday") is None


def test_counts_have_a_noun() -> None:
    assert [counted(1, "file"), counted(1_234, "file")] == ["1 file", "1,234 files"]


DURATIONS = {
    0: "0 s",
    119.9: "119 s",
    120: "2 min",
    7_199: "119 min",
    7_200: "2 h",
    200_000: "2 days",
}


@pytest.mark.parametrize(("seconds", "text"), DURATIONS.items())
def test_durations_have_the_largest_unit_that_fits_twice(seconds: float, text: str) -> None:
    assert duration_text(seconds) == text
