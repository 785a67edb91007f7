"""Community files: the workflow runs what everybody runs, and every path in them exists."""

import re
from pathlib import Path

import pytest
import yaml

from tests.deploy.examples import ROOT
from tests.deploy.tools import told, tool

FOLDER = ROOT / ".github"
SCHEMAS = {"workflows/ci.yaml": "vendor.github-workflows", "dependabot.yaml": "vendor.dependabot"}
PAGES = sorted(FOLDER.glob("*.md"))


@pytest.mark.parametrize(("name", "schema"), SCHEMAS.items())
def test_a_file_is_as_its_schema_says(name: str, schema: str) -> None:
    check = tool("check-jsonschema", "pip install '.[test]'")
    code, said = told(check, "--builtin-schema", schema, str(FOLDER / name))
    assert code == 0, said


def test_the_workflow_runs_what_everybody_runs() -> None:
    (job,) = yaml.safe_load((FOLDER / "workflows/ci.yaml").read_text())["jobs"].values()
    assert job["steps"][-1]["run"].endswith(" .ci/run")
    assert (ROOT / ".ci" / "run").is_file()


@pytest.mark.parametrize("page", PAGES, ids=lambda path: path.name)
def test_a_link_leads_somewhere(page: Path) -> None:
    for link in re.findall(r"\]\((?!https?:)([^)]+)\)", page.read_text()):
        assert (FOLDER / link).resolve().is_file()


def test_each_version_of_the_constraints_is_one_that_the_project_admits() -> None:
    lines = (ROOT / "deploy" / "constraints.txt").read_text().splitlines()[1:]
    assert all(re.fullmatch(r"[a-z0-9-]+==[0-9.]+", line) for line in lines)
    pinned = dict(line.split("==") for line in lines)
    needed = re.findall(r'"([a-z-]+)(?:\[\w+\])?>=', (ROOT / "pyproject.toml").read_text())
    assert {"aiohttp", "redis", "pyyaml"} <= pinned.keys() & set(needed)
