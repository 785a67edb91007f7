"""The wheel has every file of the package: modules, assets, documentation; the sdist makes it."""

import subprocess
import sys
import tarfile
import zipfile
from importlib.util import find_spec
from pathlib import Path

import pytest

from proxy import __version__

ROOT = Path(__file__).parents[1]
NAMED = {
    "proxy/proxy.yaml",
    "proxy/pages/assets/style.css",
    "proxy/pages/assets/page.js",
    "proxy/pages/assets/icon.svg",
}


def hatchling(*command: str, at: Path = ROOT) -> str:
    """What hatchling prints."""
    if find_spec("hatchling") is None:
        pytest.skip("hatchling is not installed: pip install '.[test]'")
    program = [sys.executable, "-m", "hatchling", *command]
    return subprocess.run(program, cwd=at, check=True, capture_output=True, text=True).stdout


def names_in(wheel: Path) -> set[str]:
    with zipfile.ZipFile(wheel) as packed:
        return set(packed.namelist())


def test_every_file_of_the_package_is_in_the_wheel_and_the_sdist_makes_the_same(
    tmp_path: Path,
) -> None:
    hatchling("build", "-d", str(tmp_path))
    (wheel,), (sdist,) = tmp_path.glob("*.whl"), tmp_path.glob("*.tar.gz")
    names = names_in(wheel)
    files = {str(path.relative_to(ROOT)) for path in (ROOT / "proxy").rglob("*") if path.is_file()}
    assert {name for name in files if "__pycache__" not in name} <= names
    assert names >= NAMED
    with tarfile.open(sdist) as packed:
        packed.extraction_filter = getattr(tarfile, "data_filter", None)  # not before Python 3.11.4
        packed.extractall(tmp_path)  # noqa: S202 — made above
    hatchling("build", "-t", "wheel", at=tmp_path / sdist.name.removesuffix(".tar.gz"))
    (again,) = tmp_path.rglob("dist/*.whl")
    assert names_in(again) == names


def test_a_release_has_the_version_that_the_program_shows() -> None:
    assert hatchling("version").strip() == __version__
