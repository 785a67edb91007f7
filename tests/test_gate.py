"""What has to hold before anything else is looked at: linter, formatter, types."""

import re
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]

HERE_ONLY = re.compile(r"(?<![\w.])/(?:home|root|work|Users)/(?!dummy\b)\w")
OUTSIDE = re.compile(r"/sh[a]red/")
SECRETS = re.compile(r"\bATTA[0-9a-f]{60,}")


def tool(name: str, *arguments: str) -> None:
    """Run one of Python's tools on the whole project; its own words are the failure."""
    if find_spec(name) is None:
        pytest.skip(f"{name} is not installed: pip install '.[test]'")
    done = subprocess.run(
        [sys.executable, "-m", name, *arguments],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr


def texts_of_files() -> dict[str, str]:
    """Every file of the project, committed or about to be."""
    listing = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    try:
        done = subprocess.run(listing, cwd=ROOT, capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        pytest.skip("not a git checkout: which files are the project's is not known")
    names = [name for name in done.stdout.split("\0") if name and (ROOT / name).is_file()]
    return {name: (ROOT / name).read_text(errors="replace") for name in names}


def test_ruff_finds_nothing() -> None:
    tool("ruff", "check", ".")


def test_ruff_would_format_nothing() -> None:
    tool("ruff", "format", "--check", ".")


@pytest.mark.timeout(400)
def test_mypy_finds_nothing() -> None:
    tool("mypy")


def test_nothing_leads_to_a_place_on_one_machine() -> None:
    texts = texts_of_files()
    assert not [name for name, text in texts.items() if HERE_ONLY.search(text)]
    outside = {name for name, text in texts.items() if OUTSIDE.search(text)}
    assert not [name for name in outside if not name.endswith(".py") or "skip" not in texts[name]]


def test_no_token_of_trello_lies_around() -> None:
    assert not [name for name, text in texts_of_files().items() if SECRETS.search(text)]
