"""The fleet's deployment files: valid, and consistent with each other and with their proxy.yaml."""

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from proxy.app.from_config import build_guard, configuration_warnings
from proxy.config.units import size
from tests.deploy.examples import DEPLOY, ROOT, Example, document, documents
from tests.deploy.test_kubernetes import VERSION
from tests.deploy.test_unit import OWN_BYTES, UNIT
from tests.deploy.tools import told, tool

FOLDER = DEPLOY / "fleet"
COMPOSE = document("fleet/compose.yaml")
SERVICES: dict[str, Any] = COMPOSE["services"]
PROXIES = ["proxy-1", "proxy-2"]
EXAMPLES = [f"fleet/{way}/proxy.yaml" for way in ("docker", "kubernetes", "systemd")]
BALANCER = (FOLDER / "docker/haproxy.cfg").read_text()
PRE_STOP_S, GRACE_S, STOP_S = 5, 25, 10


@pytest.fixture(scope="module")
def manifests(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What kubectl applies, by kind and name."""
    kubectl = tool("kubectl", "its tests need kubectl")
    code, said = told(kubectl, "kustomize", str(FOLDER / "kubernetes"))
    assert code == 0, said
    applied = tmp_path_factory.mktemp("fleet") / "applied.yaml"
    applied.write_text(said)
    check = tool("kubernetes-validate", "pip install '.[test]'")
    code, heard = told(check, "--strict", "--kubernetes-version", VERSION, str(applied))
    assert code == 0, heard
    return {f"{each['kind']}/{each['metadata']['name']}": each for each in yaml.safe_load_all(said)}


@pytest.fixture
def deployment(manifests: dict[str, Any]) -> Any:
    return manifests["Deployment/trello-proxy"]["spec"]


def volume(pod: Any, name: str) -> Any:
    (found,) = (each for each in pod["volumes"] if each["name"] == name)
    return found


@pytest.mark.parametrize("path", EXAMPLES)
def test_an_example_is_a_node_of_a_fleet(path: str) -> None:
    example = Example(path)
    config = example.load()
    assert config.fleet.listen is not None
    assert config.fleet.listen.port == 9080
    assert config.fleet.key is not None
    assert config.cache.backend == "redis"
    assert any(secret.endswith("/fleet-key") for secret in example.secrets)
    assert not [each for each in configuration_warnings(config, 4) if "are refused" in each]


def test_compose_is_as_the_specification_has_it() -> None:
    check = tool("check-jsonschema", "pip install '.[test]'")
    file = str(FOLDER / "compose.yaml")
    code, said = told(check, "--builtin-schema", "vendor.compose-spec", file)
    assert code == 0, said


@pytest.mark.parametrize("name", SERVICES)
def test_a_service_has_no_more_than_it_needs(name: str) -> None:
    service = SERVICES[name]
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert "mem_limit" in service
    assert "depends_on" not in service or set(service["depends_on"]) <= set(SERVICES)


def test_only_the_balancer_is_published_and_on_this_machine_unless_configured() -> None:
    published = {name: each["ports"] for name, each in SERVICES.items() if "ports" in each}
    assert published == {"balancer": ["${TRELLO_PROXY_ADDRESS:-127.0.0.1}:8080:8080"]}


@pytest.mark.parametrize("name", PROXIES)
def test_a_proxy_in_compose_has_its_address_directory_and_secrets(name: str) -> None:
    service, example = SERVICES[name], Example("fleet/docker/proxy.yaml")
    config = example.load()
    assert config.fleet.listen is not None
    address = f"{name}:{config.fleet.listen.port}"
    assert service["environment"] == {"FLEET_ADDRESS": address, "TRELLO_PROXY_PUBLIC_URL": None}
    assert example.secrets == [f"/run/secrets/{each}" for each in service["secrets"]]
    cache = f"cache-{name[-1]}"
    assert f"{cache}:{config.cache.directory}" in service["volumes"]
    assert cache in COMPOSE["volumes"]
    limit = size(service["mem_limit"].upper().replace("M", "MiB"))
    assert OWN_BYTES + config.cache.memory_bytes < limit * 2 // 3


def test_valkey_and_the_nodes_speak_on_a_network_without_a_way_out() -> None:
    assert COMPOSE["networks"]["nodes"] == {"internal": True}
    assert SERVICES["valkey"]["networks"] == ["nodes"]
    assert "trello" not in SERVICES["balancer"]["networks"]


@pytest.mark.parametrize("command", [SERVICES["valkey"]["command"], None])
def test_valkey_has_room_for_what_the_proxy_stores_and_evicts_nothing(command: Any) -> None:
    if command is None:
        pod = documents("fleet/kubernetes/valkey.yaml")[0]["spec"]["template"]["spec"]
        command = pod["containers"][0]["command"]
    stored = Example("fleet/docker/proxy.yaml").load().redis.memory_bytes
    limit = size(command[command.index("--maxmemory") + 1].upper().replace("MB", "MiB"))
    assert stored * 5 // 4 <= limit
    assert command[command.index("--maxmemory-policy") + 1] == "noeviction"


def test_haproxy_accepts_the_balancers_file() -> None:
    haproxy = tool("haproxy", "apt-get install haproxy")
    code, said = told(haproxy, "-c", "-f", str(FOLDER / "docker/haproxy.cfg"))
    assert code == 0, said


def test_the_balancer_knows_all_nodes_checks_them_and_sends_nothing_twice() -> None:
    config = Example("fleet/docker/proxy.yaml").load()
    assert config.admin.listen is not None
    servers = re.findall(r"(?m)^ +server \S+ (\S+):(\d+)$", BALANCER)
    assert servers == [(name, str(config.listen.port)) for name in PROXIES]
    assert f"check port {config.admin.listen.port}" in BALANCER
    build_guard(config).check_host("localhost", "172.18.0.2", "/readyz")
    assert re.findall(r"retry-on (.*)", BALANCER) == ["conn-failure"]


def test_three_replicas_are_replaced_one_by_one_and_none_is_missed(deployment: Any) -> None:
    assert deployment["replicas"] == 3
    assert deployment["strategy"] == {
        "type": "RollingUpdate",
        "rollingUpdate": {"maxUnavailable": 0, "maxSurge": 1},
    }
    pod = deployment["template"]["spec"]
    (container,) = pod["containers"]
    assert container["lifecycle"]["preStop"] == {"sleep": {"seconds": PRE_STOP_S}}
    assert pod["terminationGracePeriodSeconds"] == GRACE_S
    assert PRE_STOP_S + STOP_S < GRACE_S
    assert container["readinessProbe"]["httpGet"]["path"] == "/readyz"


def test_a_pod_has_its_address_directory_and_secrets(deployment: Any) -> None:
    example, pod = Example("fleet/kubernetes/proxy.yaml"), deployment["template"]["spec"]
    config, (container,) = example.load(), pod["containers"]
    assert config.fleet.listen is not None
    variables = {each["name"]: each for each in container["env"]}
    assert variables["FLEET_ADDRESS"]["value"] == f"$(POD_IP):{config.fleet.listen.port}"
    assert variables["POD_IP"]["valueFrom"] == {"fieldRef": {"fieldPath": "status.podIP"}}
    assert [*variables].index("POD_IP") < [*variables].index("FLEET_ADDRESS")
    ports = {each["name"]: each["containerPort"] for each in container["ports"]}
    assert ports == {"http": 8080, "admin": 8081, "fleet": config.fleet.listen.port}
    room = size(f"{volume(pod, 'cache')['emptyDir']['sizeLimit']}B")
    assert config.attachments.disk_bytes < room * 9 // 10
    names = [each["path"] for each in volume(pod, "credentials")["secret"]["items"]]
    assert example.secrets == [f"/run/secrets/trello-proxy/{name}" for name in names]


def test_no_volume_is_claimed_that_pods_would_share(manifests: dict[str, Any]) -> None:
    assert not [name for name in manifests if name.startswith("PersistentVolumeClaim/")]


def test_nodes_reach_each_other_and_valkey_and_nobody_else_does(manifests: dict[str, Any]) -> None:
    proxy, valkey = "trello-proxy", "trello-proxy-valkey"
    labels = {
        name: manifests[f"Deployment/{name}"]["spec"]["template"]["metadata"]["labels"]
        for name in (proxy, valkey)
    }

    def peers(rules: Any, side: str, port: object) -> list[Any]:
        found = [each for each in rules if port in [p["port"] for p in each["ports"]]]
        return [peer["podSelector"]["matchLabels"] for each in found for peer in each[side]]

    policy = manifests[f"NetworkPolicy/{proxy}"]["spec"]
    assert peers(policy["ingress"], "from", "fleet") == [labels[proxy]]
    assert peers(policy["egress"], "to", 9080) == [labels[proxy]]
    assert peers(policy["egress"], "to", 6379) == [labels[valkey]]
    guarded = manifests[f"NetworkPolicy/{valkey}"]["spec"]
    assert guarded["podSelector"]["matchLabels"] == labels[valkey]
    assert peers(guarded["ingress"], "from", "redis") == [labels[proxy]]


def test_the_service_of_valkey_is_where_the_nodes_look_for_it(manifests: dict[str, Any]) -> None:
    url = Example("fleet/kubernetes/proxy.yaml").load().cache.redis_url
    service = manifests["Service/trello-proxy-valkey"]
    (port,) = service["spec"]["ports"]
    assert url == f"redis://{service['metadata']['name']}:{port['port']}/0"


def test_drained_machines_leave_nodes_in_place(manifests: dict[str, Any]) -> None:
    budget = manifests["PodDisruptionBudget/trello-proxy"]["spec"]
    assert budget["maxUnavailable"] == 1
    labels = manifests["Deployment/trello-proxy"]["spec"]["selector"]["matchLabels"]
    assert budget["selector"]["matchLabels"] == labels


def test_systemd_accepts_the_unit_with_what_a_node_needs_besides(tmp_path: Path) -> None:
    analyze = tool("systemd-analyze", "apt-get install systemd")
    unit = tmp_path / UNIT.name
    unit.write_text(UNIT.read_text().replace("/opt/trello-proxy/bin/trello-proxy", "/bin/true"))
    drop_in = tmp_path / f"{UNIT.name}.d"
    drop_in.mkdir()
    added = (FOLDER / "systemd/fleet.conf").read_text()
    (drop_in / "fleet.conf").write_text(added)
    assert told(analyze, "verify", str(unit)) == (0, "")
    example = Example("fleet/systemd/proxy.yaml")
    example.load()
    passed = re.findall(r"LoadCredential=([\w-]+):", UNIT.read_text() + added)
    assert {path.rpartition("/")[2] for path in example.secrets} == set(passed)


def test_the_image_can_speak_to_redis() -> None:
    assert "'.[redis,resolve]'" in (ROOT / "deploy/Dockerfile").read_text()
