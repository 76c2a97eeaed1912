"""The dashboard for Grafana, made of the panels: ``deploy/grafana/d365-graphql.json``, which a test compares."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from .panels import SECTIONS, Panel, Section, promql

UID = "d365-graphql-gateway"
WIDTH, HEIGHT, COLUMNS = 6, 7, 4
"""Of a panel, in units of Grafana's grid, and panels in a row."""
JOB = 'job=~"$job"'
_UNITS = {
    "perSecond": "ops",
    "seconds": "s",
    "bytes": "bytes",
    "share": "percentunit",
    "number": "short",
}
_SOURCE = {"type": "prometheus", "uid": "${datasource}"}


def dashboard() -> Mapping[str, Any]:
    """Return the dashboard as Grafana imports it (schema 39: Grafana 10 and newer)."""
    return {
        "uid": UID,
        "title": "D365 GraphQL gateway",
        "tags": ["d365", "graphql"],
        "schemaVersion": 39,
        "editable": True,
        "refresh": "30s",
        "time": {"from": "now-1h", "to": "now"},
        "timezone": "browser",
        "templating": {"list": [_data_source(), _jobs()]},
        "annotations": {"list": []},
        "panels": list(_panels()),
    }


def _data_source() -> Mapping[str, Any]:
    return {
        "name": "datasource",
        "label": "Data source",
        "type": "datasource",
        "query": "prometheus",
    }


def _jobs() -> Mapping[str, Any]:
    query = "label_values(d365_gateway_info, job)"
    return {
        "name": "job",
        "label": "Job",
        "type": "query",
        "datasource": _SOURCE,
        "query": {"query": query, "refId": "jobs"},
        "definition": query,
        "refresh": 2,
        "includeAll": True,
        "multi": True,
        "allValue": ".*",
        "current": {"text": "All", "value": "$__all"},
    }


def _panels() -> Iterator[Mapping[str, Any]]:
    number, top = 1, 0
    for section in SECTIONS:
        yield _row(section, number, top)
        number, top = number + 1, top + 1
        for index, panel in enumerate(section.panels):
            place = {
                "x": index % COLUMNS * WIDTH,
                "y": top + index // COLUMNS * HEIGHT,
                "w": WIDTH,
                "h": HEIGHT,
            }
            yield _panel(panel, number, place)
            number += 1
        top += -(-len(section.panels) // COLUMNS) * HEIGHT


def _row(section: Section, number: int, top: int) -> Mapping[str, Any]:
    place = {"x": 0, "y": top, "w": 24, "h": 1}
    return {
        "id": number,
        "type": "row",
        "title": section.title,
        "collapsed": False,
        "gridPos": place,
        "panels": [],
    }


def _panel(panel: Panel, number: int, place: Mapping[str, int]) -> Mapping[str, Any]:
    queries = enumerate(promql(panel, JOB))
    return {
        "id": number,
        "type": "timeseries",
        "title": panel.title,
        "description": panel.text,
        "datasource": _SOURCE,
        "gridPos": place,
        "fieldConfig": {
            "defaults": {
                "unit": _UNITS[panel.unit],
                "min": 0,
                "custom": {"lineWidth": 1, "fillOpacity": 10, "showPoints": "never"},
            },
            "overrides": [],
        },
        "options": {"legend": {"displayMode": "list", "placement": "bottom"}},
        "targets": [
            {
                "refId": chr(ord("A") + index),
                "datasource": _SOURCE,
                "expr": expression,
                "legendFormat": legend,
            }
            for index, (expression, legend) in queries
        ],
    }
