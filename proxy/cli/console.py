"""Console output of commands: raw lines, and the message of a failure."""

import sys

INTERRUPTED = 130
"""The exit code of a command that SIGINT ended, as shells have it."""


class CommandFailed(Exception):
    """Ends a command: `str()` goes to standard error; the exit code is 1 or 2."""

    def __init__(self, message: str, exit_code: int = 1) -> None:
        super().__init__(message)
        self.exit_code = exit_code


def to_stderr(lines: bytes) -> None:
    """Write to standard error and flush."""
    sys.stderr.buffer.write(lines)
    sys.stderr.buffer.flush()
