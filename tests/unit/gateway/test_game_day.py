"""A game day: what goes wrong, and what callers, probes, log, metrics and alerts then say, as the page has it."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml
from pydantic import SecretStr

from gateway.config.audit_models import AuditOptions
from gateway.config.document_models import DocumentOptions
from gateway.config.inbound_models import InboundOptions
from gateway.config.replica_models import ReplicaOptions
from gateway.config.secret_files import FileSecret
from gateway.sandbox import create_sandbox
from gateway.telemetry import clock_watch
from gateway.telemetry.panels import SECTIONS, promql
from tests.support.game_day import (
    OPERATIONS,
    RARE,
    UPSTREAM,
    Row,
    Service,
    Stage,
    away,
    broken_metadata,
    expires_secret,
    fills_disk,
    fills_disk_after_change,
    forgets_tokens,
    greedy,
    happens,
    logged,
    loses_keys,
    page,
    renames_account,
    rotates_key,
    rotates_secret,
    sets_clock,
    slow,
    status,
)
from tests.support.issuer import AUDIENCE, ISS
from tests.support.login_host import LoginHost, login_host
from tests.support.pages import ROOT

pytestmark = pytest.mark.anyio
PAGE = ROOT / "docs/operating/game-day.md"
BEGIN, END = (
    "<!-- Written by the tests, with UPDATE_DOCS=1. -->\n\n",
    "\n\n<!-- End of the table. -->",
)
ALERTS = yaml.safe_load((ROOT / "deploy/prometheus/alerts.yml").read_text("utf-8"))
PANELS = {panel.title: panel for section in SECTIONS for panel in section.panels}
DEAD_REDIS = SecretStr("redis://127.0.0.1:1/0")
UPDATE = (
    'mutation { updateCustomerGroup(key: {dataAreaId: "usmf", customerGroupId: "10"},'
    ' patch: {description: "x"}) { customerGroup { description } userErrors { code } } }'
)


def issuers(stage: Stage) -> Mapping[str, Any]:
    issuer = {"issuer": ISS, "audiences": [AUDIENCE], "jwks_file": str(stage.keys)}
    return {"inbound": InboundOptions.model_validate({"issuers": [issuer]})}


def application(stage: Stage) -> Mapping[str, Any]:
    return {
        "auth": "client_credentials",
        "tenant_id": stage.login.tenant,
        "client_id": "app-1",
        "authority": stage.login.authority,
        "client_secret": FileSecret(stage.secret),
    }


DAY = [
    Row(
        what="The environment is away",
        service=away,
        code="UPSTREAM_UNAVAILABLE",
        log=("request_retried", "error_raised"),
        metric=UPSTREAM,
        labels={"http_response_status_code": "0"},
        panel="Requests to the environment",
        health="service",
        alert="D365EnvironmentDoesNotAnswer",
    ),
    Row(
        what="The environment does not answer in time",
        service=slow,
        code="UPSTREAM_TIMEOUT",
        log=("request_retried", "limit_lowered", "error_raised"),
        metric=UPSTREAM,
        labels={"http_response_status_code": "0"},
        panel="Requests to the environment",
        health="service",
        alert="D365EnvironmentDoesNotAnswer",
    ),
    Row(
        what="The environment is in maintenance (503)",
        service=status(503),
        code="UPSTREAM_UNAVAILABLE",
        log=("request_retried", "limit_lowered", "error_raised"),
        metric=UPSTREAM,
        labels={"http_response_status_code": "503"},
        panel="Requests to the environment",
        health="service",
        alert="D365EnvironmentDoesNotAnswer",
    ),
    Row(
        what="The environment fails (500)",
        service=status(500),
        code="UPSTREAM_UNAVAILABLE",
        log=("error_raised", "operation_served"),
        metric=OPERATIONS,
        labels={"outcome": "error"},
        panel="Failed operations",
        health="service",
        alert="D365GatewayOperationsFail",
    ),
    Row(
        what="The environment throttles, for 30 seconds",
        service=status(429, **{"Retry-After": "30"}),
        code="UPSTREAM_THROTTLED",
        wait=30.0,
        log=("limit_lowered", "error_raised"),
        metric="d365_gateway_upstream_throttled_total",
        panel="Throttling",
        health="service",
        alert="D365EnvironmentThrottles",
        ends=False,
    ),
    Row(
        what="Something in between answers with a web page",
        service=page,
        code="UPSTREAM_MALFORMED",
        log=("error_raised", "operation_served"),
        metric=OPERATIONS,
        labels={"outcome": "error"},
        panel="Failed operations",
        health="service",
        alert="D365GatewayOperationsFail",
    ),
    Row(
        what="The metadata cannot be read anew",
        service=broken_metadata,
        reloads=True,
        log=("reload_failed",),
        metric="d365_gateway_metadata_loads_total",
        labels={"outcome": "failed"},
        panel="Looks for metadata",
        alert="D365MetadataNotRenewed",
    ),
    Row(
        what="The Redis of the replicas is away",
        settings={"replicas": ReplicaOptions(address=DEAD_REDIS, timeout=0.2)},
        log=("shared_state_lost",),
        metric="d365_gateway_shared_state_up",
        panel="Limit",
        panel_labels={},
        alert="D365SharedStateLost",
    ),
    Row(
        what="The store is damaged",
        damages_store=True,
        settings={"inbound": InboundOptions(api_keys=True)},
        code="STORE_UNAVAILABLE",
        log=("status_not_written", "request_refused"),
        metric=RARE,
        labels={"event": "status_not_written"},
        panel="Rare events",
        alert="D365StoreFails",
        ends=False,
    ),
    Row(
        what="The metadata change, and break a trusted document",
        of_stage=lambda stage: {
            "documents": DocumentOptions(manifest=str(stage.folder / "manifest.json")),
            "include": ("CustomersV3",),
        },
        trouble=renames_account,
        reloads=True,
        operation={"documentId": "a1"},
        code="GRAPHQL_VALIDATION_FAILED",
        log=("metadata_reloaded", "metadata_drifted", "document_broken"),
        metric="d365_gateway_metadata_broken_operations_total",
        panel="Looks for metadata",
        panel_labels={"outcome": "changed"},
        alert="D365MetadataBreaksDocuments",
        ends=False,
    ),
    Row(
        what="The issuer of tokens signs with a new key",
        of_stage=issuers,
        trouble=rotates_key,
        signed="k2",
        log=("keys_loaded",),
        metric=RARE,
        labels={"event": "keys_loaded"},
        panel="Rare events",
        alert=None,
    ),
    Row(
        what="The issuer signs with a new key, which cannot be loaded",
        of_stage=issuers,
        trouble=loses_keys,
        signed="k2",
        code="UNAUTHENTICATED",
        log=("keys_unavailable", "caller_refused"),
        metric=RARE,
        labels={"event": "keys_unavailable"},
        panel="Rare events",
        alert="D365IssuerKeysUnavailable",
        ends=False,
    ),
    Row(
        what="The secret of the gateway's application is replaced",
        service=forgets_tokens,
        of_stage=application,
        trouble=rotates_secret,
        log=("token_acquired",),
        metric="d365_gateway_tokens_acquired_total",
        panel="Requests to the environment",
        panel_labels={"http_response_status_code": "200"},
        alert=None,
    ),
    Row(
        what="The secret of the gateway's application has expired",
        service=forgets_tokens,
        of_stage=application,
        trouble=expires_secret,
        code="AUTH_TOKEN_FAILED",
        log=("sign_in_refused", "error_raised"),
        metric="d365_gateway_sign_ins_refused_total",
        panel="Failed operations",
        panel_labels={"outcome": "error"},
        health="sign-in",
        alert="D365SignInRefused",
        ends=False,
    ),
    Row(
        what="The disk is full: the cache folder",
        of_stage=lambda stage: {
            "cache_dir": stage.folder / "cache",
            "include": ("CustomerGroups",),
        },
        trouble=fills_disk_after_change,
        reloads=True,
        operation={"query": "{ customerGroups(first: 2) { nodes { customerGroupId } } }"},
        log=("cache_unusable",),
        metric=RARE,
        labels={"event": "cache_unusable"},
        panel="Rare events",
        alert="D365CacheFolderUnusable",
    ),
    Row(
        what="The disk is full: the store, for a write with a key",
        trouble=fills_disk,
        operation={"query": UPDATE.replace("(key:", '(idempotencyKey: "a1", key:')},
        code="STORE_UNAVAILABLE",
        wait=5.0,
        log=("error_raised",),
        metric="d365_gateway_errors_raised_total",
        labels={"code": "STORE_UNAVAILABLE"},
        panel="Errors with an id",
        alert="D365StoreFails",
    ),
    Row(
        what="The disk is full: the audit log, which is required",
        settings={"audit": AuditOptions(sink="file", required=True)},
        trouble=fills_disk,
        operation={"query": UPDATE},
        code="AUDIT_UNAVAILABLE",
        log=("audit_failed",),
        metric="d365_gateway_audit_entries_lost_total",
        panel="Errors",
        panel_labels={"code": "AUDIT_UNAVAILABLE"},
        alert="D365AuditEntriesLost",
    ),
    Row(
        what="The clock jumps ahead by two hours",
        of_stage=issuers,
        trouble=sets_clock(7_200),
        signed="k1",
        code="UNAUTHENTICATED",
        log=("clock_jumped", "caller_refused"),
        metric=RARE,
        labels={"event": "clock_jumped"},
        panel="Rare events",
        alert="D365GatewayClockJumped",
    ),
    Row(
        what="The clock falls back by two hours",
        of_stage=issuers,
        trouble=sets_clock(-7_200),
        signed="k1",
        code="UNAUTHENTICATED",
        log=("clock_jumped", "caller_refused"),
        metric="d365_gateway_callers_refused_total",
        panel="Refused requests",
        panel_labels={"code": "UNAUTHENTICATED"},
        alert="D365CallersRefused",
    ),
    Row(
        what="The memory limit is reached in an operation",
        service=greedy,
        code="OUT_OF_MEMORY",
        log=("error_raised",),
        metric="d365_gateway_errors_raised_total",
        labels={"code": "OUT_OF_MEMORY"},
        panel="Errors with an id",
        health="service",
        alert="D365GatewayOutOfMemory",
    ),
]


@pytest.fixture(scope="module")
def service() -> Service:
    return Service(create_sandbox())


@pytest.fixture(scope="module")
def host() -> Iterator[LoginHost]:
    with login_host() as running:
        yield running


@pytest.fixture
def stage(service: Service, host: LoginHost, tmp_path: Path) -> Stage:
    host.secrets[:], host.grants[:] = ["first"], []
    return Stage(folder=tmp_path, service=service, login=host)


@pytest.mark.parametrize("row", DAY, ids=lambda row: row.what)
async def test_what_everybody_sees(row: Row, stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(clock_watch, "EVERY", 0.01)
    if row.damages_store:
        stage.damage_store()
    said = await happens(row, stage)

    if row.code is None:
        assert "errors" not in said.answer
        assert len(next(iter(said.answer["data"].values()))["nodes"]) == 2
    else:
        extensions = said.answer["errors"][0]["extensions"]
        assert extensions["code"] == row.code
        assert extensions.get("retryAfter") == row.wait
    # No restart would help, and the other replicas are no better off.
    assert said.ready == 200
    assert said.ends == row.health
    assert set(row.log) <= logged(said.events)
    labels = labels_of(said.metrics, row.metric, row.labels)
    if row.alert is not None:
        assert any(selects(selector, labels) for selector in selectors(row.alert, row.metric))
    shown = PANELS[row.panel]
    expected = row.labels if row.panel_labels is None else row.panel_labels
    labels = labels_of(said.metrics, shown.metric, expected)
    query, _ = next(promql(shown))
    assert any(selects(selector, labels) for selector in selectors_in(query, shown.metric))
    assert ("errors" not in said.after) is row.ends


def labels_of(metrics: str, name: str, expected: Mapping[str, str]) -> Mapping[str, str]:
    """Return the labels of the sample that a row is about; there must be one."""
    for line in metrics.splitlines():
        labels = dict(re.findall(r'(\w+)="([^"]*)"', line.partition("{")[2]))
        if line.partition("{")[0].split()[0] == name and expected.items() <= labels.items():
            return labels
    raise AssertionError(f"there is no {name} with {expected}")


def selectors(alert: str, metric: str) -> list[str]:
    """Return the conditions under which an alert reads a metric."""
    rules = [rule for group in ALERTS["groups"] for rule in group["rules"]]
    (expression,) = [rule["expr"] for rule in rules if rule["alert"] == alert]
    return selectors_in(expression, metric)


def selectors_in(expression: str, metric: str) -> list[str]:
    return re.findall(rf"\b{metric}(\{{[^}}]*\}}|(?![\w{{]))", expression)


def selects(selector: str, labels: Mapping[str, str]) -> bool:
    """Return whether a sample with these labels is among those of a selector."""
    conditions = re.findall(r'(\w+)(=~|=)"([^"]*)"', selector)
    return all(
        re.fullmatch(value if sign == "=~" else re.escape(value), labels.get(name, ""))
        for name, sign, value in conditions
    )


def table() -> str:
    """Return the table of the page."""
    head = (
        "| what goes wrong | callers get | log | metric | panel | way to the environment | alert |\n"
        "|---|---|---|---|---|---|---|"
    )
    return "\n".join([head, *map(_line, DAY)])


def _line(row: Row) -> str:
    got = "their rows" if row.code is None else f"{{error}}`{row.code}`"
    if row.wait is not None:
        got += f" with `retryAfter: {row.wait:g}`"
    labels = ",".join(f'{name}="{value}"' for name, value in row.labels.items())
    metric = f"`{row.metric}{labels and f'{{{labels}}}'}`"
    log = ", ".join(f"`{name}`" for name in row.log)
    alert = "none" if row.alert is None else f"`{row.alert}`"
    way = "is good" if row.health is None else f"ends at `{row.health}`"
    return f"| {row.what} | {got} | {log} | {metric} | {row.panel} | {way} | {alert} |"


def test_the_page_has_the_table_of_the_tests() -> None:
    text = PAGE.read_text("utf-8")
    before, _, rest = text.partition(BEGIN)
    _, _, after = rest.partition(END)
    expected = f"{before}{BEGIN}{table()}{END}{after}"
    if os.environ.get("UPDATE_DOCS"):
        PAGE.write_text(expected, "utf-8")

    assert PAGE.read_text("utf-8") == expected
