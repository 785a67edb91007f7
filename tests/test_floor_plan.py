"""The drawing in proxy/README.md, held: imports go down it, never up and never sideways."""

import ast
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[1] / "proxy"
FILES = sorted(PACKAGE.rglob("*.py"))

MAX_FILE_LINES = 400
MAX_FUNCTION_LINES = 50
MAX_POSITIONAL = 6
"""Parameters that may be passed by position; ruff counts all of them, up to eight."""

LAYERS: tuple[frozenset[str], ...] = tuple(
    frozenset(layer.split())
    for layer in (
        "cli",
        "app",
        "server",
        "pages",
        "status",
        "changes attachments fleet",
        "cache",
        "upstream",
        "ratelimit links access",
        "trello",
        "credentials",
        "http_semantics observability",
        "config runtime",
        "errors model",
    )
)
"""From the command line down; folders of one layer do not know each other."""

FAKE_TRELLO_MAY_IMPORT = {"proxy.runtime", "proxy.model", "proxy.fake_trello"}

PURE = {
    "proxy/cache/policy.py",
    "proxy/cache/projection/query_shape.py",
    "proxy/changes/poll_diff.py",
    "proxy/attachments/content_policy.py",
    "proxy/attachments/ssrf_guard.py",
    "proxy/credentials/body_extraction.py",
    "proxy/credentials/extraction.py",
    "proxy/credentials/multipart_extraction.py",
    "proxy/credentials/redaction.py",
    "proxy/fleet/consent.py",
    "proxy/fleet/election.py",
    "proxy/fleet/members.py",
    "proxy/fleet/protocol.py",
    "proxy/fleet/term.py",
    "proxy/fleet/timing.py",
    "proxy/fleet/trust.py",
    "proxy/fleet/witness.py",
    "proxy/ratelimit/fair_queue.py",
    "proxy/ratelimit/send_log.py",
    "proxy/ratelimit/share.py",
    "proxy/ratelimit/sliding_window.py",
    "proxy/server/browser_guard.py",
    "proxy/status/board_figures.py",
    "proxy/server/permission.py",
    "proxy/upstream/circuit_breaker.py",
}
"""Besides everything in PURE_FOLDERS."""
PURE_FOLDERS = {"access", "http_semantics", "links", "pages", "trello"}
IMPURE = {"proxy/trello/message.py"}
"""In a pure folder, though it names an asynchronous protocol: that of a body's stream."""
PURE_MAY_IMPORT = {
    "array", "base64", "bisect", "codecs", "collections", "dataclasses", "datetime", "email.utils",
    "enum", "functools",
    "gzip", "hashlib", "hmac", "html", "importlib.resources", "ipaddress", "itertools",
    "itsdangerous", "json", "markdown_it", "markupsafe", "math", "msgspec", "re", "struct",
    "typing", "unicodedata", "urllib.parse", "zlib", "proxy",
}  # fmt: skip

ONLY_IN = {
    "aiohttp.web": {"server", "app", "fake_trello"},
    "aiohttp": {"server", "app", "upstream", "fake_trello"},
    "aiohttp_client_cache": {"cache"},
    "aiosqlite": {"cache"},
    "redis": {"cache"},
    "sqlite3": {"cache", "attachments", "runtime", "cli"},
    "fcntl": {"runtime"},
    "http.client": {"cli"},
    "urllib.request": set[str](),
    "pathlib": {"cache", "attachments", "credentials", "config", "runtime", "app", "cli"},
    "tempfile": {"cli"},
    "shutil": {"attachments", "cache"},
    "os": {"cli", "cache", "attachments", "runtime", "credentials"},
    "time": {"runtime"},
    "random": set[str](),
    "secrets": {"cli"},
    "logging": {"observability"},
    "markdown_it": {"pages"},
    "pickle": set[str](),
    "subprocess": set[str](),
    "threading": set[str](),
    "prometheus_client": {"observability"},
}
"""Which folders may import it, or anything within it."""


VALUES = {"proxy.access.client", "proxy.access.scope"}
"""Values that every folder speaks of, as of those in `model`."""


def folder_of(module: str) -> str:
    """The folder, or the file directly below the package, of `proxy.…`."""
    if is_within(module, VALUES):
        return "model"
    folder = [*module.split("."), "__init__"][1]
    return {"__main__": "cli", "__init__": "model"}.get(folder, folder)


BELOW = {
    folder: frozenset[str]().union(*LAYERS[level + 1 :])
    for level, layer in enumerate(LAYERS)
    for folder in layer
}
"""What each folder may import besides itself."""
BELOW["errors"] = frozenset({"model"})


def module_of(file: Path) -> str:
    return ".".join(file.relative_to(PACKAGE.parent).with_suffix("").parts)


@dataclass(frozen=True, slots=True)
class Function:
    name: str
    lines: int
    positional: int
    """Parameters that may be passed by position, `self` not counted."""


@dataclass(slots=True)
class Source:
    """A file, as far as these tests and those of the vocabulary need it; parsed once."""

    text: str
    purpose: str
    """The module's docstring; empty when it has none."""
    imports: set[str] = field(default_factory=set)
    """Every module it imports, wherever in it, and every name it takes from one."""
    functions: list[Function] = field(default_factory=list)
    classes: list[str] = field(default_factory=list)
    docstrings: list[tuple[int, str]] = field(default_factory=list)
    """Also of attributes, with their first line's number."""
    called: set[str] = field(default_factory=set)
    waits: list[int] = field(default_factory=list)
    """Lines with anything asynchronous."""


