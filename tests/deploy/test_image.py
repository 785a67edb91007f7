"""The image: small, nobody's root, and healthy only while the proxy answers."""

import asyncio
import json
import re
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from proxy.app.app import App, SystemPorts
from proxy.config.schema import load
from proxy.model import Credential
from proxy.runtime.clock import FakeClock
from tests.deploy.examples import (
    DEPLOY,
    ROOT,
    Example,
)
from tests.deploy.tools import told, tool

FILE = DEPLOY / "Dockerfile"


def instructions() -> list[tuple[str, str]]:
    """Each instruction with its arguments, lines joined, comments left out."""
    lines = [line for line in FILE.read_text().splitlines() if not line.startswith("#")]
    whole = re.sub(r"\\\n\s*", "", "\n".join(lines))
    pairs = (line.split(maxsplit=1) for line in whole.splitlines() if line)
    return [(name, arguments) for name, arguments in pairs]


def given(name: str) -> list[str]:
    return [arguments for each, arguments in instructions() if each == name]


def health_check() -> list[str]:
    """The command, as its words."""
    (arguments,) = given("HEALTHCHECK")
    words: list[str] = json.loads(arguments.partition("CMD ")[2])
    return words


@pytest.fixture
async def app(tmp_path: Path) -> AsyncIterator[App]:
    text = "listen: 127.0.0.1:0\nadmin: {listen: 127.0.0.1:0}\ncache: {backend: memory}\n"
    config = load(f"{text}freshness: {{watch: off}}\n", "proxy.yaml", {"HOME": str(tmp_path)}, str)
    lines: list[bytes] = []
    app = App(
        config,
        Credential("k" * 32, "t" * 64),
        SystemPorts(clock=FakeClock(), write_log=lines.append, random=bytes),
    )
    await app.start()
    yield app
    await app.stop()


def test_the_linter_finds_nothing() -> None:
    assert told(tool("hadolint", "pip install '.[test]' on Linux"), str(FILE)) == (0, "")


def test_nobody_in_it_is_root_and_none_is_named() -> None:
    """A number, so that Kubernetes can tell that it is not root."""
    (user,) = given("USER")
    assert re.fullmatch(r"[1-9]\d{4}:[1-9]\d{4}", user)
    assert f"--owner={user.partition(':')[0]}" in FILE.read_text()


def test_it_holds_no_secret_and_takes_none_while_it_is_built() -> None:
    assert not [text for text in given("ARG") + given("ENV") if re.search("(?i)key|token", text)]
    assert not given("ADD")


def test_it_is_built_of_what_its_context_holds_and_of_nothing_else() -> None:
    let_in = {
        line.removeprefix("!")
        for line in (DEPLOY / "Dockerfile.dockerignore").read_text().splitlines()
        if line.startswith("!")
    }
    copied = {word for text in given("COPY") if "--from" not in text for word in text.split()[:-1]}
    assert copied == let_in
    assert not [name for name in copied if not (ROOT / name).exists()]


def test_signals_reach_the_program_itself() -> None:
    (program,), (arguments,) = given("ENTRYPOINT"), given("CMD")
    assert json.loads(program) == ["trello-proxy"]
    assert json.loads(arguments) == ["serve", "--config", "/etc/trello-proxy/proxy.yaml"]


def test_it_brings_the_configuration_that_it_is_started_with() -> None:
    assert "deploy/docker/proxy.yaml /etc/trello-proxy/proxy.yaml" in given("COPY")
    config = Example("docker/proxy.yaml").load()
    assert given("VOLUME") == [config.cache.directory]
    assert config.admin.listen is not None
    assert given("EXPOSE") == [f"{config.listen.port} {config.admin.listen.port}"]


async def test_it_is_healthy_while_the_proxy_answers(app: App) -> None:
    python, option, code = health_check()
    assert (python, option) == ("python", "-c")
    asked = code.replace(":8081/", f":{app.admin_port}/")
    assert asked != code
    done = await asyncio.to_thread(told, sys.executable, "-c", asked)
    assert done == (0, "")


def test_it_is_not_healthy_where_nobody_answers() -> None:
    code = health_check()[2].replace(":8081/", ":9/")
    status, said = told(sys.executable, "-c", code)
    assert status != 0
    assert "refused" in said
