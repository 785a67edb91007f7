"""The wheel has every file of the package: modules, assets, documentation."""

import subprocess
import sys
import zipfile
from importlib.util import find_spec
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
NAMED = {
    "proxy/proxy.yaml",
    "proxy/pages/assets/style.css",
    "proxy/pages/assets/page.js",
    "proxy/pages/assets/icon.svg",
}


def test_every_file_of_the_package_is_in_the_wheel(tmp_path: Path) -> None:
    if find_spec("hatchling") is None:
        pytest.skip("hatchling is not installed: pip install '.[test]'")
    build = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(tmp_path)]
    subprocess.run(build, cwd=ROOT, check=True, capture_output=True)
    (wheel,) = tmp_path.glob("*.whl")
    with zipfile.ZipFile(wheel) as packed:
        names = set(packed.namelist())
    files = {str(path.relative_to(ROOT)) for path in (ROOT / "proxy").rglob("*") if path.is_file()}
    assert {name for name in files if "__pycache__" not in name} <= names
    assert names >= NAMED
