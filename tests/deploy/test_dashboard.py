"""The dashboard: in order, explained, and of metrics that there are; see test_prometheus.py too."""

import json
import re

from tests.deploy.prometheus import DEPLOY
from tests.deploy.test_rules import (
    metrics_in,
    recorded_in,
)
from tests.observability.test_metrics import LABELS

DASHBOARD = json.loads((DEPLOY / "grafana" / "dashboard.json").read_text())
ALL = [each for panel in DASHBOARD["panels"] for each in (panel, *panel.get("panels", ()))]
"""Panels, also those in collapsed rows."""
ROWS = [panel for panel in ALL if panel["type"] == "row"]
PANELS = [panel for panel in ALL if panel["type"] != "row"]
QUERIES = [target["expr"] for panel in PANELS for target in panel["targets"]]


def test_its_rows_are_in_order() -> None:
    assert [row["title"] for row in ROWS] == [
        "Savings",
        "Freshness",
        "Rate limits",
        "Clients",
        "Upstream",
        "Stores",
        "Attachments",
        "Client connections",
        "Fleet",
    ]


def test_every_metric_is_on_it_and_no_other() -> None:
    shown = set[str]().union(*map(metrics_in, QUERIES))
    assert shown == set(LABELS)


def test_it_needs_no_recording_rules() -> None:
    assert not [query for query in QUERIES if recorded_in(query)]


def test_all_rows_but_the_first_two_are_collapsed() -> None:
    assert [row["collapsed"] for row in ROWS] == [False, False, *([True] * (len(ROWS) - 2))]


def test_nothing_is_shown_as_a_dash_and_legends_have_values() -> None:
    for panel in PANELS:
        assert panel["fieldConfig"]["defaults"]["noValue"] == "\N{EN DASH}"
        if panel["type"] == "timeseries":
            assert panel["options"]["legend"]["calcs"] == ["lastNotNull", "max"]


def test_every_query_keeps_to_the_proxies_that_are_chosen() -> None:
    for query in QUERIES:
        selectors = re.findall(r"\b(?:trello_proxy|process)[\w:]*(?!\w)(\{[^}]*\})?", query)
        assert selectors
        assert all('job=~"$job", instance=~"$instance"' in each for each in selectors), query


def test_every_panel_is_explained_and_asks_the_chosen_source() -> None:
    for panel in PANELS:
        assert panel["title"]
        assert panel["description"].endswith("."), panel["title"]
        assert panel["datasource"] == {"type": "prometheus", "uid": "${datasource}"}
        assert panel["fieldConfig"]["defaults"]["unit"], panel["title"]
        refs = [target["refId"] for target in panel["targets"]]
        assert len(set(refs)) == len(refs) > 0


def test_ids_and_titles_are_unique() -> None:
    for key in ("id", "title"):
        values = [panel[key] for panel in ALL]
        assert len(set(values)) == len(values)


def test_panels_lie_side_by_side_and_none_on_another() -> None:
    taken = set[tuple[int, int]]()
    for panel in DASHBOARD["panels"]:
        within = [each["gridPos"]["y"] for each in panel.get("panels", ())]
        assert all(y > panel["gridPos"]["y"] for y in within)
        at = panel["gridPos"]
        assert at["x"] + at["w"] <= 24
        cells = {
            (x, y)
            for x in range(at["x"], at["x"] + at["w"])
            for y in range(at["y"], at["y"] + at["h"])
        }
        assert not taken & cells, panel["title"]
        taken |= cells
