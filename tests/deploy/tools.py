"""The programs that judge deployment files, where they are installed."""

import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest

TIMEOUT_S = 60


def tool(name: str, cure: str) -> str:
    """The program's path, this Python's own first; the test is skipped where there is none."""
    path = ":".join([str(Path(sys.executable).parent), "/usr/sbin", "/usr/bin", "/usr/local/bin"])
    found = shutil.which(name, path=path)
    if found is None:
        pytest.skip(f"{name} is not installed: {cure}")
    return found


def told(*command: str, environment: Mapping[str, str] | None = None) -> tuple[int, str]:
    """The exit code, and everything that was said."""
    done = subprocess.run(
        command,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=TIMEOUT_S,
        env=environment,
        check=False,
    )
    return done.returncode, done.stdout
