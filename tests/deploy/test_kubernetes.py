"""The manifests: valid, without rights, and each at one with the others."""

import re
import shutil
from ipaddress import ip_address, ip_network
from pathlib import Path
from typing import Any

import pytest
import yaml

from proxy.app.from_config import build_guard
from proxy.config.units import size
from tests.deploy import prometheus_rule
from tests.deploy.examples import (
    DEPLOY,
    Example,
    document,
    documents,
)
from tests.deploy.test_image import given
from tests.deploy.test_unit import OWN_BYTES
from tests.deploy.tools import told, tool

FOLDER = DEPLOY / "kubernetes"
KUSTOMIZATION = document("kubernetes/kustomization.yaml")
VERSION = "1.30"
POD = document("kubernetes/deployment.yaml")["spec"]["template"]
(CONTAINER,) = POD["spec"]["containers"]
INSIDE = (
    "10.0.0.1", "100.64.0.1", "127.0.0.1", "169.254.169.254", "172.16.0.1", "192.168.0.1",
    "::1", "fd00:ec2::254", "fe80::1", "64:ff9b::a9fe:a9fe",
)  # fmt: skip


def volume(name: str) -> dict[str, Any]:
    (found,) = (each for each in POD["spec"]["volumes"] if each["name"] == name)
    return dict(found)


def mounted(name: str) -> str:
    (found,) = (each for each in CONTAINER["volumeMounts"] if each["name"] == name)
    return str(found["mountPath"])


def ports() -> dict[str, int]:
    return {port["name"]: port["containerPort"] for port in CONTAINER["ports"]}


@pytest.mark.parametrize("path", KUSTOMIZATION["resources"])
def test_it_is_as_kubernetes_has_it_and_holds_nothing_else(path: str) -> None:
    check = tool("kubernetes-validate", "pip install '.[test]'")
    code, said = told(check, "--strict", "--kubernetes-version", VERSION, str(FOLDER / path))
    assert code == 0, said
    assert said.count("passed") == len(documents(f"kubernetes/{path}"))


def test_a_key_that_is_none_would_be_found(tmp_path: Path) -> None:
    check = tool("kubernetes-validate", "pip install '.[test]'")
    wrong = tmp_path / "service.yaml"
    wrong.write_text((FOLDER / "service.yaml").read_text().replace("targetPort", "target"))
    code, said = told(check, "--strict", "--kubernetes-version", VERSION, str(wrong))
    assert code != 0
    assert "target" in said


def test_every_manifest_is_applied_but_the_one_that_needs_an_operator() -> None:
    there = {path.name for path in FOLDER.iterdir()} - {"kustomization.yaml", "proxy.yaml"}
    assert there - set(KUSTOMIZATION["resources"]) == {"components"}
    for folder in (FOLDER / "components").iterdir():
        component = document(f"kubernetes/components/{folder.name}/kustomization.yaml")
        assert component["kind"] == "Component"
        there = {path.name for path in folder.iterdir()} - {"kustomization.yaml"}
        assert there == set(component["resources"])


def test_the_ingress_leads_to_the_clients_port_under_the_public_name() -> None:
    spec = document("kubernetes/components/ingress/ingress.yaml")["spec"]
    (rule,) = spec["rules"]
    url = document("kubernetes/proxy.yaml")["public_url"]
    assert [f"https://{host}" for host in spec["tls"][0]["hosts"]] == [f"https://{rule['host']}"]
    assert rule["host"] in url
    (path,) = rule["http"]["paths"]
    assert path["backend"]["service"] == {"name": "trello-proxy", "port": {"name": "http"}}


def test_the_route_of_a_gateway_leads_there_too() -> None:
    spec = document("kubernetes/components/gateway/httproute.yaml")["spec"]
    (host,) = spec["hostnames"]
    assert f"//{host}" in document("kubernetes/proxy.yaml")["public_url"]
    ((backend,),) = [rule["backendRefs"] for rule in spec["rules"]]
    service, _ = documents("kubernetes/service.yaml")
    (port,) = [each["port"] for each in service["spec"]["ports"]]
    assert backend == {"name": service["metadata"]["name"], "port": port}


@pytest.mark.parametrize("name", ["boards", "gateway", "ingress", "monitoring"])
def test_kubectl_takes_each_component(tmp_path: Path, name: str) -> None:
    kubectl = tool("kubectl", "its tests need kubectl")
    shutil.copytree(FOLDER, tmp_path / "kubernetes")
    file = tmp_path / "kubernetes" / "kustomization.yaml"
    file.write_text(f"{file.read_text()}components: [components/{name}]\n")
    code, said = told(kubectl, "kustomize", str(file.parent))
    assert code == 0, said
    kinds = {each["kind"] for each in yaml.safe_load_all(said)}
    own = document(f"kubernetes/components/{name}/kustomization.yaml")["resources"]
    assert {document(f"kubernetes/components/{name}/{file}")["kind"] for file in own} <= kinds


def test_the_operators_rules_are_those_of_prometheus() -> None:
    assert prometheus_rule.PATH.read_text() == prometheus_rule.text()
    rule = document("kubernetes/components/monitoring/prometheusrule.yaml")
    assert len(rule["spec"]["groups"]) == 2


def test_the_job_is_the_one_that_the_alerts_ask_for() -> None:
    monitor = document("kubernetes/components/monitoring/servicemonitor.yaml")
    (admin,) = (
        each
        for each in documents("kubernetes/service.yaml")
        if each["metadata"]["name"] == "trello-proxy-admin"
    )
    job = admin["metadata"]["labels"][monitor["spec"]["jobLabel"]]
    assert f'job="{job}"' in (DEPLOY / "prometheus" / "alerts.yml").read_text()


