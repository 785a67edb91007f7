"""The compose file: sound, closed, and with a dashboard that finds its data."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from proxy.app.from_config import build_guard
from proxy.config.units import size
from tests.deploy.examples import (
    DEPLOY,
    Example,
    document,
)
from tests.deploy.test_unit import OWN_BYTES
from tests.deploy.tools import told, tool

FILE = DEPLOY / "compose.yaml"
COMPOSE = document("compose.yaml")
SERVICES: dict[str, Any] = COMPOSE["services"]
PROVISIONING = "grafana/provisioning"


def mounts(service: str) -> Iterator[tuple[str, str]]:
    """What is mounted where."""
    for volume in SERVICES[service]["volumes"]:
        source, target = volume.split(":")[:2]
        yield source, target


def test_it_is_as_the_specification_has_it() -> None:
    check = tool("check-jsonschema", "pip install '.[test]'")
    code, said = told(check, "--builtin-schema", "vendor.compose-spec", str(FILE))
    assert code == 0, said


def test_a_key_that_is_none_would_be_found(tmp_path: Path) -> None:
    check = tool("check-jsonschema", "pip install '.[test]'")
    wrong = tmp_path / "compose.yaml"
    wrong.write_text(FILE.read_text().replace("read_only:", "readonly:"))
    code, said = told(check, "--builtin-schema", "vendor.compose-spec", str(wrong))
    assert code != 0
    assert "readonly" in said


def test_docker_reads_it() -> None:
    docker = tool("docker", "its tests need Docker's own compose")
    if told(docker, "compose", "version")[0] != 0:
        pytest.skip("this docker has no compose: install its plugin")
    code, said = told(docker, "compose", "--file", str(FILE), "config", "--quiet")
    assert code == 0, said


@pytest.mark.parametrize("name", SERVICES)
def test_what_is_mounted_is_there(name: str) -> None:
    for source, _ in mounts(name):
        assert source in COMPOSE["volumes"] or (DEPLOY / source).is_dir(), source


@pytest.mark.parametrize("name", SERVICES)
def test_a_service_has_no_more_than_it_needs(name: str) -> None:
    service = SERVICES[name]
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert "mem_limit" in service


@pytest.mark.parametrize("name", SERVICES)
def test_only_this_machine_reaches_it_unless_the_operator_says_so(name: str) -> None:
    for port in SERVICES[name]["ports"]:
        assert port.startswith(("127.0.0.1:", "${TRELLO_PROXY_ADDRESS:-127.0.0.1}:"))


@pytest.mark.parametrize("name", ["prometheus", "grafana"])
def test_an_image_is_of_one_version(name: str) -> None:
    assert re.fullmatch(r"[a-z]+/[a-z]+:v?\d+\.\d+\.\d+", SERVICES[name]["image"])


def test_the_operators_port_is_not_published() -> None:
    config = Example("docker/proxy.yaml").load()
    (port,) = SERVICES["proxy"]["ports"]
    assert port.rpartition(":")[2] == str(config.listen.port)


def test_what_a_machine_is_called_changes_no_file_of_the_checkout() -> None:
    assert SERVICES["proxy"]["environment"] == ["TRELLO_PROXY_PUBLIC_URL"]
    assert ".env" in (DEPLOY / ".gitignore").read_text().split()


def test_the_secrets_are_where_the_configuration_looks_for_them() -> None:
    example = Example("docker/proxy.yaml")
    example.load()
    assert example.secrets == [f"/run/secrets/{name}" for name in SERVICES["proxy"]["secrets"]]
    assert {secret["file"].rpartition("/")[0] for secret in COMPOSE["secrets"].values()} == {
        "./secrets"
    }
    assert "secrets/" in (DEPLOY / ".gitignore").read_text().splitlines()


def test_what_is_kept_is_a_volume() -> None:
    config = Example("docker/proxy.yaml").load()
    assert ("cache", config.cache.directory) in mounts("proxy")
    assert ("./docker", "/etc/trello-proxy") in mounts("proxy")


def test_the_memory_it_may_take_holds_what_it_is_told_to_keep() -> None:
    limit = size(SERVICES["proxy"]["mem_limit"].upper().replace("M", "MiB"))
    assert OWN_BYTES + Example("docker/proxy.yaml").load().cache.memory_bytes < limit * 2 // 3


def test_prometheus_asks_where_the_metrics_are_and_is_answered() -> None:
    config = Example("docker/proxy.yaml").load()
    own, boards = document("prometheus/prometheus.yml")["scrape_configs"]
    assert own["static_configs"] == boards["static_configs"]
    ((target,),) = (each["targets"] for each in own["static_configs"])
    assert config.admin.listen is not None
    assert target == f"proxy:{config.admin.listen.port}"
    build_guard(config).check_host(target, "172.18.0.2", "/metrics")
    assert ("./prometheus", "/etc/prometheus") in mounts("prometheus")
    assert "--config.file=/etc/prometheus/prometheus.yml" in SERVICES["prometheus"]["command"]


def test_grafana_asks_prometheus() -> None:
    (path,) = (DEPLOY / PROVISIONING / "datasources").iterdir()
    (source,) = document(f"{PROVISIONING}/datasources/{path.name}")["datasources"]
    assert (source["type"], source["url"]) == ("prometheus", "http://prometheus:9090")


def test_the_dashboard_is_where_grafana_looks_for_it() -> None:
    (path,) = (DEPLOY / PROVISIONING / "dashboards").iterdir()
    (provider,) = document(f"{PROVISIONING}/dashboards/{path.name}")["providers"]
    (mounted,) = [target for source, target in mounts("grafana") if source == "./grafana"]
    environment = SERVICES["grafana"]["environment"]
    assert provider["options"]["path"] == mounted
    assert environment["GF_PATHS_PROVISIONING"] == f"{mounted}/provisioning"
    home = environment["GF_DASHBOARDS_DEFAULT_HOME_DASHBOARD_PATH"]
    assert home == f"{mounted}/dashboard.json"


def test_grafana_has_no_password_to_guess() -> None:
    environment = SERVICES["grafana"]["environment"]
    assert environment["GF_AUTH_ANONYMOUS_ORG_ROLE"] == "Viewer"
    assert environment["GF_AUTH_BASIC_ENABLED"] == "false"
    assert environment["GF_SECURITY_DISABLE_INITIAL_ADMIN_CREATION"] == "true"
    assert not [name for name in environment if "PASSWORD" in name]
