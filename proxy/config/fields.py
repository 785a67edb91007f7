"""Sections: frozen dataclasses, read from YAML values by their annotations, and written back.

A field is annotated with a section, a `Literal`, `Annotated[type, read]`, a tuple of one of these,
or one of these or None. `read` raises ValueError("what is wrong; what to write instead"); that of
a `Secret` checks it. The unit is part of the name in Python (`wait_s`) and of the value in YAML
(`wait: 20s`). Where a default is not constant, the metadata have its YAML node as `absent`, or a
function of the environment that gives it.
"""

import re
import typing
from collections.abc import Callable, Mapping
from dataclasses import MISSING, Field, dataclass, fields
from difflib import get_close_matches
from typing import Any, get_args, get_origin

import yaml

from proxy.config.units import duration_text, size_text
from proxy.config.yaml_source import Document, Place, is_null, text_of
from proxy.model import Listen, Rate, Secret

MUST_BE_SET = "must be set"
"""Annotation of a secret whose variable, if the configuration names one, has to be set."""


class Count(int):
    """A number without a unit."""


_PLAIN_TAGS = frozenset(f"tag:yaml.org,2002:{kind}" for kind in ("str", "seq", "map"))
_SECRET = re.compile(r"[!#-&(-_a-z|~]+")
_CREDENTIAL = re.compile(r"\w[\w.-]{0,254}", re.ASCII)
_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_Mapping = dict[str, tuple[yaml.Node, Place]]
_UNSET = "is not set; set it, or remove this setting"
_CURE = "write the value, {env: NAME}, {file: PATH} or {credential: NAME}, without other braces"


def fields_by_key(section: type) -> dict[str, "Field[Any]"]:
    """The fields of a section by their key in YAML."""
    return {f.name.removesuffix("_s").removesuffix("_bytes"): f for f in fields(section)}


