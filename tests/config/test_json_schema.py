"""The JSON Schema: proxy.yaml and every example are valid, and what `check` would refuse is not."""

import json
from typing import Any

import pytest
import yaml

from proxy.cli.main import run
from proxy.config.reference import with_examples
from proxy.config.schema import Config, load, masked
from tests.config.test_proxy_yaml import TEXT, places_of
from tests.deploy.examples import DEPLOY

jsonschema = pytest.importorskip("jsonschema")
EXAMPLES = sorted(path for path in DEPLOY.rglob("proxy.yaml"))
INVALID = {
    "an unknown key": "lisen: 127.0.0.1:8080",
    "an unknown key of a section": "cache: {disc: 1GiB}",
    "a unit that is none": "cache: {disk: 10GB}",
    "a duration without a unit": "upstream: {read_timeout: 30}",
    "a rate of two numbers": "limits: {key: 100/10}",
    "an unknown word": "cache: {backend: postgres}",
    "text for a list": "clients: {hosts: a}",
    "a list for a section": "limits: []",
    "a number for a switch": "links: {rewrite: 1}",
    "a rule without a pattern": "routes: [{lifetime: 1s}]",
    "braces with another word": "credentials: {key: {path: x}}",
}


@pytest.fixture(scope="module")
def validator() -> Any:
    with pytest.MonkeyPatch.context() as patch:
        printed: list[str] = []
        patch.setattr("builtins.print", lambda text, **_: printed.append(text))
        assert run(["config", "--schema"]) == 0
    schema = json.loads("".join(printed))
    jsonschema.Draft202012Validator.check_schema(schema)
    return jsonschema.Draft202012Validator(schema)


@pytest.mark.parametrize("text", [TEXT, with_examples(TEXT), "", masked(load("", "x", {}, str))])
def test_the_reference_is_valid(validator: Any, text: str) -> None:
    validator.validate(yaml.safe_load(text))


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.parts[-2])
def test_examples_are_valid(validator: Any, path: Any) -> None:
    validator.validate(yaml.safe_load(path.read_text()))


@pytest.mark.parametrize("text", INVALID.values(), ids=INVALID.keys())
def test_what_check_refuses_is_invalid(validator: Any, text: str) -> None:
    assert not validator.is_valid(yaml.safe_load(text))


@pytest.mark.parametrize(
    "text",
    [
        "freshness: {watch: 'off'}",
        "listen: {env: LISTEN}",
        "limits:",
        "credentials: {key: {file: /run/key}, token: {credential: trello-token}, secret: null}",
        "clients: {keys: [{name: ci, digest: 'sha256:x', limit: 20/10s, writes: null}]}",
    ],
)
def test_what_check_takes_is_valid(validator: Any, text: str) -> None:
    validator.validate(yaml.safe_load(text))


def test_every_setting_is_described(validator: Any) -> None:
    for place in places_of(Config):
        found = validator.schema
        for step in place:
            for each in (found, *found.get("anyOf", ())):
                if ("items" if step == 0 else "properties") in each:
                    found = each["items"] if step == 0 else each["properties"][step]
                    break
            else:
                pytest.fail(f"{place}")
        assert place[-1] == 0 or found["description"]