def test_kubectl_puts_them_together() -> None:
    kubectl = tool("kubectl", "its tests need kubectl")
    code, said = told(kubectl, "kustomize", str(FOLDER))
    assert code == 0, said
    (name,) = re.findall(r"^  name: (trello-proxy-[a-z0-9]{10})$", said, re.MULTILINE)
    assert f"configMap:\n          name: {name}" in said, "a changed proxy.yaml is a new pod"
    assert f"image: {KUSTOMIZATION['images'][0]['newName']}:" in said


def test_the_pod_has_no_rights() -> None:
    pod, container = POD["spec"]["securityContext"], CONTAINER["securityContext"]
    assert pod["runAsNonRoot"] is True
    assert pod["seccompProfile"] == {"type": "RuntimeDefault"}
    assert POD["spec"]["automountServiceAccountToken"] is False
    assert container == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }


def test_it_runs_as_the_images_user_who_may_write_the_volume() -> None:
    pod = POD["spec"]["securityContext"]
    assert given("USER") == [f"{pod['runAsUser']}:{pod['runAsGroup']}"]
    assert pod["fsGroup"] == pod["runAsGroup"]


def test_there_is_never_a_second_one() -> None:
    """One process owns the directory, and knows what is left of the account's limits."""
    spec = document("kubernetes/deployment.yaml")["spec"]
    assert (spec["replicas"], spec["strategy"]) == (1, {"type": "Recreate"})


def test_the_ports_are_those_of_the_configuration() -> None:
    config = Example("kubernetes/proxy.yaml").load()
    assert config.admin.listen is not None
    assert ports() == {"http": config.listen.port, "admin": config.admin.listen.port}


@pytest.mark.parametrize(
    ("name", "path"),
    [("startupProbe", "/healthz"), ("livenessProbe", "/healthz"), ("readinessProbe", "/readyz")],
)
def test_the_kubelet_asks_the_operators_port_and_is_answered(name: str, path: str) -> None:
    asked = CONTAINER[name]["httpGet"]
    assert asked == {"path": path, "port": "admin"}
    config = Example("kubernetes/proxy.yaml").load()
    build_guard(config).check_host("10.42.0.7:8081", "10.42.0.7", asked["path"])


def test_it_answers_to_the_services_names() -> None:
    guard = build_guard(Example("kubernetes/proxy.yaml").load())
    for name in ("", ".default", ".default.svc", ".default.svc.cluster.local"):
        guard.check_host(f"trello-proxy{name}", "10.42.0.7", "/1/boards/b")


def test_the_credentials_are_a_secret_that_is_mounted_where_they_are_looked_for() -> None:
    example = Example("kubernetes/proxy.yaml")
    example.load()
    names = [item["path"] for item in volume("credentials")["secret"]["items"]]
    assert example.secrets == [f"{mounted('credentials')}/{name}" for name in names]
    assert "env" not in CONTAINER
    assert not [path for path in FOLDER.rglob("*.yaml") if "kind: Secret\n" in path.read_text()]


def test_what_is_kept_has_room_on_the_claim() -> None:
    config = Example("kubernetes/proxy.yaml").load()
    claim = document("kubernetes/storage.yaml")
    assert volume("cache")["persistentVolumeClaim"]["claimName"] == claim["metadata"]["name"]
    assert mounted("cache") == config.cache.directory
    room = size(f"{claim['spec']['resources']['requests']['storage']}B")
    assert config.cache.disk_bytes + config.attachments.disk_bytes < room * 9 // 10


def test_the_memory_it_may_take_holds_what_it_is_told_to_keep() -> None:
    kept = Example("kubernetes/proxy.yaml").load().cache.memory_bytes
    asked, limit = (size(f"{CONTAINER['resources'][k]['memory']}B") for k in ("requests", "limits"))
    assert OWN_BYTES + kept <= asked < limit * 2 // 3


def test_services_and_monitor_find_the_pod_and_its_ports() -> None:
    labels = POD["metadata"]["labels"].items()
    tools, admin = documents("kubernetes/service.yaml")
    for service, port in ((tools, "http"), (admin, "admin")):
        assert service["spec"]["selector"].items() <= labels
        assert [each["targetPort"] for each in service["spec"]["ports"]] == [port]
    monitor = document("kubernetes/components/monitoring/servicemonitor.yaml")["spec"]
    assert monitor["selector"]["matchLabels"].items() <= admin["metadata"]["labels"].items()
    assert not monitor["selector"]["matchLabels"].items() <= tools["metadata"]["labels"].items()
    assert [each["port"] for each in monitor["endpoints"]] == ["admin"]


def test_only_prometheus_reaches_the_operators_port() -> None:
    tools, prometheus = document("kubernetes/networkpolicy.yaml")["spec"]["ingress"]
    assert ([*tools["ports"]], [*prometheus["ports"]]) == ([{"port": "http"}], [{"port": "admin"}])
    assert len(prometheus["from"]) == 1


@pytest.mark.parametrize("address", INSIDE)
def test_from_the_pod_nothing_inside_is_reached(address: str) -> None:
    names, world = document("kubernetes/networkpolicy.yaml")["spec"]["egress"]
    assert {port["port"] for port in names["ports"]} == {53}
    assert world["ports"] == [{"port": 443, "protocol": "TCP"}]
    blocks = [peer["ipBlock"] for peer in world["to"]]
    allowed = [
        block
        for block in blocks
        if ip_address(address) in ip_network(block["cidr"])
        and not any(ip_address(address) in ip_network(each) for each in block["except"])
    ]
    assert not allowed
    assert len(blocks) == 2
