"""``d365-graphql size``: an estimate for options, and for a gateway that measures itself."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import httpx
import pytest

from gateway.sizing import measured_load
from tests.support.changing_metadata import csdl
from tests.support.measured_gateway import measured_gateway
from tests.support.process import Finished, invoke

QUERY = "{ customersV3(first: 5) { nodes { customerAccount } } }"


def size(folder: Path, *arguments: str, **variables: str) -> Any:
    done = invoke(folder, "size", "--json", *arguments, **variables)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_options_and_settings_are_what_it_reckons_with(tmp_path: Path) -> None:
    document = tmp_path / "m.xml"
    document.write_text(csdl("Name", sets=("Things", "Places", "Notes")))
    found = size(
        tmp_path,
        *("--operations", "50", "--upstream-ms", "200", "--watches", "4", "--workers", "1"),
        *("--metadata", str(document)),
        D365_INCLUDE="Things, Places",
        D365_SUBSCRIPTIONS__INTERVAL="2",
        D365_CACHE__TTL="60",
    )

    assert found["load"]["entity_sets"] == 2
    assert (found["load"]["operations"], found["load"]["upstream_seconds"]) == (50, 0.2)
    assert (found["replicas"], found["workers"]) == (2, 1)
    assert found["upstream"]["requests"] == pytest.approx(300 * (50 * 1.5 + 4 / 2))
    without = size(tmp_path, "--workers", "1")
    assert found["memoryMiB"] > without["memoryMiB"] - 128


def test_people_read_the_load_the_needs_and_why(tmp_path: Path) -> None:
    done = invoke(tmp_path, "size", "--operations", "50")
    lines = [line.split("  ")[0] for line in done.stdout.splitlines()]

    assert done.returncode == 0
    assert {"operations", "replicas", "memory of a replica"} <= set(lines)
    assert "* 0.0" in done.stdout
    assert "! " in done.stdout


@pytest.mark.slow
def test_the_load_of_a_gateway_is_that_of_its_metrics(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(measured_load, "LEAST", 20)
    with measured_gateway() as (api, admin), httpx.Client(base_url=api) as http:
        body = {"query": QUERY}
        for _ in range(20):
            http.post("/graphql", json=body).raise_for_status()
        text = httpx.get(f"{admin}/metrics").raise_for_status().text
        found = size(tmp_path, "--metrics", f"{admin}/metrics", "--callers", "7", "--peak", "2")
        too_few = few(tmp_path, f"{admin}/metrics", "--over", "0.01")
    (tmp_path / "metrics.txt").write_text(text, "utf-8")
    again = size(tmp_path, "--metrics", str(tmp_path / "metrics.txt"), "--peak", "1")

    load = found["load"]
    assert (load["rows"], load["callers"]) == (5, 7)
    assert 0 < load["requests"] <= 1
    assert load["entity_sets"] > 100
    assert load["operations"] > again["load"]["operations"] > 0
    assert "at least 20 are needed" in too_few.stderr


def few(folder: Path, *arguments: str) -> Finished:
    done = invoke(folder, "size", "--metrics", *arguments)
    assert done.returncode == 2
    return done


@pytest.mark.parametrize(
    ("content", "message"),
    [(None, "cannot be read"), ("<html>", "These are no metrics"), ("", "have 0 operations")],
)
def test_what_is_no_metrics_is_told(content: str | None, message: str, tmp_path: Path) -> None:
    file = tmp_path / "metrics"
    if content is not None:
        file.write_text(content)

    assert message in few(tmp_path, str(file)).stderr
