"""How a section's settings are written in YAML, read into frozen values and written back.

A section is a `frozen` class whose fields are made by `setting`, `required` and `section`. A
field's unit is part of its name in Python (`wait_s`) and of its value in YAML (`wait: 20s`).
"""

from collections.abc import Callable, Mapping
from dataclasses import Field, dataclass, field, fields
from difflib import get_close_matches
from typing import Any, Generic, TypeVar, dataclass_transform, get_args

from proxy.config import secret
from proxy.config.secret import Secret
from proxy.config.yaml_source import KeyPath, Value

T = TypeVar("T")


class FieldType(Generic[T]):
    """How a setting that holds a `T` is written."""

    __slots__ = ()


@dataclass(frozen=True, slots=True)
class Scalar(FieldType[T]):
    """One scalar. `read` raises ValueError("what is wrong; what to write instead") also on ""."""

    read: Callable[[str], T]
    write: Callable[[T], object] = str


@dataclass(frozen=True, slots=True)
class OptionalField(FieldType[T | None]):
    """The form, or null."""

    inner: FieldType[T]


@dataclass(frozen=True, slots=True)
class ListOf(FieldType[tuple[T, ...]]):
    """A list of the form."""

    item: FieldType[T]


@dataclass(frozen=True, slots=True)
class SectionOf(FieldType[T]):
    """A mapping with the keys of a section; nothing at all means every default."""

    kind: type[T]


@dataclass(frozen=True, slots=True)
class SecretField(FieldType[Secret | None]):
    """A secret, wherever it stands; `check` raises ValueError, `write` tells what may be shown."""

    check: Callable[[str], object] = str
    write: Callable[[str], str] = lambda _: "***"


def one_of(literal: object) -> Scalar[Any]:
    """One of the words of a `Literal` type."""
    words: tuple[str, ...] = get_args(literal)

    def read(text: str) -> str:
        if text not in words:
            raise ValueError(f"not a known word; write {', '.join(words[:-1])} or {words[-1]}")
        return text

    return Scalar(read)


@dataclass_transform(kw_only_default=True, frozen_default=True)
def frozen(kind: type[T]) -> type[T]:
    """A frozen dataclass, its fields given by name."""
    return dataclass(frozen=True, slots=True, kw_only=True)(kind)


def setting(form: FieldType[T], default: Value) -> T:
    """A field of a section; `default` as the operator would write it."""
    made: T = field(
        default_factory=lambda: Parser({}, str).read(form, default, ()),
        metadata={"form": form, "default": default},
    )
    return made


def required(form: FieldType[T]) -> T:
    """A field without a default."""
    made: T = field(metadata={"form": form, "default": None})
    return made


def section(kind: type[T]) -> T:
    """A section inside a section."""
    return setting(SectionOf(kind), None)


def settings_of(kind: type) -> dict[str, "Field[Any]"]:
    """A section's fields by their name in YAML."""
    return {f.name.removesuffix("_s").removesuffix("_bytes"): f for f in fields(kind)}


class Parser:
    """Reads values in their forms and keeps every fault with its place."""

    def __init__(self, environ: Mapping[str, str], read_file: Callable[[str], str]) -> None:
        self._environ = environ
        self._read_file = read_file
        self.faults: list[tuple[KeyPath, str]] = []

    def read(self, form: FieldType[Any], value: Value, place: KeyPath) -> Any:
        """What the value means; after a fault, something that must not be used."""
        try:
            match form:
                case SectionOf(kind):
                    return self._section(kind, value, place)
                case ListOf(item):
                    return self._several(item, value, place)
                case OptionalField(inner):
                    return None if value is None else self.read(inner, value, place)
                case SecretField(check):
                    return self._sealed(check, value)
                case Scalar(read):
                    return read(value if isinstance(value, str) else "")
        except ValueError as fault:
            self.faults.append((place, str(fault)))
        return None

    def _section(self, kind: type, value: Value, place: KeyPath) -> object:
        settings = settings_of(kind)
        match value:
            case None:
                given: dict[str, Value] = {}
            case dict():
                given = value
            case _:
                raise ValueError(f"not a section; write its keys below it: {', '.join(settings)}")
        known = len(self.faults)
        unknown = [key for key in given if key not in settings]
        self.faults += [((*place, key), _unknown(key, settings)) for key in unknown]
        values = {
            f.name: self.read(
                f.metadata["form"], given.get(key, f.metadata["default"]), (*place, key)
            )
            for key, f in settings.items()
        }
        return kind(**values) if len(self.faults) == known else None

    def _several(self, item: FieldType[Any], value: Value, place: KeyPath) -> tuple[object, ...]:
        match value:
            case list():
                return tuple(self.read(item, child, (*place, i)) for i, child in enumerate(value))
        raise ValueError("not a list; write [one, another], or [] for none")

    def _sealed(self, check: Callable[[str], object], value: Value) -> Secret | None:
        found = secret.resolve_secret(value, self._environ, self._read_file)
        if found is not None:
            check(found.reveal())
        return found


def dump(form: FieldType[Any], value: Any) -> object:
    """The value in plain YAML types; `Reader.read` reads all but the secrets back."""
    match form:
        case SectionOf(kind):
            return {
                key: dump(f.metadata["form"], getattr(value, f.name))
                for key, f in settings_of(kind).items()
            }
        case ListOf(item):
            return [dump(item, child) for child in value]
        case OptionalField(inner):
            return None if value is None else dump(inner, value)
        case SecretField(_, write):
            return None if value is None else write(value.reveal())
        case Scalar(_, write):
            return write(value)
    raise TypeError(form)


def _unknown(key: str, settings: Mapping[str, object]) -> str:
    near = get_close_matches(key, settings, n=1)
    if near:
        return f"unknown key; write {near[0]}"
    return f"unknown key; the keys here are {', '.join(settings)}"
