"""A Prometheus of the tests' own, with the project's rules a minute shortened to a second."""

import asyncio
import json
import math
import re
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp

from tests.redis_server import free_port

DEPLOY = Path(__file__).parents[2] / "deploy"
PROMETHEUS, PROMTOOL = shutil.which("prometheus"), shutil.which("promtool")
MISSING = "prometheus is not installed (apt-get install prometheus)"
SHORTER = 60
"""So many times shorter is every duration of the rules."""
LEAST_WINDOW_S = 5
"""With a scrape each second: a window needs some."""
MOST_FOR_S = 2
_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400}
READY_S = 60


def shortened(rules: str) -> str:
    """The same rules, for a scrape each second; each instance is a fleet of one node."""

    def window(found: re.Match[str]) -> str:
        seconds = int(found[1]) * _UNITS[found[2]] // SHORTER
        return f"[{max(LEAST_WINDOW_S, seconds)}s]"

    rules = rules.replace(" (job)", " (job, instance)")
    rules = re.sub(r"\[(\d+)([smhd])\]", window, rules)
    return re.sub(r"(?m)^( *for:) .*$", rf"\1 {MOST_FOR_S}s", rules)


@dataclass(frozen=True)
class Sample:
    """One series of an answer."""

    labels: dict[str, str]
    value: float


class Prometheus:
    """Scrapes each second, by name; `start` it, and `stop` it whatever happens."""

    def __init__(self, directory: Path, targets: dict[str, str], *, boards: str = "") -> None:
        """`targets`: host and port by their label `instance`; `boards`: whose boards too."""
        self._directory = directory
        self._url = f"http://127.0.0.1:{free_port()}"
        self._process: asyncio.subprocess.Process | None = None
        self._session = aiohttp.ClientSession()
        for name in ("rules.yml", "alerts.yml"):
            rules = (DEPLOY / "prometheus" / name).read_text()
            (directory / name).write_text(shortened(rules))
        jobs = {
            name: {"targets": [at], "labels": {"instance": name}} for name, at in targets.items()
        }
        config = {
            "global": {"scrape_interval": "1s", "evaluation_interval": "1s"},
            "rule_files": ["rules.yml", "alerts.yml"],
            "scrape_configs": [
                {"job_name": "trello-proxy", "static_configs": [*jobs.values()]},
                {
                    "job_name": "trello-boards",
                    "metrics_path": "/metrics/boards",
                    "static_configs": [jobs[boards]] if boards else [],
                },
            ],
        }
        (directory / "prometheus.yml").write_text(json.dumps(config))

    async def start(self) -> None:
        """Return when it answers queries."""
        self._process = await asyncio.create_subprocess_exec(
            str(PROMETHEUS),
            f"--config.file={self._directory / 'prometheus.yml'}",
            f"--storage.tsdb.path={self._directory / 'data'}",
            f"--web.listen-address={self._url.removeprefix('http://')}",
            "--enable-feature=exemplar-storage",
            "--log.level=error",
        )
        async with asyncio.timeout(READY_S):
            while not await self._is_ready():  # noqa: ASYNC110 — another process
                await asyncio.sleep(0.05)

    async def stop(self) -> None:
        await self._session.close()
        if self._process is not None and self._process.returncode is None:
            self._process.kill()
            await self._process.wait()

    async def query(self, expression: str) -> list[Sample]:
        """What it is now; a scalar is a series without labels."""
        data = await self._get("/api/v1/query", query=expression)
        if data["resultType"] == "scalar":
            return [Sample({}, float(data["result"][1]))]
        return [Sample(each["metric"], float(each["value"][1])) for each in data["result"]]

    async def finite(self, expression: str) -> list[Sample]:
        """Those that are numbers."""
        return [each for each in await self.query(expression) if math.isfinite(each.value)]

    async def firing(self) -> set[tuple[str, str]]:
        """Alerts of an instance, by name and instance."""
        alerts = (await self._get("/api/v1/alerts"))["alerts"]
        return {
            (each["labels"]["alertname"], each["labels"]["instance"])
            for each in alerts
            if each["state"] == "firing" and "instance" in each["labels"]
        }

    async def exemplars(self, expression: str) -> list[dict[str, str]]:
        """The labels of all that were stored."""
        data = await self._get("/api/v1/query_exemplars", query=expression, start="0", end="9e9")
        return [each["labels"] for series in data for each in series["exemplars"]]

    async def _is_ready(self) -> bool:
        try:
            async with self._session.get(f"{self._url}/-/ready") as response:
                return response.status == 200
        except aiohttp.ClientError:
            return False

    async def _get(self, path: str, **parameters: str) -> Any:
        async with self._session.get(self._url + path, params=parameters) as response:
            said = await response.json()
        assert said["status"] == "success", said
        return said["data"]
