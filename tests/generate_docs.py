"""Generated tables of proxy/docs: problem types, metrics, lifetimes, routes, settings.

`python -m tests.generate_docs` rewrites the text between `<!-- generated: NAME -->` and
`<!-- end -->` in each page; tests/test_docs.py compares.
"""

import ast
import re
from collections.abc import Callable, Iterator
from pathlib import Path

import proxy.fleet.errors  # noqa: F401 — completes the table
from proxy.config.reference import read_reference
from proxy.errors import PROBLEM_TYPES
from proxy.model import Detail, Kind, Lifetimes
from proxy.observability.metrics import describe
from proxy.status.board_metrics import BOARD_METRICS
from proxy.trello import read_operations
from proxy.trello.read_operations import NEVER, READS

ROOT = Path(__file__).parents[1]
PAGES = ROOT / "proxy" / "docs"
_BLOCK = re.compile(r"(?ms)^<!-- generated: (\w+) -->\n(.*?)^<!-- end -->$")
NONE = "\N{EN DASH}"
_LABELS = {
    "CONTENT": "boards, lists, cards, checklists",
    "BOARD_LISTS": "the boards of a member",
    "ACROSS_BOARDS": "lists across boards",
    "UNANNOUNCED": "labels, custom fields, preferences, plugin data",
    "ATTACHMENTS": "metadata of attachments",
    "ACTIONS": "actions",
    "PEOPLE": "members, organizations",
    "NOTIFICATIONS": "notifications",
    "SEARCH": "search",
    "SHORT": "webhooks, enterprises",
    "FIXED": "emoji, plugins",
    "LIBRARY": "`client.js`",
}
"""Names of the route groups, by constant of `read_operations`."""


def main() -> None:
    """Rewrite every page."""
    for page in sorted(PAGES.glob("*.md")):
        page.write_text(filled(page.read_text()))


def filled(page: str) -> str:
    """The page with each generated block as the code has it."""

    def block(found: re.Match[str]) -> str:
        table = "\n".join(TABLES[found[1]]())
        return f"<!-- generated: {found[1]} -->\n{table}\n<!-- end -->"

    return _BLOCK.sub(block, page)


def blocks(page: str) -> dict[str, str]:
    """The generated blocks of a page, by name."""
    return dict(_BLOCK.findall(page))


def problems() -> Iterator[str]:
    """Problem types by status."""
    yield from _head("type", "status", "sent for")
    for error in sorted(PROBLEM_TYPES, key=lambda each: (each.status, each.slug)):
        occasion = " ".join((error.__doc__ or "").partition("\n\n")[0].split())
        yield _row(f"`{error.slug}`", str(error.status), occasion.rstrip("."))


def metrics() -> Iterator[str]:
    """Every metric with its labels and its help text."""
    yield from _head("metric", "labels", "meaning")
    for metric in describe():
        labels = ", ".join(f"`{each}`" for each in metric.labels)
        yield _row(f"`{metric.name}`", labels, metric.help)


def lifetimes() -> Iterator[str]:
    """The route groups with their lifetimes."""
    yield from _head("routes", "fresh", "watched", "revalidate", "on failure")
    for name, label in _LABELS.items():
        yield _row(label, *_lifetime_cells(getattr(read_operations, name)))
    yield _row("tokens, exports, unknown paths", "not stored", "", "", "")


def _lifetime_cells(of: Lifetimes) -> tuple[str, ...]:
    watched_s = of.lifetime_watched_s or 0.0
    seconds = (of.lifetime_s, watched_s, of.stale_while_revalidate_s, of.stale_if_error_s)
    return tuple(_duration(each) if each else NONE for each in seconds)


def _duration(seconds: float) -> str:
    for unit_s, unit in ((86_400, "day"), (3_600, "h"), (60, "min")):
        if seconds >= unit_s and seconds % unit_s == 0:
            number = int(seconds // unit_s)
            return f"{number} {unit}{'s' if unit == 'day' and number > 1 else ''}"
    return f"{seconds:g} s"


def routes() -> Iterator[str]:
    """Every stored read, by the group whose lifetimes it has."""
    names = {id(value): name for name, value in vars(read_operations).items()}
    yield from _head("routes", "paths")
    for kind, of, block in READS:
        if of is not NEVER and kind in (Kind.READ, Kind.SCRIPT):
            yield _row(_LABELS[names[id(of)]], _paths(block.split()))
    yield _row("not stored", _paths([path for kind, of, block in READS
                                     if of is NEVER and kind is Kind.READ
                                     for path in block.split()]))  # fmt: skip


def _paths(templates: list[str]) -> str:
    """Templates that share two segments are one entry: `/boards/{id}/(cards, lists)`."""
    below: dict[str, list[str]] = {}
    for template in templates:
        steps = re.sub(r"=[^}]*", "", template).split("/")
        below.setdefault("/".join(steps[:3]), []).append("/".join(steps[3:]))
    return "; ".join(_entry(stem, rests) for stem, rests in below.items())


def _entry(stem: str, rests: list[str]) -> str:
    named = [f"`/{rest}`" for rest in dict.fromkeys(rests) if rest]
    if not named:
        return f"`{stem}`"
    own = "" if "" in rests else " with "
    return f"`{stem}`{own or ', '}{', '.join(named)}"


def settings() -> Iterator[str]:
    """Every key of proxy.yaml with its default and its comment."""
    yield from _head("setting", "default", "meaning")
    for name, value, comment in read_reference((ROOT / "proxy.yaml").read_text()):
        yield _row(f"`{name}`", f"`{value}`" if value else "", comment.replace("*", "\\*"))


def details() -> Iterator[str]:
    """The values of `detail` in Cache-Status."""
    yield from _head("detail", "says")
    docstrings = _docstrings(ROOT / "proxy" / "model.py", "Detail")
    for detail in Detail:
        text = re.sub(r" \(D\d+\)", "", docstrings[detail.name])
        yield _row(f"`{detail}`", text.rstrip("."))
    yield _row("`fetched-2-of-10`", "A batch: two of its ten parts were fetched")


def _docstrings(path: Path, name: str) -> dict[str, str]:
    """The docstrings of a class's attributes."""
    tree = ast.parse(path.read_text())
    (found,) = [each for each in tree.body if isinstance(each, ast.ClassDef) and each.name == name]
    texts = {}
    for target, docstring in zip(found.body, found.body[1:], strict=False):
        match target, docstring:
            case (
                ast.Assign(targets=[ast.Name(id=attribute)]),
                ast.Expr(value=ast.Constant(value=str() as text)),
            ):
                texts[attribute] = " ".join(text.split())
    return texts


def board_metrics() -> Iterator[str]:
    """The metrics of boards."""
    yield from _head("metric", "labels", "meaning")
    for name, _, labels, text in BOARD_METRICS:
        yield _row(f"`{name}`", ", ".join(f"`{each}`" for each in labels), text)


TABLES: dict[str, Callable[[], Iterator[str]]] = {
    "board_metrics": board_metrics,
    "details": details,
    "lifetimes": lifetimes,
    "metrics": metrics,
    "problems": problems,
    "routes": routes,
    "settings": settings,
}


def _head(*cells: str) -> Iterator[str]:
    yield _row(*cells)
    yield "|" + "---|" * len(cells)


def _row(*cells: str) -> str:
    return "| " + " | ".join(each.replace("|", "\\|") for each in cells) + " |"


if __name__ == "__main__":
    main()
