"""Dashboards and alerts run in Debian's Prometheus, with what it scrapes from a gateway that is used."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import httpx
import pytest

from gateway.telemetry.catalog import METRICS
from gateway.telemetry.grafana import dashboard
from gateway.telemetry.panels import INTERVAL, SECTIONS, promql
from tests.support.measured_gateway import measured_gateway
from tests.support.requirements import need
from tests.support.threaded import free_port

pytestmark = pytest.mark.slow
DEPLOY = Path(__file__).parents[2] / "deploy"
ALERTS = DEPLOY / "prometheus" / "alerts.yml"
PANELS = [panel for section in SECTIONS for panel in section.panels]
PATIENCE = 30.0
QUERIES = (
    "{ customersV3(first: 2) { nodes { customerAccount } } }",
    "{ nothing }",
    '{ customersV3(after: "x") { totalCount } }',
)


@pytest.fixture(scope="module")
def promtool() -> str:
    path = shutil.which("promtool")
    need(path, "no Prometheus: sudo apt-get install prometheus")
    return str(path)


class Prometheus:
    """A running Prometheus."""

    def __init__(self, http: httpx.Client) -> None:
        self._http = http

    def query(self, expression: str) -> list[Mapping[str, Any]]:
        answer = self._http.get("/query", params={"query": expression}).json()
        assert answer["status"] == "success", (expression, answer)
        found: list[Mapping[str, Any]] = answer["data"]["result"]
        return found

    def rules(self) -> list[Mapping[str, Any]]:
        groups = self._http.get("/rules").json()["data"]["groups"]
        return [rule for group in groups for rule in group["rules"]]

    def scrapes(self) -> float:
        """Return how many times all targets were read."""
        try:
            results = self.query("sum(count_over_time(up[5m]))")
        except (httpx.TransportError, json.JSONDecodeError):
            return 0
        return float(results[0]["value"][1]) if results else 0


@pytest.fixture(scope="module")
def prometheus(promtool: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Prometheus]:
    folder, port = tmp_path_factory.mktemp("prometheus"), free_port()
    with measured_gateway() as (api, admin):
        target = admin.removeprefix("http://")
        config = {
            "global": {"scrape_interval": "500ms", "evaluation_interval": "500ms"},
            "rule_files": [str(ALERTS)],
            "scrape_configs": [{"job_name": "gateway", "static_configs": [{"targets": [target]}]}],
        }
        (folder / "prometheus.yml").write_text(json.dumps(config), "utf-8")
        command = [
            shutil.which("prometheus") or "prometheus",
            f"--config.file={folder / 'prometheus.yml'}",
            f"--storage.tsdb.path={folder / 'data'}",
            f"--web.listen-address=127.0.0.1:{port}",
            "--log.level=error",
        ]
        running = subprocess.Popen(command, cwd=folder, stderr=subprocess.DEVNULL)
        try:
            end = time.monotonic() + PATIENCE
            address = f"http://127.0.0.1:{port}/api/v1"
            with httpx.Client(base_url=address) as own, httpx.Client(base_url=api) as http:
                server = Prometheus(own)
                while server.scrapes() < 5:
                    assert time.monotonic() < end, "Prometheus reads nothing"
                    for query in QUERIES:
                        http.post("/graphql", json={"query": query}).raise_for_status()
                    http.post("/graphql", content=b"{")
                    time.sleep(0.2)
                yield server
        finally:
            running.terminate()
            running.wait(PATIENCE)


@pytest.mark.parametrize("panel", PANELS, ids=lambda panel: panel.title)
def test_each_panel_shows_something(prometheus: Prometheus, panel: Any) -> None:
    for expression, _ in promql(panel, 'job=~".*"'):
        lines = prometheus.query(expression.replace(INTERVAL, "1m"))
        assert lines, expression
        assert [line for line in lines if line["value"][1] != "NaN"], expression
        assert {name for line in lines for name in line["metric"]} == set(panel.by)


def test_each_alert_is_evaluated_and_none_fires(prometheus: Prometheus) -> None:
    end = time.monotonic() + PATIENCE
    while any(rule["health"] == "unknown" for rule in prometheus.rules()):
        assert time.monotonic() < end
        time.sleep(0.1)
    rules = prometheus.rules()

    assert {rule["name"] for rule in rules} == FIRING.keys()
    assert [(r["name"], r.get("lastError")) for r in rules if r["health"] != "ok"] == []
    assert [rule["name"] for rule in rules if rule["state"] == "firing"] == []


def test_the_scrape_is_accepted_by_prometheus(prometheus: Prometheus) -> None:
    assert prometheus.query("up")[0]["value"][1] == "1"
    assert prometheus.query("scrape_samples_scraped > 200")


E_ = '{job="j",environment="acme"'
OPS = "graphql_server_operation_duration_seconds_count" + E_
SENT = "http_client_request_duration_seconds_count" + E_
FIRING: Mapping[str, Mapping[str, str]] = {
    "D365GatewayWorkerDown": {'d365_gateway_worker_up{job="j",worker="1"}': "0x60"},
    "D365GatewayNotReady": {'d365_gateway_workers{job="j",state="ready"}': "0x60"},
    "D365GatewayOperationsFail": {
        f'{OPS},outcome="error"}}': "0+60x60",
        f'{OPS},outcome="ok"}}': "0+600x60",
    },
    "D365GatewayInternalErrors": {
        f'd365_gateway_errors_raised_total{E_},code="INTERNAL_ERROR"}}': "0x58 1x5"
    },
    "D365GatewayOutOfMemory": {
        'd365_gateway_workers_replaced_total{job="j",reason="signal 9"}': "0x58 1x5"
    },
    "D365GatewayMemoryNearlyFull": {
        'process_resident_memory_bytes{job="j",worker="0"}': "500x60",
        'process_resident_memory_bytes{job="j",worker="1"}': "450x60",
        'd365_gateway_memory_limit_bytes{job="j",worker="1"}': "1000x60",
    },
    "D365GatewayRestarts": {'process_start_time_seconds{job="j",worker="1"}': "1x40 2x5 3x5 4x10"},
    "D365GatewayClockJumped": {
        'd365_gateway_events_total{job="j",event="clock_jumped"}': "0x58 1x5"
    },
    "D365CallersRefused": {
        'd365_gateway_callers_refused_total{job="j",reason="unknown_key"}': "0+60x60",
        'http_server_request_duration_seconds_count{job="j"}': "0+100x60",
    },
    "D365IssuerKeysUnavailable": {
        'd365_gateway_events_total{job="j",event="keys_unavailable"}': "0x58 1x5"
    },
    "D365CacheFolderUnusable": {
        'd365_gateway_events_total{job="j",event="cache_unusable"}': "0x58 1x5"
    },
    "D365GatewaySlow": {
        'd365_gateway_overhead_seconds_bucket{job="j",le="0.25"}': "0+10x60",
        'd365_gateway_overhead_seconds_bucket{job="j",le="1"}': "0+20x60",
        'd365_gateway_overhead_seconds_bucket{job="j",le="+Inf"}': "0+20x60",
    },
    "D365GatewayEventLoopBusy": {
        'd365_gateway_event_loop_lag_seconds_bucket{job="j",le="0.25"}': "0+10x60",
        'd365_gateway_event_loop_lag_seconds_bucket{job="j",le="1"}': "0+20x60",
        'd365_gateway_event_loop_lag_seconds_bucket{job="j",le="+Inf"}': "0+20x60",
    },
    "D365EnvironmentDoesNotAnswer": {
        f'{SENT},http_response_status_code="503"}}': "0+50x60",
        f'{SENT},http_response_status_code="0"}}': "0+10x60",
        f'{SENT},http_response_status_code="200"}}': "0+50x60",
    },
    "D365EnvironmentRefused": {
        'd365_gateway_events_total{job="j",event="breaker_opened"}': "0x58 1x5"
    },
    "D365SettingsNotReloaded": {
        'd365_gateway_events_total{job="j",event="settings_not_reloaded"}': "0x58 1x5"
    },
    "D365EnvironmentThrottles": {
        f"d365_gateway_upstream_throttled_total{E_}}}": "0+20x60",
        f"{SENT}}}": "0+100x60",
    },
    "D365EnvironmentQueueGrows": {
        f"d365_gateway_upstream_waiting_requests{E_}}}": "90x60",
        f"d365_gateway_upstream_limit{E_}}}": "8x60",
    },
    "D365SignInRefused": {f"d365_gateway_sign_ins_refused_total{E_}}}": "0x58 1x5"},
    "D365MetadataNotRenewed": {
        f'd365_gateway_metadata_loads_total{E_},outcome="failed"}}': "0x30 1x30"
    },
    "D365MetadataBreaksDocuments": {
        f"d365_gateway_metadata_broken_operations_total{E_}}}": "0x30 2x30"
    },
    "D365AuditEntriesLost": {'d365_gateway_audit_entries_lost_total{job="j"}': "0x58 3x5"},
    "D365StoreFails": {'d365_gateway_events_total{job="j",event="store_failed"}': "0x58 1x5"},
    "D365SharedStateLost": {'d365_gateway_shared_state_up{job="j",worker="0"}': "0x60"},
    "D365JobsFail": {
        'd365_gateway_jobs_ended_total{job="j",kind="export",state="FAILED"}': "0x30 1x30"
    },
    "D365WebhooksAbandoned": {
        'd365_gateway_webhooks_total{job="j",outcome="abandoned"}': "0x30 1x30"
    },
}
"""Alert → series of one value a minute with which it fires after an hour."""


def test_each_alert_fires_when_it_should(promtool: str, tmp_path: Path) -> None:
    """Each alert has a job of its own, so that one evaluation of all rules tells which fires for which series."""
    series = [
        {"series": series.replace('job="j"', f'job="{alert}"'), "values": values}
        for alert, given in FIRING.items()
        for series, values in given.items()
    ]
    firing = [
        {"labels": f'{{alertname="{alert}",job="{alert}"}}', "value": 1} for alert in sorted(FIRING)
    ]
    expected = {
        "expr": 'count by (alertname, job) (ALERTS{alertstate="firing"})',
        "eval_time": "60m",
        "exp_samples": firing,
    }
    test = {"interval": "1m", "input_series": series, "promql_expr_test": [expected]}
    file = tmp_path / "test.yml"
    content = {"rule_files": [str(ALERTS)], "evaluation_interval": "1m", "tests": [test]}
    file.write_text(json.dumps(content), "utf-8")
    done = subprocess.run(
        [promtool, "test", "rules", str(file)], capture_output=True, text=True, check=False
    )

    assert done.returncode == 0, done.stdout + done.stderr


KNOWN = {metric.name for metric in METRICS} | {
    "process_cpu_seconds_total",
    *("process_resident_memory_bytes", "process_start_time_seconds"),
}


def names_in(text: str) -> set[str]:
    names = re.findall(r"\b(?:d365|graphql|http|process)_[a-z0-9_]+(?=[\[{]|\[|\)| )", text)
    return {re.sub("_(bucket|sum|count)$", "", name) for name in names}


def test_alerts_and_panels_name_metrics_that_exist() -> None:
    labels = {label for metric in METRICS for label in metric.labels}
    used = names_in(ALERTS.read_text("utf-8")) | {panel.metric for panel in PANELS}

    assert {re.sub("_(bucket|sum|count)$", "", name) for name in used} - labels <= KNOWN


def test_the_dashboard_of_grafana_is_that_of_the_panels() -> None:
    path = DEPLOY / "grafana" / "d365-graphql.json"
    expected = json.dumps(dashboard(), indent=2, ensure_ascii=False) + "\n"

    assert path.read_text("utf-8") == expected
    panels = [panel for panel in json.loads(expected)["panels"] if panel["type"] != "row"]
    assert [panel["title"] for panel in panels] == [panel.title for panel in PANELS]
    assert len({panel["id"] for panel in json.loads(expected)["panels"]}) == len(PANELS) + len(
        SECTIONS
    )
