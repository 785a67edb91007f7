"""The systemd unit: accepted by systemd, closed to the machine, at one with the files beside it."""

import shutil
from pathlib import Path

from proxy.cli.main import run
from proxy.config.units import size
from tests.deploy.examples import DEPLOY, Example
from tests.deploy.tools import told, tool

UNIT = DEPLOY / "systemd/trello-proxy.service"
EXPOSURE_TENTHS = 13
"""At most; it is 12 with systemd 252, which calls everything below 20 OK."""
STOP_S = 10
"""The program ends within so many seconds of SIGTERM."""
OWN_BYTES = 64 * 1024 * 1024
"""What the program takes with nothing stored."""


def settings() -> dict[str, list[str]]:
    """By name, every value in its order."""
    found: dict[str, list[str]] = {}
    for line in UNIT.read_text().splitlines():
        name, equals, value = line.partition("=")
        if equals and not line.startswith("#"):
            found.setdefault(name, []).append(value)
    return found


def only(name: str) -> str:
    (value,) = settings()[name]
    return value


def bytes_of(value: str) -> int:
    """systemd's K, M and G are powers of 1024."""
    return size(f"{value}iB")


def test_systemd_finds_nothing_wrong_with_it(tmp_path: Path) -> None:
    analyze = tool("systemd-analyze", "apt-get install systemd")
    program = shutil.which("true")
    assert program
    unit = tmp_path / UNIT.name
    unit.write_text(UNIT.read_text().replace("/opt/trello-proxy/bin/trello-proxy", program))
    assert told(analyze, "verify", str(unit)) == (0, "")


def test_a_fault_in_it_would_be_found(tmp_path: Path) -> None:
    analyze = tool("systemd-analyze", "apt-get install systemd")
    unit = tmp_path / UNIT.name
    unit.write_text("[Service]\nExecStart=/bin/true\nProtectSystem=stricter\n")
    assert "protect system value" in told(analyze, "verify", str(unit))[1]


def test_it_is_closed_to_the_rest_of_the_machine() -> None:
    analyze = tool("systemd-analyze", "apt-get install systemd")
    threshold = f"--threshold={EXPOSURE_TENTHS}"
    code, said = told(analyze, "security", "--offline=true", "--no-pager", threshold, str(UNIT))
    assert code == 0, said
    assert "Overall exposure level" in said


def test_the_credentials_are_where_its_configuration_looks_for_them() -> None:
    example = Example("systemd/proxy.yaml")
    example.load()
    names = [value.partition(":")[0] for value in settings()["LoadCredential"]]
    assert example.secrets == [f"/run/credentials/{UNIT.name}/{name}" for name in names]


def test_what_it_keeps_is_where_systemd_lets_it_write() -> None:
    directory = Example("systemd/proxy.yaml").load().cache.directory
    assert directory == f"/var/cache/{only('CacheDirectory')}"
    assert (only("ProtectSystem"), only("CacheDirectoryMode")) == ("strict", "0700")


def test_only_nginx_and_the_machine_itself_reach_it() -> None:
    config = Example("systemd/proxy.yaml").load()
    assert config.admin.listen is not None
    assert {config.listen.host, config.admin.listen.host} == {"127.0.0.1"}


def test_a_faulty_configuration_is_not_started_again_and_again(tmp_path: Path) -> None:
    (tmp_path / "proxy.yaml").write_text("listen: nonsense\n")
    code = run(["check", "--config", str(tmp_path / "proxy.yaml")])
    assert only("RestartPreventExitStatus") == str(code)
    assert only("Restart") == "always"


def test_it_is_left_the_time_that_it_takes_to_end() -> None:
    assert int(only("TimeoutStopSec").removesuffix("s")) > STOP_S


def test_the_memory_it_may_take_holds_what_it_is_told_to_keep() -> None:
    kept = Example("systemd/proxy.yaml").load().cache.memory_bytes
    assert OWN_BYTES + kept < bytes_of(only("MemoryHigh")) < bytes_of(only("MemoryMax"))


def test_no_core_is_written_which_would_hold_the_token() -> None:
    assert only("LimitCORE") == "0"


def test_its_sockets_are_where_its_configuration_listens() -> None:
    config = Example("systemd/proxy.yaml").load()
    lines = (DEPLOY / "systemd/trello-proxy.socket").read_text().splitlines()
    streams = [line.partition("=")[2] for line in lines if line.startswith("ListenStream=")]
    assert streams == [str(config.listen), str(config.admin.listen)]


def test_systemd_is_told_that_it_is_ready_and_alive() -> None:
    assert only("Type") == "notify"
    assert only("WatchdogSec") == "30s"
