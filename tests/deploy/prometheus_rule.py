"""PrometheusRule: the groups of rules.yml and alerts.yml, as the operator takes them.

`python -m tests.deploy.prometheus_rule` writes it; test_kubernetes.py compares.
"""

from tests.deploy.prometheus import DEPLOY

PATH = DEPLOY / "kubernetes" / "components" / "monitoring" / "prometheusrule.yaml"
_HEAD = """\
# Written by python -m tests.deploy.prometheus_rule from ../../../prometheus/{rules,alerts}.yml.
apiVersion: monitoring.coreos.com/v1
kind: PrometheusRule
metadata:
  name: trello-proxy
  labels: {app.kubernetes.io/name: trello-proxy}
spec:
  groups:
"""


def text() -> str:
    """The manifest."""
    rules = [(DEPLOY / "prometheus" / name).read_text() for name in ("rules.yml", "alerts.yml")]
    groups = [rule.partition("groups:\n")[2] for rule in rules]
    lines = "".join(groups).splitlines()
    return _HEAD + "".join(f"  {line}".rstrip() + "\n" for line in lines)


if __name__ == "__main__":
    PATH.write_text(text())
