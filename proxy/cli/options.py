"""Configuration of a command: from its file, flags, the environment and the files of secrets."""

import os
import re
from argparse import Namespace
from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from proxy.cli.console import CommandFailed
from proxy.config.file_stamp import file_stamp
from proxy.config.overrides import VARIABLES, overridden
from proxy.config.schema import Config, ConfigError, load

if TYPE_CHECKING:
    from proxy.runtime.service_manager import ServiceManager

DEFAULT = "proxy.yaml"
FILE_VARIABLE = "TRELLO_PROXY_CONFIG"
_SYSTEM = "/etc"
_INHERITED = re.compile(r"PATH|HOME|TMPDIR|TZ|LANG|LC_\w+|PYTHON\w+|LD_LIBRARY_PATH")
"""Variables of workers: none of them is a secret."""


class ConfigLoader:
    """Loads the configuration, again after each change. Every method blocks."""

    def __init__(
        self,
        path: str | None,
        environ: Mapping[str, str],
        flags: Mapping[str, tuple[str, str]] | None = None,
    ) -> None:
        """`path` None: the first file of the search path, if there is one.

        `flags`: setting → the flag that overrides it, and its text.
        """
        named = path or environ.get(FILE_VARIABLE)
        found = Path(named) if named else _search(environ)
        self.path = _expanded(str(found or DEFAULT))
        self._is_optional = found is None
        self._environ = environ
        variables = {
            VARIABLES[name]: (name, text)
            for name, text in environ.items()
            if text and name in VARIABLES
        }
        self._overrides = variables | dict(flags or {})
        self._secrets: dict[str, tuple[int, ...]] = {}

    @property
    def sources(self) -> list[str]:
        """Where the configuration is from: the file, and what overrides it."""
        file = "no proxy.yaml; built-in defaults" if self._is_optional else str(self.path)
        return [file, *(f"{key}: {name}" for key, (name, _) in self._overrides.items())]

    def load(self) -> Config:
        """The current configuration; ConfigError names every fault."""
        self._secrets = {path: file_stamp(_expanded(path)) for path in self._secrets}
        config = load(self._text(), str(self.path), self._environ, self._read_secret)
        if self._overrides:
            config = overridden(config, self._overrides)
        if config.cache.backend == "redis" and find_spec("redis") is None:
            fault = "redis needs its client library; run pip install '.[redis]' in the checkout"
            raise ConfigError(f"{self.path}: cache.backend: {fault}")
        if config.upstream.resolve and find_spec("aiodns") is None:
            fault = "needs the library aiodns; run pip install '.[resolve]' in the checkout"
            raise ConfigError(f"{self.path}: upstream.resolve: {fault}")
        if config.redis.replicas and config.fleet.listen is None:
            fault = (
                "without fleet.listen there is no lease for them to have; add it, or remove this"
            )
            raise ConfigError(f"{self.path}: redis.replicas: {fault}")
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


def _search(environ: Mapping[str, str]) -> Path | None:
    """The first proxy.yaml that exists: here, of the user, of the system."""
    of_user = environ.get("XDG_CONFIG_HOME") or "~/.config"
    folders = (_expanded(of_user) / "trello-proxy", Path(_SYSTEM) / "trello-proxy")
    files = (Path(DEFAULT), *(folder / DEFAULT for folder in folders))
    return next((file for file in files if os.path.lexists(file)), None)


def _expanded(path: str) -> Path:
    """The path with `~` expanded, if that user has a home."""
    try:
        return Path(path).expanduser()
    except RuntimeError:
        return Path(path)


def config_loader(options: Namespace) -> ConfigLoader:
    """The loader of a command's configuration."""
    flags = {
        "listen": ("--listen", getattr(options, "listen", None)),
        "log.level": ("--log-level", getattr(options, "log_level", None)),
    }
    given = {setting: (flag, text) for setting, (flag, text) in flags.items() if text}
    return ConfigLoader(options.config, os.environ, given)


def service_manager() -> "ServiceManager":
    """The service manager that started this process, if there is one."""
    from proxy.runtime.service_manager import ServiceManager  # noqa: PLC0415 — for serve alone

    return ServiceManager(os.environ, os.getpid())


def worker_environ() -> dict[str, str]:
    """The environment variables of worker processes."""
    return {name: text for name, text in os.environ.items() if _INHERITED.fullmatch(name)}


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