@dataclass(frozen=True, slots=True)
class Reader:
    """Reads the values of a document, and adds every fault to it.

    `read_file` gives the text of a secret's file; it may raise OSError and UnicodeDecodeError.
    """

    document: Document
    environ: Mapping[str, str]
    read_file: Callable[[str], str]

    def read(self, form: Any, node: yaml.Node | None, place: Place) -> Any:
        """The value as annotated; unusable when the document has faults."""
        try:
            return self._read(form, node, place)
        except ValueError as fault:
            self.document.note(place, str(fault))

    def _read(self, form: Any, node: yaml.Node | None, place: Place) -> Any:
        if node is not None and node.tag not in _PLAIN_TAGS:
            raise ValueError("a YAML tag has no meaning here; write the value alone")
        match get_origin(form), get_args(form):
            case None, _:
                return self._section(form, node, place)
            case typing.Annotated, (kind, read, *rules) if kind is Secret:
                secret = self.secret(node, must_be_set=MUST_BE_SET in rules)
                return secret and read(secret)
            case typing.Annotated, (_, read):
                return read(self._text(node) or "")
            case typing.Literal, words:
                return _word(words, text_of(node))
            case typing.Union, (inner, _):
                return None if is_null(node) else self._read(inner, node, place)
            case _, (item, _) if isinstance(node, yaml.SequenceNode):
                nodes = enumerate(node.value)
                return tuple(self.read(item, each, place.inner(i, each)) for i, each in nodes)
        raise ValueError("not a list; write [one, another], or [] for none")

    def _section(self, section: type, node: yaml.Node | None, place: Place) -> object:
        known, faults = fields_by_key(section), len(self.document.faults)
        keys = ", ".join(known)
        if not (is_null(node) or isinstance(node, yaml.MappingNode)):
            raise ValueError(f"not a section; write its keys below it: {keys}")
        given = self._mapping(node.value if isinstance(node, yaml.MappingNode) else [], place)
        for key, (_, inner) in given.items():
            if key not in known:
                near = get_close_matches(key, known, n=1)
                cure = f"write {near[0]}" if near else f"the keys here are {keys}"
                self.document.note(inner, f"unknown key; {cure}")
        values = {
            field.name: self.read(
                field.type, *(given.get(key) or (self._absent(field), place.inner(key)))
            )
            for key, field in known.items()
            if key in given or field.metadata or field.default is MISSING
        }
        return section(**values) if len(self.document.faults) == faults else None

    def _absent(self, field: "Field[Any]") -> yaml.Node | None:
        """The value of a setting that is not written, where that is not the field's default."""
        absent = field.metadata.get("absent")
        return absent(self.environ) if callable(absent) else absent

    def _mapping(self, pairs: list[tuple[yaml.Node, yaml.Node]], place: Place) -> _Mapping:
        values: _Mapping = {}
        for key, node in pairs:
            name, inner = str(key.value), place.inner(str(key.value), key)
            if not isinstance(key, yaml.ScalarNode):
                self.document.note(inner, "a key must be one word; write key: value")
            elif name in values:
                first = f"first on line {values[name][1].line}"
                self.document.note(inner, f"duplicate key, {first}; remove one of them")
            else:
                values[name] = node, inner
        return values

    def secret(self, node: yaml.Node | None, *, must_be_set: bool = False) -> Secret | None:
        """The secret a value refers to; None for null and a variable that is unset or empty.

        `must_be_set`: such a variable is a fault.

        ValueError never repeats what was written: in the braces that documentation puts around a
        placeholder, the key of a mapping may be the secret itself.
        """
        match node:
            case None | yaml.ScalarNode():
                source, text = "the value", text_of(node)
            case yaml.MappingNode(value=[(yaml.ScalarNode(value="env"), variable)]):
                name, text = self._variable(variable)
                source = f"the variable {name}"
                if must_be_set and text is None:
                    raise ValueError(f"{source} {_UNSET}")
            case yaml.MappingNode(value=[(yaml.ScalarNode(value="file"), path)]):
                source, text = "the file's content", self._content(text_of(path) or "")
            case yaml.MappingNode(value=[(yaml.ScalarNode(value="credential"), name)]):
                source, text = "the credential", self._content(self._credential(name))
            case _:
                raise ValueError(f"not a secret; {_CURE}")
        if text is not None and not _SECRET.fullmatch(text.strip()):
            fault = "holds a space, quote, brace or character outside ASCII; copy the bare value"
            raise ValueError(f"{source} {fault if text.strip() else f'is empty; {_CURE}'}")
        return None if text is None else Secret(text.strip())

    def _text(self, node: yaml.Node | None) -> str | None:
        """The text of a scalar, or of the variable that `{env: NAME}` names."""
        match node:
            case yaml.MappingNode(value=[(yaml.ScalarNode(value="env"), variable)]):
                name, text = self._variable(variable)
                if text is None:
                    raise ValueError(f"the variable {name} is not set; set it, or write the value")
                return text
        return text_of(node)

    def _variable(self, node: yaml.Node) -> tuple[str, str | None]:
        """The name of a variable, and its text; None if it is unset or empty."""
        name = text_of(node) or ""
        if not _VARIABLE.fullmatch(name):
            raise ValueError(f"not a variable's name; {_CURE}")
        return name, self.environ.get(name, "").strip() or None

    def _credential(self, node: yaml.Node) -> str:
        """The path of a credential that systemd passes to the unit, by its name there."""
        name, directory = text_of(node) or "", self.environ.get("CREDENTIALS_DIRECTORY")
        if not _CREDENTIAL.fullmatch(name):
            raise ValueError("not a credential's name; write that of LoadCredential=")
        if not directory:
            raise ValueError("CREDENTIALS_DIRECTORY is not set; systemd sets it, else set it")
        return f"{directory}/{name}"

    def _content(self, path: str) -> str:
        try:
            return self.read_file(path)
        except (OSError, ValueError) as error:
            reason = getattr(error, "strerror", "it is not text") or "no reason given"
        cure = "check the path, and that the proxy's user may read it"
        raise ValueError(f"the file cannot be read ({reason}); {cure}")


def _word(words: tuple[str, ...], text: str | None) -> str:
    if text not in words:
        raise ValueError(f"not a known word; write {', '.join(words[:-1])} or {words[-1]}")
    return text


def dump(value: Any) -> Any:
    """The value in plain YAML types; `Reader` reads all but the secrets back."""
    match value:
        case bool() | str() | None:
            dumped: Any = value
        case Count():
            dumped = int(value)
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
