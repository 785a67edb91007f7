"""Documentation: its tables are the code's, its links lead somewhere, and it names what exists."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from proxy.cli.main import run
from proxy.config.schema import Config
from proxy.errors import PROBLEM_TYPES
from tests import generate_docs
from tests.config.test_proxy_yaml import places_of
from tests.generate_docs import PAGES, ROOT
from tests.observability.test_metrics import LABELS

README = (ROOT / "README.md").read_text()
DOCS = {path.stem: path.read_text() for path in sorted(PAGES.glob("*.md"))}
DOCUMENTS = (
    *(ROOT / name for name in ("README.md", "proxy/README.md", "tests/README.md")),
    *sorted((ROOT / "deploy").glob("*.md")),
    *sorted((ROOT / "deploy" / "threats").glob("*.md")),
    *sorted(PAGES.glob("*.md")),
)
LINKS = [
    (path, link)
    for path in DOCUMENTS
    for link in sorted(set(re.findall(r"\]\(([^)\s]+)\)", path.read_text())))
    if not link.startswith("http")
]
SOURCES = [
    path
    for path in sorted(ROOT.rglob("*"))
    if path.suffix in {".py", ".yaml", ".yml", ".conf", ".service"}
    and path.relative_to(ROOT).parts[0] in {"proxy", "tests", "deploy", "proxy.yaml"}
]
DECISION = re.compile(r"\bD(\d+)\b")
DECISIONS = [int(number) for number in re.findall(r"(?m)^- \*\*D(\d+) ", DOCS["decisions"])]
LONG_PAGES = {"alerts": 200, "configuration": 200, "decisions": 300, "http": 200, "metrics": 200}
"""Pages that may have more than 150 lines."""
EVENT_METHODS = {"event", "event_once_a_minute"}


def anchors(path: Path) -> set[str]:
    """The headings of a page, as GitHub names them."""
    titles = re.findall(r"(?m)^#+ (.+)$", path.read_text())
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}


def help_of(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    """The output of `--help`."""
    with pytest.raises(SystemExit) as ended:
        run([*arguments, "--help"])
    assert ended.value.code == 0
    return capsys.readouterr().out


def column(page: str, heading: str) -> set[str]:
    """The code in the first column of the table that begins with this heading."""
    _, _, rows = page.partition(f"| {heading} |")
    table, _, _ = rows.partition("\n\n")
    return {
        name
        for line in table.splitlines()[2:]
        for name in re.findall(r"`([^`]+)`", line.split(" | ")[0])
    }


def test_the_pages_are_these_and_the_readme_lists_them() -> None:
    assert set(DOCS) == {
        "alerts", "architecture", "attachments", "clients", "configuration", "decisions", "fleet",
        "freshness", "http", "limits-and-failures", "log", "metrics", "pages", "scopes", "security",
        "workers",
    }  # fmt: skip
    assert not [name for name in DOCS if f"](proxy/docs/{name}.md)" not in README]


def test_a_page_is_short() -> None:
    assert len(README.splitlines()) <= 170
    lengths = {name: len(text.splitlines()) for name, text in DOCS.items()}
    assert not [
        n
        for n, lines in lengths.items()
        if lines
        >= {"alerts": 200, "configuration": 200, "decisions": 300, "http": 200, "metrics": 200}.get(
            n, 150
        )
    ]
    guide = [path for path in DOCUMENTS if "deploy" in path.parts]
    assert not [path.name for path in guide if len(path.read_text().splitlines()) > 150]


@pytest.mark.parametrize("name", DOCS)
def test_generated_tables_are_the_codes(name: str) -> None:
    assert DOCS[name] == generate_docs.filled(DOCS[name]), "run python -m tests.generate_docs"


def test_every_generated_table_has_its_place() -> None:
    places = [name for text in DOCS.values() for name in generate_docs.blocks(text)]
    assert sorted(places) == sorted(generate_docs.TABLES)


@pytest.mark.parametrize(("path", "link"), LINKS, ids=lambda each: str(each).rpartition("/")[2])
def test_a_link_leads_somewhere(path: Path, link: str) -> None:
    name, _, anchor = link.partition("#")
    target = (path.parent / name).resolve() if name else path
    assert target.exists()
    assert not anchor or anchor in anchors(target)


def test_metrics_have_their_labels() -> None:
    rows = re.findall(r"^\| `(trello_proxy_\w+)` \|([^|]*)\|", DOCS["metrics"], re.M)
    documented = {name: tuple(re.findall(r"`(\w+)`", labels)) for name, labels in rows}
    assert documented == LABELS


def test_no_metric_is_named_that_does_not_exist() -> None:
    text = "".join(path.read_text() for path in DOCUMENTS)
    assert set(re.findall(r"\b(trello_proxy_\w+)", text)) <= set(LABELS)


def test_every_log_event_is_explained() -> None:
    assert column(DOCS["log"], "`message`") == set(_events())


def _events() -> Iterator[str]:
    """The messages in calls of `Log.event`."""
    for path in (ROOT / "proxy").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            match node:
                case ast.Call(func=ast.Attribute(attr=name), args=[_, message, *_]) if (
                    name in EVENT_METHODS
                ):
                    yield from _literals(message)


def _literals(node: ast.expr) -> Iterator[str]:
    match node:
        case ast.Constant(value=str() as text):
            yield text
        case ast.IfExp(body=one, orelse=other):
            yield from _literals(one)
            yield from _literals(other)


def test_a_problem_type_that_is_named_exists() -> None:
    known = {each.slug for each in PROBLEM_TYPES}
    failures = DOCS["limits-and-failures"].partition("## When Trello fails")[2]
    named = set(re.findall(r"50\d `([a-z-]+)`", failures))
    assert len(named) > 10
    assert named <= known
    assert column(DOCS["http"], "type") == known


def test_every_setting_is_documented() -> None:
    assert column(DOCS["configuration"], "setting") == {
        ".".join(step for step in place if isinstance(step, str)) for place in places_of(Config)
    }


def test_the_readme_names_every_command_and_flag(capsys: pytest.CaptureFixture[str]) -> None:
    overview = help_of(capsys)
    commands = re.findall(r"^    (\w+)", overview, re.M)
    assert {"serve", "demo", "check", "purge"} <= set(commands)
    flags = {flag for each in commands for flag in re.findall(r"--\w+", help_of(capsys, each))}
    flags.update(re.findall(r"--\w+", overview))
    assert not [command for command in commands if f"trello-proxy {command}" not in README]
    assert not [flag for flag in sorted(flags) if flag not in README]


def test_decisions_are_numbered_without_gaps() -> None:
    assert list(range(1, len(DECISIONS) + 1)) == DECISIONS


def test_every_decision_that_is_cited_exists() -> None:
    cited = {
        (str(path.relative_to(ROOT)), int(number))
        for path in (*DOCUMENTS, *SOURCES)
        for number in DECISION.findall(path.read_text())
    }
    assert not {each for each in cited if each[1] not in DECISIONS}


def test_every_decision_is_cited_by_the_code_that_it_binds() -> None:
    code = "".join(path.read_text() for path in (ROOT / "proxy").rglob("*.py"))
    assert set(DECISIONS) <= {int(number) for number in DECISION.findall(code)}


@pytest.mark.parametrize("path", [ROOT / "proxy" / "README.md", PAGES / "architecture.md"])
def test_a_module_that_is_named_exists(path: Path) -> None:
    named = re.findall(r"`((?:[a-z_]+/)*[a-z_]+\.py)`", path.read_text())
    assert len(named) > 5
    folders = ROOT, ROOT / "proxy"
    assert not [name for name in named if not any((each / name).is_file() for each in folders)]
