"""The guide, deploy/*.md: what it names is there, and commands in it are well-formed."""

import re
from pathlib import Path

import pytest

from proxy import errors
from proxy.cli.main import run
from proxy.fleet import errors as fleet_errors
from tests.deploy.examples import DEPLOY, ROOT
from tests.deploy.tools import told, tool

PAGES = [DEPLOY / f"{name}.md" for name in ("README", "containers", "fleet", "operations")]
TEXT = "".join(path.read_text() for path in PAGES)
BLOCKS = re.findall(r"(?ms)^```sh\n(.*?)^```$", TEXT)
TYPED = re.findall(r"(?:/bin/| proxy )trello-proxy ([a-z]+) (.*--config) (\S+)", "".join(BLOCKS))
LINKS = [
    (page, link)
    for page in PAGES
    for link in sorted(set(re.findall(r"\]\((?!https?:)([^)]+)\)", page.read_text())))
]
NAMED = sorted(set(re.findall(r"`((?:fleet/)?(?:systemd|docker|kubernetes|nginx)/[\w.-]+)`", TEXT)))
COPIED = sorted(set(re.findall(r"\bdeploy/[\w./-]+", "".join(BLOCKS))))
WRONG = TEXT.partition("## When something is wrong\n")[2].partition("\n# ")[0]
SLUGS = sorted(set(re.findall(r"`([a-z]+(?:-[a-z]+)+)`", WRONG)))
"""Of errors; in the table of that section nothing else has hyphens only."""


def anchors(path: Path) -> set[str]:
    """As GitHub makes them of headings."""
    titles = re.findall(r"(?m)^#+ (.+)$", path.read_text())
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}


@pytest.mark.parametrize("block", BLOCKS)
def test_what_is_to_be_typed_is_shell(block: str) -> None:
    assert told(tool("bash", "apt-get install bash"), "-n", "-c", block) == (0, "")


@pytest.mark.parametrize(("page", "link"), LINKS)
def test_a_link_leads_somewhere(page: Path, link: str) -> None:
    name, _, anchor = link.partition("#")
    path = (DEPLOY / name).resolve() if name else page
    assert path.is_file()
    assert not anchor or anchor in anchors(path)


@pytest.mark.parametrize("name", NAMED)
def test_a_file_that_is_named_is_there(name: str) -> None:
    assert (DEPLOY / name).is_file()


@pytest.mark.parametrize("path", COPIED)
def test_a_file_that_a_command_names_is_there(path: str) -> None:
    """But for what the reader makes."""
    assert (ROOT / path).exists() or path.startswith("deploy/secrets/")


@pytest.mark.parametrize("block", [each for each in BLOCKS if "sudo -E " in each])
def test_a_command_reads_the_credentials_and_the_file_of_the_unit(block: str) -> None:
    """A proxy.yaml in the folder, as in the project's root, would be read first."""
    exported, _, _ = block.partition("sudo -E ")
    assert "export CREDENTIALS_DIRECTORY=/etc/trello-proxy/credentials " in exported
    assert " TRELLO_PROXY_CONFIG=/etc/trello-proxy/proxy.yaml\n" in exported


@pytest.mark.parametrize(("command", "flags", "path"), TYPED)
def test_a_command_of_ours_is_one(
    command: str, flags: str, path: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        run([command, "--help"])
    assert ended.value.code == 0
    told_of = capsys.readouterr().out
    assert not [flag for flag in flags.split() if flag not in told_of]
    assert path == "/etc/trello-proxy/proxy.yaml"


def test_an_error_that_is_explained_is_one_of_ours() -> None:
    ours = [*vars(errors).values(), *vars(fleet_errors).values()]
    known = {each.slug for each in ours if hasattr(each, "slug")}
    assert [slug for slug in SLUGS if slug not in known] == []
    assert len(SLUGS) > 5


def test_the_readme_leads_here() -> None:
    assert "](deploy/README.md)" in (ROOT / "README.md").read_text()


def test_every_way_to_run_it_is_explained() -> None:
    kept = {path.name for path in DEPLOY.iterdir() if path.is_dir()} - {"secrets", "threats"}
    assert not [name for name in kept if f"{name}/" not in TEXT]
