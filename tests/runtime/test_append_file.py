"""Whole lines at the end of a file, or an error."""

import os
from pathlib import Path

import pytest

from proxy.runtime.append_file import AppendFile


def test_lines_are_appended_across_openings(tmp_path: Path) -> None:
    path = tmp_path / "log"
    for line in (b"a\n", b"b\n"):
        file = AppendFile(str(path))
        file.write(line)
        file.close()
    assert path.read_bytes() == b"a\nb\n"


def test_a_torn_line_does_not_spoil_the_next(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "log"
    file, write = AppendFile(str(path)), os.write
    monkeypatch.setattr("proxy.runtime.append_file.os.write", lambda fd, line: write(fd, line[:3]))
    with pytest.raises(OSError, match="in part"):
        file.write(b"abcdef\n")
    monkeypatch.undo()
    file.write(b"next\n")
    assert path.read_bytes() == b"abc\nnext\n"


def test_a_pipe_without_a_reader_is_an_error_at_once(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(OSError):  # noqa: PT011 — the system's own text
        AppendFile(str(tmp_path / "pipe")).write(b"a\n")
