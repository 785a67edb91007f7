"""Sections: frozen dataclasses, read from YAML values by their annotations, and written back.

A field is annotated with a section, a `Literal`, `Annotated[type, read]`, a tuple of one of these,
or one of these or None. `read` raises ValueError("what is wrong; what to write instead"); that of
a `Secret` checks it. The unit is part of the name in Python (`wait_s`) and of the value in YAML
(`wait: 20s`). Where a default depends on the environment, the metadata have its YAML as `absent`.
"""

import re
import typing
from collections.abc import Callable, Mapping
from dataclasses import MISSING, Field, fields
from difflib import get_close_matches
from typing import Any, get_args, get_origin

from proxy.config.units import duration_text, size_text
from proxy.config.yaml_source import Document, KeyPath, Value
from proxy.model import Listen, Rate, Secret

_SECRET = re.compile(r"[!#-&(-_a-z|~]+")
_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_CURE = "write the value, {env: NAME} or {file: PATH}, without other braces"


def fields_by_key(section: type) -> dict[str, "Field[Any]"]:
    """The fields of a section by their key in YAML."""
    return {f.name.removesuffix("_s").removesuffix("_bytes"): f for f in fields(section)}


class Reader:
    """Reads the values of a document, and adds every fault to it.

    `read_file` gives the text of a secret's file; it may raise OSError and UnicodeDecodeError.
    """

    def __init__(
        self, document: Document, environ: Mapping[str, str], read_file: Callable[[str], str]
    ) -> None:
        self._document = document
        self._environ = environ
        self._read_file = read_file

    def read(self, form: Any, value: Value, place: KeyPath) -> Any:
        """The value as annotated; unusable when the document has faults."""
        try:
            return self._read(form, value, place)
        except ValueError as fault:
            self._document.note(place, str(fault))

    def _read(self, form: Any, value: Value, place: KeyPath) -> Any:
        match get_origin(form), get_args(form):
            case None, _:
                return self._section(form, value, place)
            case typing.Annotated, (kind, read) if kind is Secret:
                secret = self.secret(value)
                return secret and read(secret)
            case typing.Annotated, (_, read):
                return read(value if isinstance(value, str) else "")
            case typing.Literal, words:
                return _word(words, value)
            case typing.Union, (inner, _):
                return None if value is None else self._read(inner, value, place)
            case _, (item, _) if isinstance(value, list):
                return tuple(self.read(item, each, (*place, i)) for i, each in enumerate(value))
        raise ValueError("not a list; write [one, another], or [] for none")

    def _section(self, section: type, value: Value, place: KeyPath) -> object:
        known, given = fields_by_key(section), {} if value is None else value
        if not isinstance(given, dict):
            keys = ", ".join(known)
            raise ValueError(f"not a section; write its keys below it: {keys}")  # noqa: TRY004
        faults = len(self._document.faults)
        for key in [key for key in given if key not in known]:
            near = get_close_matches(key, known, n=1)
            cure = f"write {near[0]}" if near else f"the keys here are {', '.join(known)}"
            self._document.note((*place, key), f"unknown key; {cure}")
        values = {
            field.name: self.read(
                field.type, given.get(key, field.metadata.get("absent")), (*place, key)
            )
            for key, field in known.items()
            if key in given or field.metadata or field.default is MISSING
        }
        return section(**values) if len(self._document.faults) == faults else None

    def secret(self, value: Value) -> Secret | None:
        """The secret a value refers to; None for null and a variable that is unset or empty.

        ValueError never repeats what was written: in the braces that documentation puts around a
        placeholder, the key of a mapping may be the secret itself.
        """
        match value:
            case None:
                return None
            case str(text):
                source = "the value"
            case {"env": str(name)} if len(value) == 1 and _VARIABLE.fullmatch(name):
                source, text = f"the variable {name}", self._environ.get(name, "")
                if not text.strip():
                    return None
            case {"file": str(path)} if len(value) == 1:
                source, text = "the file's content", self._content(path)
            case _:
                raise ValueError(f"not a secret; {_CURE}")
        if not text.strip():
            raise ValueError(f"{source} is empty; {_CURE}")
        if not _SECRET.fullmatch(text.strip()):
            fault = "holds a space, quote, brace or character outside ASCII; copy the bare value"
            raise ValueError(f"{source} {fault}")
        return Secret(text.strip())

    def _content(self, path: str) -> str:
        try:
            return self._read_file(path)
        except (OSError, ValueError) as error:
            reason = getattr(error, "strerror", "it is not text") or "no reason given"
        cure = "check the path, and that the proxy's user may read it"
        raise ValueError(f"the file cannot be read ({reason}); {cure}")


def _word(words: tuple[str, ...], value: Value) -> Value:
    if value not in words:
        raise ValueError(f"not a known word; write {', '.join(words[:-1])} or {words[-1]}")
    return value


def dump(value: Any) -> Any:
    """The value in plain YAML types; `Reader` reads all but the secrets back."""
    match value:
        case bool() | str() | None:
            dumped: Any = value
        case float():
            dumped = duration_text(value)
        case int():
            dumped = size_text(value)
        case Rate(count=count, window_s=window_s):
            dumped = f"{count}/{duration_text(window_s)}"
        case Listen() | Secret():
            dumped = str(value)
        case tuple():
            dumped = [dump(each) for each in value]
        case _:
            known = fields_by_key(type(value)).items()
            dumped = {key: dump(getattr(value, field.name)) for key, field in known}
    return dumped
