"""The files benchmark runs, asserts what it reads, and prints its figures."""

import pytest

from tests.bench import attachments


def test_it_runs(capsys: pytest.CaptureFixture[str]) -> None:
    attachments.main(["--smoke"])
    told = capsys.readouterr().out
    assert "downloads: 1.00, at most 1" in told
    assert "CPU per GB" in told
    assert "Memory" in told
