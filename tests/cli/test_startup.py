"""Start-up: a command imports only what it needs. Times are in tests/bench/startup.py."""

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
COMMANDS = {
    ("--version",): 4,
    ("--help",): 4,
    ("help", "serve"): 4,
    ("config",): 6,
    ("purge",): 21,
    ("explain", "/1/members/me"): 21,
    ("check",): 50,
    ("link", "https://trello.com/c/AbCd1234"): 55,
    ("warm", "AbCd1234"): 65,
}
"""Modules of the proxy that each may import."""


def imported_by(statement: str, directory: Path) -> set[str]:
    """The modules loaded when the statement is done."""
    done = subprocess.run(
        [sys.executable, "-c", f"import sys\n{statement}\nprint(*sys.modules, file=sys.stderr)"],
        cwd=directory,
        capture_output=True,
        text=True,
        check=True,
    )
    return set(done.stderr.splitlines()[-1].split())


@pytest.fixture
def directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    (tmp_path / "proxy.yaml").write_text("listen: 127.0.0.1:9\n")
    return tmp_path


@pytest.mark.parametrize(("arguments", "limit"), COMMANDS.items())
def test_a_short_command_imports_little(
    directory: Path, arguments: tuple[str, ...], limit: int
) -> None:
    modules = imported_by(
        f"from proxy.cli.main import run\ntry: run({list(arguments)})\nexcept SystemExit: pass",
        directory,
    )
    assert not {"aiohttp", "prometheus_client", "sqlite3", "urllib.request"} & modules
    assert sum(name.startswith("proxy.") for name in modules) <= limit


def test_serve_imports_neither_the_fake_trello_nor_the_leak_check(directory: Path) -> None:
    modules = imported_by("import proxy.cli.serve", directory)
    assert "proxy.app.app" in modules
    others = ("proxy.fake_trello", "proxy.cli.leak_check", "proxy.cli.warm", "prometheus_client")
    assert not [name for name in modules if name.startswith((*others, "markdown_it", "pytest"))]
