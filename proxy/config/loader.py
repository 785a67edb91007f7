"""Where the configuration comes from: a file, the environment, and the files of secrets."""

from collections.abc import Mapping
from pathlib import Path

from proxy.config.schema import (
    Config,
    ConfigError,
    load,
)

DEFAULT = "proxy.yaml"

FileStamp = tuple[int, int, int] | None


class ConfigLoader:
    """Reads the configuration as often as it is asked to."""

    def __init__(self, path: str | None, environ: Mapping[str, str]) -> None:
        """`path` None: DEFAULT, where there is one."""
        self._path = Path(path or DEFAULT)
        self._is_optional = path is None
        self._environ = environ
        self._secrets: dict[str, FileStamp] = {}

    def load(self) -> Config:
        """As it is now; ConfigError names every fault. Blocks."""
        self._secrets = {path: _stamp(path) for path in self._secrets}
        config = load(self._text(), str(self._path), self._environ, self._read_secret)
        if config.cache.backend == "redis":
            fault = f"{self._path}: cache.backend: redis is not there yet; write sqlite"
            raise ConfigError((fault,))
        return config

    def secrets_changed(self) -> bool:
        """Whether a file of secrets is another than when it was read last. Blocks."""
        return any(_stamp(path) != stamp for path, stamp in self._secrets.items())

    def _text(self) -> str:
        if self._is_optional and not self._path.exists():
            return ""
        try:
            return read(str(self._path))
        except UnicodeDecodeError:
            raise ConfigError((f"{self._path}: is no UTF-8 text; save it as that",)) from None
        except OSError as error:
            reason = f"cannot be read ({error.strerror}); check the path, and who may read it"
            raise ConfigError((f"{self._path}: {reason}",)) from None

    def _read_secret(self, path: str) -> str:
        self._secrets[path] = _stamp(path)  # before it is read: what comes between is noticed
        return read(path)


def read(path: str) -> str:
    """A file's text; `~` is the user's home."""
    return Path(path).expanduser().read_text(encoding="utf-8")


def _stamp(path: str) -> FileStamp:
    try:
        found = Path(path).expanduser().stat()
    except OSError:
        return None
    return found.st_mtime_ns, found.st_size, found.st_ino
