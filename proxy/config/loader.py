"""Loader of the configuration: from its file, the environment and the files of secrets."""

from collections.abc import Mapping
from pathlib import Path

from proxy.config.schema import Config, ConfigError, load

DEFAULT = "proxy.yaml"


class ConfigLoader:
    """Reads the configuration, as often as it changes. Every method blocks."""

    def __init__(self, path: str | None, environ: Mapping[str, str]) -> None:
        """`path` None: DEFAULT, where there is one."""
        self._path = Path(path or DEFAULT)
        self._is_optional = path is None
        self._environ = environ
        self._secrets: dict[str, tuple[int, ...]] = {}

    def load(self) -> Config:
        """The configuration as it is now; ConfigError names every fault."""
        self._secrets = {path: _stamp(path) for path in self._secrets}
        config = load(self._text(), str(self._path), self._environ, self._read_secret)
        if config.cache.backend == "redis":
            fault = "cache.backend: redis is not there yet; write sqlite"
            raise ConfigError(f"{self._path}: {fault}")
        return config

    def secrets_changed(self) -> bool:
        """Whether a file of secrets was replaced or written since it was read."""
        return any(_stamp(path) != stamp for path, stamp in self._secrets.items())

    def _text(self) -> str:
        if self._is_optional and not self._path.exists():
            return ""
        try:
            return self._path.expanduser().read_text("utf-8")
        except UnicodeDecodeError:
            fault = "is no UTF-8 text; save it as that"
        except OSError as error:
            fault = f"cannot be read ({error.strerror}); check the path, and who may read it"
        raise ConfigError(f"{self._path}: {fault}")

    def _read_secret(self, path: str) -> str:
        self._secrets[path] = _stamp(path)  # before it is read, so that no change is missed
        return Path(path).expanduser().read_text("utf-8")


def _stamp(path: str) -> tuple[int, ...]:
    """Time of change, size and inode; empty where there is no file."""
    try:
        stat = Path(path).expanduser().stat()
    except OSError:
        return ()
    return stat.st_mtime_ns, stat.st_size, stat.st_ino
