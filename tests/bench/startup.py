"""CPU time of short commands, and of `serve` until it listens: python -m tests.bench.startup

Medians of nine runs of the Python that runs this, children included. A busy machine shows more.
"""

import os
import resource
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

RUNS = 9
ROOT = Path(__file__).parents[2]
COMMANDS = (
    ("--version",),
    ("--help",),
    ("config",),
    ("check",),
    ("link", "https://trello.com/c/AbCd1234"),
    ("explain", "/1/members/me"),
    ("purge",),
    ("warm", "AbCd1234"),
)
"""The last three find no proxy."""


def command_cpu_s(arguments: tuple[str, ...], directory: str) -> float:
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run(
        [sys.executable, "-m", "proxy", *arguments],
        cwd=directory,
        env=environment(),
        capture_output=True,
        check=False,
    )
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def serve_cpu_s(directory: str) -> float:
    """From the start of the process to its log line `listening`."""
    process = subprocess.Popen(
        [sys.executable, "-m", "proxy", "serve"],
        cwd=directory,
        env=environment() | {"TRELLO_KEY": "0" * 32, "TRELLO_TOKEN": "1" * 64},
        stderr=subprocess.PIPE,
    )
    assert process.stderr is not None
    while b'"listening"' not in process.stderr.readline():
        assert process.poll() is None
    spent_ns = sum(
        int((task / "schedstat").read_text().split()[0])
        for task in Path(f"/proc/{process.pid}/task").iterdir()
    )
    process.kill()
    process.wait()
    process.stderr.close()
    return spent_ns / 1e9


def environment() -> dict[str, str]:
    return os.environ | {"PYTHONPATH": str(ROOT)}


def main() -> None:
    with tempfile.TemporaryDirectory() as directory:
        config = "listen: 127.0.0.1:9\n"
        for arguments in COMMANDS:
            Path(directory, "proxy.yaml").write_text(config)
            figures = [command_cpu_s(arguments, directory) for _ in range(RUNS)]
            print(f"{statistics.median(figures):.3f} s  {' '.join(arguments)}")
        Path(directory, "proxy.yaml").write_text(
            f"{{listen: '127.0.0.1:0', cache: {{directory: {directory}/cache}}}}\n"
        )
        figures = [serve_cpu_s(directory) for _ in range(RUNS)]
        print(f"{statistics.median(figures):.3f} s  serve, until it listens")


if __name__ == "__main__":
    main()
