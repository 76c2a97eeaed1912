"""``gateway.telemetry``: values become the text that Prometheus reads, of one process and of several."""

from __future__ import annotations

import shutil
import subprocess

import pytest
from prometheus_client.parser import text_string_to_metric_families

from gateway.telemetry import catalog
from gateway.telemetry.exposition import DOWN, join, render
from gateway.telemetry.measurements import Measurements
from gateway.telemetry.metric import Distribution

FIRST = """# HELP a_total Things.
# TYPE a_total counter
a_total{b="x} y",c="1"} 1.0
# HELP lag Seconds.
# TYPE lag gauge
lag 2.0
"""
SECOND = FIRST.replace("1.0", "5.0")


def test_buckets_hold_what_is_below_their_bound() -> None:
    cell = Distribution((0.1, 1.0))
    for value in (0.05, 0.1, 0.5, 1.0, 3.0):
        cell.add(value)

    assert cell.cumulative() == (("0.1", 2.0), ("1", 4.0), ("+Inf", 5.0))
    assert cell.total == pytest.approx(4.65)


def test_texts_are_joined_family_by_family() -> None:
    assert join({"0": FIRST, "1": SECOND, "2": ""}) == (
        "# HELP a_total Things.\n"
        "# TYPE a_total counter\n"
        'a_total{worker="0",b="x} y",c="1"} 1.0\n'
        'a_total{worker="1",b="x} y",c="1"} 5.0\n'
        "# HELP lag Seconds.\n"
        "# TYPE lag gauge\n"
        'lag{worker="0"} 2.0\n'
        'lag{worker="1"} 2.0\n'
    )


def test_a_process_that_does_not_answer_is_down() -> None:
    measurements = Measurements()
    measurements.set(catalog.WORKER_UP, 1)
    text = join({"0": render(measurements, of_process=False), "1": DOWN})

    assert 'd365_gateway_worker_up{worker="0"} 1.0\nd365_gateway_worker_up{worker="1"} 0.0' in text


def test_the_text_of_a_process_is_read_by_prometheus() -> None:
    measurements = Measurements()
    for metric in catalog.METRICS:
        labels = ['x "y" \\ z'] * len(metric.labels)
        if metric.kind == "histogram":
            measurements.of(metric).distribution(*labels).add(0.3)
        else:
            measurements.of(metric).value(*labels).add(2)
    text = join({"0": render(measurements)})

    names = {family.name for family in text_string_to_metric_families(text)}
    assert {m.name.removesuffix("_total") for m in catalog.METRICS} <= names
    assert {"process_resident_memory_bytes", "python_gc_collections"} <= names
    promtool = shutil.which("promtool")
    if promtool is not None:
        checked = subprocess.run(
            [promtool, "check", "metrics"], input=text, text=True, capture_output=True, check=False
        )
        assert (checked.returncode, checked.stderr) == (0, "")
