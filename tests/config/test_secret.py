"""A secret is found where the configuration says, and printed nowhere."""

import copy
import json

import pytest
import yaml

from proxy.config import schema
from proxy.config.fields import Reader
from proxy.config.yaml_source import Document
from proxy.model import Secret

Value = str | list[str] | dict[str, str | None] | None

DUMMY = "dummy-key-1"
ENVIRON = {"SET": f" {DUMMY}\n", "EMPTY": " ", "BRACED": "{dummy-key-1}"}
FILES = {"sound": f"{DUMMY}\n", "empty": "\n", "braced": "{dummy-key-1}", "lines": "dummy\nkey-1"}

FOUND: dict[str, tuple[Value, Secret | None]] = {
    "nothing": (None, None),
    "the text itself": (DUMMY, Secret(DUMMY)),
    "white space around it is no part of it": (f" {DUMMY}\n", Secret(DUMMY)),
    "a variable": ({"env": "SET"}, Secret(DUMMY)),
    "a variable that is not set": ({"env": "UNSET"}, None),
    "a variable that is empty": ({"env": "EMPTY"}, None),
    "a file": ({"file": "sound"}, Secret(DUMMY)),
}
FAULTS: dict[str, tuple[Value, str]] = {
    "an empty text": (
        "",
        "the value is empty; write the value, {env: NAME}, {file: PATH} or {cred",
    ),
    "a text in braces": ("{dummy-key-1}", "the value holds a space, quote, brace or"),
    "a text in quotes": ("'dummy-key-1'", "the value holds a space, quote, brace or"),
    "two words": ("dummy key-1", "the value holds a space, quote, brace or"),
    "a letter outside ASCII": ("dümmy-key-1", "the value holds a space, quote, brace or"),
    "braces that YAML reads as a mapping": ({"dummy-key-1": None}, "not a secret; write"),
    "a list": (["dummy-key-1"], "not a secret; write"),
    "two places": ({"env": "SET", "file": "sound"}, "not a secret; write"),
    "another place": ({"vault": "dummy-key-1"}, "not a secret; write"),
    "a place without a name": ({"env": None}, "not a variable's name; write"),
    "a variable's name that is none": ({"env": "dummy-key-1"}, "not a variable's name; write"),
    "a variable in braces": ({"env": "BRACED"}, "the variable BRACED holds a space, quote, brace"),
    "a file that is not there": ({"file": "absent"}, "the file cannot be read (No such file"),
    "a file that is not text": ({"file": "binary"}, "the file cannot be read (it is not text)"),
    "a file that is empty": ({"file": "empty"}, "the file's content is empty"),
    "a file in braces": ({"file": "braced"}, "the file's content holds a space, quote, brace"),
    "a file of two lines": ({"file": "lines"}, "the file's content holds a space, quote, brace"),
}


def read_file(path: str) -> str:
    if path == "binary":
        return b"\xff".decode()
    if path not in FILES:
        raise FileNotFoundError(2, "No such file or directory", path)
    return FILES[path]


def secret(value: Value) -> Secret | None:
    document = Document(yaml.safe_dump(value))
    return Reader(document, ENVIRON, read_file).secret(document.root)


@pytest.mark.parametrize(("value", "found"), FOUND.values(), ids=FOUND.keys())
def test_where_a_secret_is_found(value: Value, found: Secret | None) -> None:
    assert secret(value) == found


@pytest.mark.parametrize(("value", "fault"), FAULTS.values(), ids=FAULTS.keys())
def test_what_is_no_secret_and_is_not_repeated(value: Value, fault: str) -> None:
    with pytest.raises(ValueError, match="; ") as caught:
        secret(value)
    assert str(caught.value).startswith(fault)
    assert "key-1" not in str(caught.value)
    assert caught.value.__suppress_context__ or caught.value.__context__ is None


def test_a_secret_cannot_be_printed() -> None:
    secret = Secret(DUMMY)
    shown = [repr(secret), str(secret), f"{secret}", f"{[secret]}", repr(copy.deepcopy(secret))]
    assert not any(DUMMY in text for text in shown)
    with pytest.raises(TypeError):
        json.dumps(secret)
    assert secret.reveal() == DUMMY


def test_secrets_are_compared_by_their_text() -> None:
    assert Secret("a") == Secret("a") != Secret("b")
    assert len({Secret("a"), Secret("a"), Secret("b")}) == 2
    assert Secret("a") != "a"


def test_a_credential_of_systemd_is_found_by_its_name() -> None:
    text = "credentials: {key: {credential: trello-key}}"
    environ = {"CREDENTIALS_DIRECTORY": "/run/credentials/unit"}
    read: list[str] = []

    def content(path: str) -> str:
        read.append(path)
        return "dummy-0123456789\n"

    config = schema.load(text, "proxy.yaml", environ, content)
    assert config.credentials.key is not None
    assert config.credentials.key.reveal() == "dummy-0123456789"
    assert read == ["/run/credentials/unit/trello-key"]


@pytest.mark.parametrize(
    ("name", "environ", "fault"),
    [
        ("trello-key", {}, "CREDENTIALS_DIRECTORY is not set"),
        ("../key", {"CREDENTIALS_DIRECTORY": "/x"}, "not a credential's name"),
        ("''", {"CREDENTIALS_DIRECTORY": "/x"}, "not a credential's name"),
    ],
)
def test_a_credential_that_cannot_be_is_a_fault(
    name: str, environ: dict[str, str], fault: str
) -> None:
    text = f"credentials: {{key: {{credential: {name}}}}}"
    with pytest.raises(schema.ConfigError, match=fault):
        schema.load(text, "proxy.yaml", environ, str)
