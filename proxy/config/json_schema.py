"""JSON Schema of proxy.yaml (draft 2020-12), for editors; `check` finds what it cannot say."""

import typing
from collections.abc import Mapping
from dataclasses import MISSING
from typing import Any, get_args, get_origin

from proxy.config.fields import Count, fields_by_key
from proxy.config.schema import Config
from proxy.model import Rate, Secret

_DURATION, _SIZE = r"[0-9]{1,7}(ms|s|m|h|d)", r"[0-9]{1,12}(B|KiB|MiB|GiB|TiB)"
_SOURCES = ("env", "file", "credential")
_STRING = {"type": "string"}
_NULL = {"type": "null"}
_ENV = {"$ref": "#/$defs/variable"}
_SECRET = {"$ref": "#/$defs/secret"}


def json_schema(descriptions: Mapping[str, str]) -> dict[str, Any]:
    """The schema; `descriptions` by setting, `cache.disk`."""
    path = {"type": "string", "minLength": 1}
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "proxy.yaml of trello-proxy",
        **_form(Config, "", descriptions),
        "$defs": {
            "variable": _braces({"env": path}),
            "secret": {"anyOf": [_STRING, *(_braces({source: path}) for source in _SOURCES)]},
        },
    }


def _braces(properties: dict[str, Any]) -> dict[str, Any]:
    return {
        "type": "object",
        "properties": properties,
        "required": [*properties],
        "additionalProperties": False,
    }


def _form(form: Any, name: str, descriptions: Mapping[str, str]) -> dict[str, Any]:
    """The schema of an annotation, as `fields.Reader` reads it."""
    match get_origin(form), get_args(form):
        case None, _:
            return _section(form, name, descriptions)
        case typing.Annotated, (kind, *_):
            return _scalar(kind)
        case typing.Literal, words:
            return {"enum": [*words]}
        case typing.Union, (inner, _):
            return {"anyOf": [_form(inner, name, descriptions), _NULL]}
        case _, (item, _):
            return {"type": "array", "items": _form(item, name, descriptions)}
    raise TypeError(f"no schema for {form}")


def _section(section: type, name: str, descriptions: Mapping[str, str]) -> dict[str, Any]:
    properties, required = dict[str, Any](), []
    for key, field in fields_by_key(section).items():
        place = f"{name}.{key}".removeprefix(".")
        properties[key] = {
            "description": descriptions.get(place, ""),
            **_form(field.type, place, descriptions),
        }
        if field.default is MISSING and field.default_factory is MISSING:
            required.append(key)
    return {
        "type": ["object", "null"],
        "properties": properties,
        "required": required,
        "additionalProperties": False,
    }


def _scalar(kind: Any) -> dict[str, Any]:
    """The schema of text that is read as `kind`; any of it may come from a variable."""
    if kind is Secret:
        return _SECRET
    if kind is bool:
        own: dict[str, Any] = {"type": "boolean"}
    elif kind is Count:
        own = {"type": "integer"}
    elif kind is Rate:
        own = {"type": "string", "pattern": f"^[0-9]+/{_DURATION}$"}
    elif kind is int:
        own = {"type": "string", "pattern": f"^{_SIZE}$"}
    elif kind is str or not (kind is float or float in get_args(kind)):
        own = _STRING
    else:
        words = [word for each in get_args(kind) for word in get_args(each)]
        own = {"type": "string", "pattern": f"^({'|'.join([_DURATION, *words])})$"}
    return {"anyOf": [own, _ENV]}
