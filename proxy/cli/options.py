"""Configuration of a command: from its file, the environment and the files of secrets."""

import os
from argparse import Namespace
from collections.abc import Mapping
from pathlib import Path

from proxy.cli.console import CommandFailed
from proxy.config.schema import Config, ConfigError, load

DEFAULT = "proxy.yaml"


class ConfigLoader:
    """Loads the configuration, again after each change. Every method blocks."""

    def __init__(self, path: str | None, environ: Mapping[str, str]) -> None:
        """`path` None: DEFAULT, if it exists."""
        self._path = _expanded(path or DEFAULT)
        self._is_optional = path is None
        self._environ = environ
        self._secrets: dict[str, tuple[int, ...]] = {}

    def load(self) -> Config:
        """The current configuration; ConfigError names every fault."""
        self._secrets = {path: _stamp(path) for path in self._secrets}
        config = load(self._text(), str(self._path), self._environ, self._read_secret)
        if config.cache.backend == "redis":
            fault = "cache.backend: redis is not supported yet; write sqlite"
            raise ConfigError(f"{self._path}: {fault}")
        return config

    def secrets_changed(self) -> bool:
        """Whether a file of secrets was replaced or written since it was read."""
        return any(_stamp(path) != stamp for path, stamp in self._secrets.items())

    def _text(self) -> str:
        if self._is_optional and not self._path.exists():
            return ""
        try:
            return self._path.read_text("utf-8")
        except UnicodeDecodeError:
            fault = "is not UTF-8; save it in that encoding"
        except OSError as error:
            fault = f"cannot be read ({error.strerror}); check the path and its permissions"
        raise ConfigError(f"{self._path}: {fault}")

    def _read_secret(self, path: str) -> str:
        self._secrets[path] = _stamp(path)  # before it is read, so that no change is missed
        return _expanded(path).read_text("utf-8")


def _stamp(path: str) -> tuple[int, ...]:
    """Time of change, size and inode; empty if the file does not exist."""
    try:
        stat = _expanded(path).stat()
    except (OSError, ValueError):
        return ()
    return stat.st_mtime_ns, stat.st_size, stat.st_ino


def _expanded(path: str) -> Path:
    """The path with `~` expanded, if that user has a home."""
    try:
        return Path(path).expanduser()
    except RuntimeError:
        return Path(path)


def config_loader(options: Namespace) -> ConfigLoader:
    """The loader of a command's configuration."""
    return ConfigLoader(options.config, os.environ)


def read_config(loader: ConfigLoader) -> Config:
    """The configuration; CommandFailed names every fault."""
    try:
        return loader.load()
    except ConfigError as error:
        raise CommandFailed(str(error), 2) from None
