"""The dashboard of boards: of the metrics that there are, explained; see test_prometheus.py too."""

import json
import re
import subprocess
from pathlib import Path

import pytest

from proxy.status.board_metrics import BOARD_METRICS
from tests.deploy.examples import document
from tests.deploy.prometheus import DEPLOY, MISSING, PROMTOOL
from tests.deploy.test_prometheus import questions

DASHBOARD = json.loads((DEPLOY / "grafana" / "boards.json").read_text())
PANELS = DASHBOARD["panels"]
QUERIES = [target["expr"] for panel in PANELS for target in panel["targets"]]


def test_every_metric_is_on_it_and_no_other() -> None:
    shown = set(re.findall(r"\btrello_\w+", "".join(QUERIES)))
    assert shown == {each.name for each in BOARD_METRICS}


def test_every_query_keeps_to_what_is_chosen_and_counts_nodes_of_a_fleet_once() -> None:
    chosen = '{job=~"$job", instance=~"$instance", board=~"$board"}'
    for query in QUERIES:
        assert chosen in query
        assert re.search(r"max by \(board(, list)?\) \(trello_", query)


def test_every_panel_is_explained_and_none_lies_on_another() -> None:
    taken = set[tuple[int, int]]()
    for panel in PANELS:
        assert panel["description"].endswith(".")
        assert panel["fieldConfig"]["defaults"]["unit"]
        assert panel["fieldConfig"]["defaults"]["noValue"] == "\N{EN DASH}"
        at = panel["gridPos"]
        cells = {(at["x"] + x, at["y"] + y) for x in range(at["w"]) for y in range(at["h"])}
        assert not taken & cells
        assert max(x for x, _ in cells) < 24
        taken |= cells
    assert len({panel["id"] for panel in PANELS}) == len(PANELS)


@pytest.mark.skipif(PROMTOOL is None, reason=MISSING)
def test_promtool_takes_the_queries_of_both_dashboards(tmp_path: Path) -> None:
    rules = [
        {"record": f"panel:{number}", "expr": query}
        for number, query in enumerate(questions().values())
    ]
    file = tmp_path / "panels.json"
    file.write_text(json.dumps({"groups": [{"name": "panels", "rules": rules}]}))
    done = subprocess.run(
        [str(PROMTOOL), "check", "rules", "--lint=none", str(file)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert f"{len(rules)} rules found" in done.stdout


def test_boards_are_a_job_of_their_own_everywhere() -> None:
    jobs = document("prometheus/prometheus.yml")["scrape_configs"]
    (boards,) = [each for each in jobs if each.get("metrics_path") == "/metrics/boards"]
    assert boards["job_name"] == "trello-boards"
    monitor = document("kubernetes/components/boards/servicemonitor.yaml")["spec"]
    (endpoint,) = monitor["endpoints"]
    assert endpoint["path"] == boards["metrics_path"]
    assert {"targetLabel": "job", "replacement": boards["job_name"]} in endpoint["relabelings"]
