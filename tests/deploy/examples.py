"""What lies in deploy/, read as the programs that use it read it."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from proxy.config.schema import Config, load

ROOT = Path(__file__).parents[2]
DEPLOY = ROOT / "deploy"
DUMMY = "dummy-0123456789"
ENVIRONMENT = {
    "HOME": "/nowhere",
    "FLEET_ADDRESS": "10.42.0.7:9080",
    "CREDENTIALS_DIRECTORY": "/run/credentials/trello-proxy.service",
}


@dataclass
class Example:
    """A proxy.yaml of deploy/, and the files it takes secrets from."""

    path: str
    secrets: list[str] = field(default_factory=list)

    def load(self) -> Config:
        """ConfigError names what is wrong with it."""
        text = (DEPLOY / self.path).read_text()
        return load(text, self.path, ENVIRONMENT, self._read)

    def _read(self, path: str) -> str:
        self.secrets.append(path)
        return "rediss://redis.internal:6379/0" if path.endswith("redis-url") else DUMMY


def documents(path: str) -> list[Any]:
    """The YAML documents of a file in deploy/."""
    return list(yaml.safe_load_all((DEPLOY / path).read_text()))


def document(path: str) -> Any:
    """The only one."""
    (only,) = documents(path)
    return only
