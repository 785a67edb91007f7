"""Community files: the workflow runs what everybody runs, and every path in them exists."""

import re
from pathlib import Path

import pytest
import yaml

from tests.deploy.examples import ROOT
from tests.deploy.tools import told, tool

FOLDER = ROOT / ".github"
SCHEMAS = {
    "workflows/ci.yaml": "vendor.github-workflows",
    "workflows/release.yaml": "vendor.github-workflows",
    "dependabot.yaml": "vendor.dependabot",
    "ISSUE_TEMPLATE/fault.yml": "vendor.github-issue-forms",
    "ISSUE_TEMPLATE/wish.yml": "vendor.github-issue-forms",
}
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


def test_every_file_that_a_program_reads_has_a_schema() -> None:
    found = {str(path.relative_to(FOLDER)) for path in FOLDER.rglob("*.y*ml")}
    assert found == SCHEMAS.keys()


def test_a_release_is_what_everybody_runs_and_publishes_without_a_secret() -> None:
    text = (FOLDER / "workflows/release.yaml").read_text()
    workflow = yaml.load(text, Loader=yaml.BaseLoader)  # noqa: S506 — `on` is no boolean there
    assert workflow["on"] == {"push": {"tags": ["v*"]}}
    assert workflow["permissions"] == {"contents": "read"}
    build, publish = workflow["jobs"].values()
    runs = [step["run"] for step in build["steps"] if "run" in step]
    assert "python -m hatchling build" in runs
    assert any("GITHUB_REF_NAME" in each and "hatchling version" in each for each in runs)
    assert runs[-1].endswith(" .ci/run")
    assert "permissions" not in build
    assert (publish["needs"], publish["environment"]) == ("build", "release")
    assert publish["permissions"] == {"id-token": "write"}
    assert publish["steps"][-1]["with"] == {"attestations": "true"}
    assert not [each for each in publish["steps"] if "run" in each]
    assert "secrets." not in text
    assert "://" not in text  # no address: the action's own


def test_a_fault_is_reported_without_secrets() -> None:
    form = yaml.safe_load((FOLDER / "ISSUE_TEMPLATE/fault.yml").read_text())
    (promise,) = form["body"][-1]["attributes"]["options"]
    assert promise["required"]
    assert "SECURITY.md" in form["body"][0]["attributes"]["value"]


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
