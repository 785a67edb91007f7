"""The drawing in proxy/README.md, held: imports go down it, never up and never sideways."""

import ast
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
        "changes attachments",
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
    "proxy/ratelimit/fair_queue.py",
    "proxy/ratelimit/share.py",
    "proxy/ratelimit/sliding_window.py",
    "proxy/server/browser_guard.py",
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
    "logging": set[str](),
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


@cache
def imports_of(file: Path) -> frozenset[str]:
    """Every module a file imports, wherever in it, and every name it takes from one."""
    found = set[str]()
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.Import):
            found.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            found.update(f"{node.module}.{alias.name}" for alias in node.names)
    return frozenset(found)


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


@pytest.mark.parametrize("file", FILES, ids=named)
def test_imports_go_down(file: Path) -> None:
    own = folder_of(module_of(file))
    if own == "fake_trello":
        return
    up = {
        name
        for name in imports_of(file)
        if is_within(name, {"proxy"})
        and folder_of(name) != own
        and folder_of(name) not in BELOW[own]
        and name != "proxy.__version__"
        and not (own == "cli" and folder_of(name) == "fake_trello")
    }
    assert not up


@pytest.mark.parametrize("file", [file for file in FILES if is_pure(file)], ids=named)
def test_pure_modules_neither_wait_nor_touch_anything(file: Path) -> None:
    assert not {name for name in imports_of(file) if not is_within(name, PURE_MAY_IMPORT)}
    waits = (ast.Await, ast.AsyncFunctionDef, ast.AsyncFor, ast.AsyncWith)
    nodes = list(ast.walk(ast.parse(file.read_text())))
    assert not [node for node in nodes if isinstance(node, waits)]
    called = {node.func.id for node in nodes if isinstance(node, ast.Call)
              if isinstance(node.func, ast.Name)}  # fmt: skip
    assert not called & {"open", "print", "input", "exec", "eval"}


@pytest.mark.parametrize("file", sorted((PACKAGE / "fake_trello").rglob("*.py")), ids=named)
def test_the_fake_trello_knows_nothing_of_the_proxy(file: Path) -> None:
    known = {name for name in imports_of(file) if is_within(name, {"proxy"})}
    assert not {name for name in known if not is_within(name, FAKE_TRELLO_MAY_IMPORT)}


@pytest.mark.parametrize("library", ONLY_IN)
def test_a_library_is_known_where_it_belongs_and_nowhere_else(library: str) -> None:
    users = {
        named(file)
        for file in FILES
        if folder_of(module_of(file)) not in ONLY_IN[library]
        and any(is_within(name, {library}) for name in imports_of(file))
    }
    assert not users


def test_only_the_transport_sends_requests_to_trello() -> None:
    clients = {module_of(file) for file in FILES if "ClientSession" in file.read_text()}
    assert {each for each in clients if folder_of(each) != "fake_trello"} == {
        "proxy.upstream.transport"
    }


@pytest.mark.parametrize("file", FILES, ids=named)
def test_a_file_is_one_reading_and_a_function_one_screen(file: Path) -> None:
    text = file.read_text()
    assert len(text.splitlines()) <= MAX_FILE_LINES
    functions = (ast.FunctionDef, ast.AsyncFunctionDef)
    assert not {
        node.name
        for node in ast.walk(ast.parse(text))
        if isinstance(node, functions)
        and (node.end_lineno or 0) - node.lineno >= MAX_FUNCTION_LINES
    }


@pytest.mark.parametrize("file", FILES, ids=named)
def test_a_function_of_many_parameters_takes_them_by_keyword(file: Path) -> None:
    functions = (ast.FunctionDef, ast.AsyncFunctionDef)
    assert not {
        node.name
        for node in ast.walk(ast.parse(file.read_text()))
        if isinstance(node, functions)
        and len([arg for arg in node.args.args if arg.arg != "self"]) > MAX_POSITIONAL
    }


@pytest.mark.parametrize("file", FILES, ids=named)
def test_every_module_says_what_it_is_for(file: Path) -> None:
    assert ast.get_docstring(ast.parse(file.read_text()))
