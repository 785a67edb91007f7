"""Append file: whole lines at the end of a file, which another program may rotate."""

import os
from contextlib import suppress
from pathlib import Path

_FLAGS = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_NONBLOCK | os.O_CLOEXEC
_MODE = 0o600


class AppendFile:
    """A file that is only appended to. Lines are short, and written by one system call."""

    def __init__(self, path: str) -> None:
        self._path = Path(path)
        self._fd: int | None = None
        self._is_torn = False
        """Whether the last line was written in part."""

    def reopen(self) -> None:
        """Open the file of this name, which may be another one now; OSError."""
        self.close()
        self._fd = os.open(self._path, _FLAGS, _MODE)

    def write(self, line: bytes) -> None:
        """Append a line; OSError if it is not written as a whole."""
        if self._fd is None:
            self.reopen()
        line = b"\n" + line if self._is_torn else line
        written = os.write(self._fd, line) if self._fd is not None else 0
        self._is_torn = self._is_torn if not written else written < len(line)
        if written < len(line):
            raise OSError("the line was written in part only")

    def close(self) -> None:
        """Close the file; the next line opens it."""
        if self._fd is not None:
            with suppress(OSError):
                os.close(self._fd)
        self._fd = None
