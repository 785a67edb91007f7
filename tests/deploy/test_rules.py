"""The rules and alerts are what Prometheus takes, are tried, and are explained."""

import re
import subprocess

import pytest
import yaml

from tests.deploy.prometheus import (
    DEPLOY,
    MISSING,
    PROMTOOL,
)
from tests.observability.test_metrics import LABELS

RULES = DEPLOY / "prometheus"
ALERTS = [
    rule
    for group in yaml.safe_load((RULES / "alerts.yml").read_text())["groups"]
    for rule in group["rules"]
]
BY_NAME = {rule["alert"]: rule for rule in ALERTS}
COMMANDS = (
    "check rules rules.yml alerts.yml",
    "check config prometheus.yml",
    "test rules alerts_test.yml",
)
SUFFIXES = ("_bucket", "_count", "_sum", "")


def metrics_in(expression: str) -> set[str]:
    """The proxy's own metrics that it asks for, histograms by their name."""
    found = set[str]()
    for name in re.findall(r"(?<![:\w])trello_proxy_\w+(?![:\w])", expression):
        known = [name.removesuffix(each) for each in SUFFIXES if name.removesuffix(each) in LABELS]
        found.add(known[0] if known else name)
    return found


def recorded_in(expression: str) -> set[str]:
    """What it asks of the recording rules."""
    return set(re.findall(r"\btrello_proxy:[\w:]+", expression))


def recorded() -> dict[str, str]:
    """The recording rules, by name."""
    groups = yaml.safe_load((RULES / "rules.yml").read_text())["groups"]
    return {rule["record"]: rule["expr"] for group in groups for rule in group["rules"]}


@pytest.mark.skipif(PROMTOOL is None, reason=MISSING)
@pytest.mark.parametrize("command", COMMANDS)
def test_promtool_is_content(command: str) -> None:
    done = subprocess.run(
        [str(PROMTOOL), *command.split()], cwd=RULES, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_every_alert_has_a_test_of_its_own_and_is_silent_at_rest() -> None:
    listed = yaml.safe_load((RULES / "alerts_test.yml").read_text())["tests"]
    tests = {each["name"]: each for each in listed}
    rest = tests.pop("an hour at rest")["alert_rule_test"]
    assert {each["alertname"] for each in rest} == set(BY_NAME) == set(tests)
    assert not [each for each in rest if "exp_alerts" in each]
    for name, test in tests.items():
        before, after = test["alert_rule_test"]
        assert before["alertname"] == after["alertname"] == name
        assert "exp_alerts" not in before
        assert len(after["exp_alerts"]) == 1


@pytest.mark.parametrize("name", BY_NAME)
def test_an_alert_says_how_urgent_it_is_and_where_to_read_on(name: str) -> None:
    alert = BY_NAME[name]
    assert alert["labels"] in ({"severity": "critical"}, {"severity": "warning"})
    assert set(alert["annotations"]) == {"summary", "description", "runbook_url"}
    assert alert["annotations"]["runbook_url"] == (
        f"http://{{{{ $labels.instance }}}}/-/runbook#{name.lower()}"
    )


def test_the_runbook_has_a_paragraph_for_each_alert_and_no_other() -> None:
    section = (DEPLOY.parent / "proxy" / "docs" / "alerts.md").read_text()
    paragraphs = dict(re.findall(r"\n## (\w+)\n\n((?:[^#\n].*\n)+)", section))
    assert list(paragraphs) == list(BY_NAME)
    links = re.findall(r"\]\(#(\w+)\)", section)
    assert set(links) <= {name.lower() for name in BY_NAME}


def test_whatever_is_asked_for_is_there() -> None:
    rules = recorded()
    expressions = [*rules.values(), *(alert["expr"] for alert in ALERTS)]
    for expression in expressions:
        assert metrics_in(expression) <= set(LABELS)
        assert recorded_in(expression) <= set(rules)
