"""Overrides: settings that a flag or an environment variable gives in place of the file's."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import yaml

from proxy.config.fields import Reader, fields_by_key
from proxy.config.schema import Config, ConfigError, LogSettings
from proxy.config.yaml_source import Document, Place

VARIABLES = {
    "TRELLO_PROXY_LISTEN": "listen",
    "TRELLO_PROXY_PUBLIC_URL": "public_url",
    "TRELLO_PROXY_LOG_LEVEL": "log.level",
}
"""Environment variable → setting."""


def overridden(config: Config, given: Mapping[str, tuple[str, str]]) -> Config:
    """The configuration with `given`: setting → flag or variable, and its text. ConfigError."""
    document = Document("")
    reader = Reader(document, {}, lambda _: "")
    values: dict[str, Any] = {
        setting: reader.read(_form(setting), yaml.ScalarNode(_TAG, text, style='"'), Place(1, name))
        for setting, (name, text) in given.items()
    }
    if document.faults:
        raise ConfigError(*(fault for _, fault in document.faults))
    level = values.pop("log.level", config.log.level)
    return replace(config, log=replace(config.log, level=level), **values)


_TAG = "tag:yaml.org,2002:str"


def _form(setting: str) -> Any:
    """The annotation of the setting's field."""
    section, _, key = setting.rpartition(".")
    return fields_by_key(LogSettings if section else Config)[key].type