@cache
def source_of(file: Path) -> Source:
    tree = ast.parse(text := file.read_text())
    source = Source(text, ast.get_docstring(tree) or "")
    for node in ast.walk(tree):
        _note(source, node)
    return source


def _note(source: Source, node: ast.AST) -> None:
    match node:
        case ast.Import(names=names):
            source.imports.update(alias.name for alias in names)
        case ast.ImportFrom(module=module, names=names):
            source.imports.update(f"{module}.{alias.name}" for alias in names)
        case ast.FunctionDef() | ast.AsyncFunctionDef():
            positional = len([arg for arg in node.args.args if arg.arg != "self"])
            lines = (node.end_lineno or 0) - node.lineno
            source.functions.append(Function(node.name, lines, positional))
        case ast.ClassDef(name=name):
            source.classes.append(name)
        case ast.Expr(value=ast.Constant(value=str() as docstring)):
            source.docstrings.append((node.lineno, docstring))
        case ast.Call(func=ast.Name(id=name)):
            source.called.add(name)
    if isinstance(node, ast.Await | ast.AsyncFunctionDef | ast.AsyncFor | ast.AsyncWith):
        source.waits.append(node.lineno)


def found_in(files: Iterable[Path], find: Callable[[Path], object]) -> dict[str, object]:
    """What `find` objects to, by file; empty when all is well."""
    return {named(file): found for file in files if (found := find(file))}


def is_within(name: str, modules: set[str]) -> bool:
    return any(name == module or name.startswith(f"{module}.") for module in modules)


def named(file: Path) -> str:
    return str(file.relative_to(PACKAGE.parent))


def is_pure(file: Path) -> bool:
    is_within_pure = folder_of(module_of(file)) in PURE_FOLDERS and named(file) not in IMPURE
    return named(file) in PURE or is_within_pure


def test_every_module_stands_in_a_folder_of_the_drawing() -> None:
    assert {folder_of(module_of(file)) for file in FILES} == {*BELOW, "fake_trello"}
    assert {named(file) for file in FILES if named(file) in PURE} == PURE


def upward_imports(file: Path) -> set[str]:
    own = folder_of(module_of(file))
    if own == "fake_trello":
        return set()
    return {
        name
        for name in source_of(file).imports
        if is_within(name, {"proxy"})
        and folder_of(name) != own
        and folder_of(name) not in BELOW[own]
        and name != "proxy.__version__"
        and not (own == "cli" and folder_of(name) == "fake_trello")
    }


def test_imports_go_down() -> None:
    assert not found_in(FILES, upward_imports)


def effects(file: Path) -> set[str]:
    """What a pure module must not do: import what has effects, wait, or call what does either."""
    source = source_of(file)
    return {
        *(name for name in source.imports if not is_within(name, PURE_MAY_IMPORT)),
        *(f"waits in line {line}" for line in source.waits),
        *(source.called & {"open", "print", "input", "exec", "eval"}),
    }


def test_pure_modules_neither_wait_nor_touch_anything() -> None:
    assert not found_in(filter(is_pure, FILES), effects)


def imports_of_the_proxy(file: Path) -> set[str]:
    known = {name for name in source_of(file).imports if is_within(name, {"proxy"})}
    return {name for name in known if not is_within(name, FAKE_TRELLO_MAY_IMPORT)}


def test_the_fake_trello_knows_nothing_of_the_proxy() -> None:
    files = sorted((PACKAGE / "fake_trello").rglob("*.py"))
    assert files
    assert not found_in(files, imports_of_the_proxy)


@pytest.mark.parametrize("library", ONLY_IN)
def test_a_library_is_known_where_it_belongs_and_nowhere_else(library: str) -> None:
    users = {
        named(file)
        for file in FILES
        if folder_of(module_of(file)) not in ONLY_IN[library]
        and any(is_within(name, {library}) for name in source_of(file).imports)
    }
    assert not users


def test_only_the_transport_sends_requests_to_trello() -> None:
    """The other client speaks to the nodes of a fleet."""
    clients = {module_of(file) for file in FILES if "ClientSession" in source_of(file).text}
    assert {each for each in clients if folder_of(each) != "fake_trello"} == {
        "proxy.upstream.transport",
        "proxy.server.fleet.peer_client",
    }


def test_a_file_is_one_reading_and_a_function_one_screen() -> None:
    assert not found_in(FILES, lambda file: len(source_of(file).text.splitlines()) > MAX_FILE_LINES)
    assert not found_in(FILES, long_functions)


def long_functions(file: Path) -> list[str]:
    return [each.name for each in source_of(file).functions if each.lines >= MAX_FUNCTION_LINES]


def test_a_function_of_many_parameters_takes_them_by_keyword() -> None:
    assert not found_in(FILES, functions_of_many_parameters)


def functions_of_many_parameters(file: Path) -> list[str]:
    return [each.name for each in source_of(file).functions if each.positional > MAX_POSITIONAL]


def test_every_module_says_what_it_is_for() -> None:
    assert not found_in(FILES, lambda file: not source_of(file).purpose)
