"""Configuration of a command: from its file, the environment and the files of secrets."""

import os
from argparse import Namespace
from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path

from proxy.cli.console import CommandFailed
from proxy.config.file_stamp import file_stamp
from proxy.config.schema import Config, ConfigError, load

DEFAULT = "proxy.yaml"


class ConfigLoader:
    """Loads the configuration, again after each change. Every method blocks."""

    def __init__(self, path: str | None, environ: Mapping[str, str]) -> None:
        """`path` None: DEFAULT, if it exists."""
        self.path = _expanded(path or DEFAULT)
        self._is_optional = path is None
        self._environ = environ
        self._secrets: dict[str, tuple[int, ...]] = {}

    def load(self) -> Config:
        """The current configuration; ConfigError names every fault."""
        self._secrets = {path: file_stamp(_expanded(path)) for path in self._secrets}
        config = load(self._text(), str(self.path), self._environ, self._read_secret)
        if config.cache.backend == "redis" and find_spec("redis") is None:
            fault = "redis needs its client library; install it: pip install 'trello-proxy[redis]'"
            raise ConfigError(f"{self.path}: cache.backend: {fault}")
        return config

    def secrets_changed(self) -> bool:
        """Whether a file of secrets was replaced or written since it was read."""
        return any(file_stamp(_expanded(path)) != stamp for path, stamp in self._secrets.items())

    def _text(self) -> str:
        if self._is_optional and not self.path.exists():
            return ""
        try:
            return self.path.read_text("utf-8")
        except UnicodeDecodeError:
            fault = "is not UTF-8; save it in that encoding"
        except OSError as error:
            fault = f"cannot be read ({error.strerror}); check the path and its permissions"
        raise ConfigError(f"{self.path}: {fault}")

    def _read_secret(self, path: str) -> str:
        # The stamp is taken before the file is read, so that no change is missed.
        self._secrets[path] = file_stamp(_expanded(path))
        return _expanded(path).read_text("utf-8")


def _expanded(path: str) -> Path:
    """The path with `~` expanded, if that user has a home."""
    try:
        return Path(path).expanduser()
    except RuntimeError:
        return Path(path)


def config_loader(options: Namespace) -> ConfigLoader:
    """The loader of a command's configuration."""
    return ConfigLoader(options.config, os.environ)


def read_config(loader: ConfigLoader, *, checks_files: bool = False) -> Config:
    """The configuration; CommandFailed names every fault, with `checks_files` of PEM files too."""
    try:
        config = loader.load()
    except ConfigError as error:
        raise CommandFailed(str(error), 2) from None
    if checks_files and (config.tls.certificate or config.upstream.ca):
        _check_files(loader.path, config)
    return config


def _check_files(path: Path, config: Config) -> None:
    """CommandFailed if a file of `tls`, or `upstream.ca`, cannot be used."""
    from proxy.config.certificates import (  # noqa: PLC0415 — imports ssl
        CertificateFiles,
        UnusableFile,
        client_context,
    )

    try:
        if config.tls.certificate:
            CertificateFiles(config.tls).load()
        if config.upstream.ca:
            client_context(config.upstream.ca)
    except UnusableFile as fault:
        raise CommandFailed(f"{path}: {fault.setting}: {fault}", 2) from None
