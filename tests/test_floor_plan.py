"""The drawing in proxy/app/app.py, held: imports go down it, never up and never sideways."""

import ast
from functools import cache
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[1] / "proxy"
FILES = sorted(PACKAGE.rglob("*.py"))

MAX_FILE_LINES = 400
MAX_FUNCTION_LINES = 50

GROUND = {
    "__init__", "addresses", "clock", "config", "errors", "log", "memory_budget", "metrics",
    "model", "secret", "settings", "tally", "units", "yaml_marks",
}  # fmt: skip

BELOW = {
    "cli": {"app", "edge", "flow", "policy", "store", "upstream", "ground", "demo"},
    "app": {"edge", "flow", "policy", "store", "upstream", "ground"},
    "edge": {"flow", "policy", "store", "upstream", "ground"},
    "flow": {"policy", "store", "upstream", "ground"},
    "policy": {"ground"},
    "store": {"ground"},
    "upstream": {"ground"},
    "demo": {"ground"},
    "ground": set[str](),
}

POLICY_MAY_IMPORT = {
    "base64", "codecs", "collections", "dataclasses", "datetime", "email.utils", "enum",
    "functools", "hashlib", "hmac", "html", "ipaddress", "itertools", "itsdangerous", "json", "re",
    "typing", "unicodedata", "urllib.parse", "zlib",
    "proxy.errors", "proxy.model", "proxy.policy",
}  # fmt: skip
DEMO_MAY_IMPORT = {"proxy.runtime.clock", "proxy.model", "proxy.fake_trello"}

ONLY_IN = {
    "aiohttp.web": {"edge", "app", "demo"},
    "aiohttp": {"edge", "app", "upstream", "demo"},
    "aiohttp_client_cache": {"store"},
    "aiosqlite": {"store"},
    "sqlite3": {"store"},
    "fcntl": {"store"},
    "pathlib": {"store", "app", "cli", "ground"},
    "tempfile": {"cli"},
    "shutil": {"store"},
    "os": {"cli", "store"},
    "time": {"ground"},
    "random": set[str](),
    "secrets": {"cli"},
    "logging": set[str](),
    "pickle": set[str](),
    "subprocess": set[str](),
    "threading": set[str](),
    "prometheus_client": {"ground", "app", "edge"},
}
"""Which floors may import it, or anything within it."""


_APP = {
    "console", "custody", "equipment", "flows", "flusher", "loop_errors", "online", "reload",
    "rules", "warm",
}  # fmt: skip


def floor_of(module: str) -> str:
    """The floor of `proxy.…`."""
    room = [*module.split("."), "__init__"][1]
    if room in GROUND:
        return "ground"
    if room in _APP:
        return "app"
    return "cli" if room in {"__main__", "leaks", "serve", "source"} else room


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


def test_every_module_stands_on_a_floor() -> None:
    assert {floor_of(module_of(file)) for file in FILES} == set(BELOW)


@pytest.mark.parametrize("file", FILES, ids=named)
def test_imports_go_down(file: Path) -> None:
    own = floor_of(module_of(file))
    up = {
        name
        for name in imports_of(file)
        if is_within(name, {"proxy"})
        and floor_of(name) != own
        and floor_of(name) not in BELOW[own]
        and name != "proxy.__version__"
    }
    assert not up


@pytest.mark.parametrize("file", sorted((PACKAGE / "policy").rglob("*.py")), ids=named)
def test_policy_is_pure(file: Path) -> None:
    assert not {name for name in imports_of(file) if not is_within(name, POLICY_MAY_IMPORT)}
    waits = (ast.Await, ast.AsyncFunctionDef, ast.AsyncFor, ast.AsyncWith)
    nodes = list(ast.walk(ast.parse(file.read_text())))
    assert not [node for node in nodes if isinstance(node, waits)]
    called = {node.func.id for node in nodes if isinstance(node, ast.Call)
              if isinstance(node.func, ast.Name)}  # fmt: skip
    assert not called & {"open", "print", "input", "exec", "eval"}


@pytest.mark.parametrize("file", sorted((PACKAGE / "demo").rglob("*.py")), ids=named)
def test_the_stand_in_knows_nothing_of_the_proxy(file: Path) -> None:
    known = {name for name in imports_of(file) if is_within(name, {"proxy"})}
    assert not {name for name in known if not is_within(name, DEMO_MAY_IMPORT)}


@pytest.mark.parametrize("library", ONLY_IN)
def test_a_library_is_known_where_it_belongs_and_nowhere_else(library: str) -> None:
    users = {
        named(file)
        for file in FILES
        if floor_of(module_of(file)) not in ONLY_IN[library]
        and any(is_within(name, {library}) for name in imports_of(file))
    }
    assert not users


def test_only_upstream_the_stand_in_and_a_client_of_ours_speak_as_clients() -> None:
    speakers = {module_of(file) for file in FILES if "ClientSession" in file.read_text()}
    assert {floor_of(each) for each in speakers - {"proxy.cli.warm"}} <= {"upstream", "demo"}


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
def test_every_module_says_what_it_is_for(file: Path) -> None:
    assert ast.get_docstring(ast.parse(file.read_text()))
