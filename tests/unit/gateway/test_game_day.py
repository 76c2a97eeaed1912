"""A game day: what goes wrong, and what callers, probes, log, metrics and alerts then say, as the page has it."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml
from pydantic import SecretStr
from starlette.applications import Starlette

from gateway.app import create_app
from gateway.config.inbound_models import InboundOptions
from gateway.config.replica_models import ReplicaOptions
from gateway.config.settings import Settings
from gateway.events import Event, log_name
from gateway.sandbox import create_sandbox
from gateway.telemetry.exposition import render
from gateway.telemetry.measurements import Measurements
from tests.support.changing_metadata import build_here
from tests.support.pages import ROOT

pytestmark = pytest.mark.anyio
PAGE = ROOT / "docs/operating/game-day.md"
BEGIN, END = (
    "<!-- Written by the tests, with UPDATE_DOCS=1. -->\n\n",
    "\n\n<!-- End of the table. -->",
)
ALERTS = yaml.safe_load((ROOT / "deploy/prometheus/alerts.yml").read_text("utf-8"))
QUERY = "{ customersV3(first: 2) { nodes { customerAccount } } }"
UPSTREAM = "http_client_request_duration_seconds_count"
OPERATIONS = "graphql_server_operation_duration_seconds_count"
DEAD_REDIS = SecretStr("redis://127.0.0.1:1/0")
Answer = Callable[[httpx.Request], httpx.Response | None]


def status(code: int, **headers: str) -> Answer:
    """Return a service that answers everything with this."""
    body = {"error": {"message": "No."}}
    return lambda _: httpx.Response(code, json=body, headers=headers)


def page(_: httpx.Request) -> httpx.Response:
    return httpx.Response(200, text="<html>", headers={"content-type": "text/html"})


def away(request: httpx.Request) -> httpx.Response:
    raise httpx.ConnectError("refused", request=request)


def slow(request: httpx.Request) -> httpx.Response:
    raise httpx.ReadTimeout("late", request=request)


def healthy(_: httpx.Request) -> None:
    """Return nothing: the service answers."""


def broken_metadata(request: httpx.Request) -> httpx.Response | None:
    return httpx.Response(500) if request.url.path.endswith("$metadata") else None


@dataclass(frozen=True, kw_only=True)
class Row:
    """Something that goes wrong, and what it looks like."""

    what: str
    service: Answer = healthy
    settings: Mapping[str, Any] = field(default_factory=dict)
    reloads: bool = False
    """Whether somebody has the metadata reloaded meanwhile."""
    damages_store: bool = False
    code: str | None = None
    """What callers get; None: their rows."""
    wait: float | None = None
    """``retryAfter`` of the error."""
    log: tuple[str, ...]
    """Events at least."""
    metric: str
    labels: Mapping[str, str] = field(default_factory=dict)
    alert: str
    ends: bool = True
    """Whether the next operation succeeds once the service is well."""


DAY = [
    Row(
        what="The environment is away",
        service=away,
        code="UPSTREAM_UNAVAILABLE",
        log=("request_retried", "error_raised"),
        metric=UPSTREAM,
        labels={"http_response_status_code": "0"},
        alert="D365EnvironmentDoesNotAnswer",
    ),
    Row(
        what="The environment does not answer in time",
        service=slow,
        code="UPSTREAM_TIMEOUT",
        log=("request_retried", "limit_lowered", "error_raised"),
        metric=UPSTREAM,
        labels={"http_response_status_code": "0"},
        alert="D365EnvironmentDoesNotAnswer",
    ),
    Row(
        what="The environment is in maintenance (503)",
        service=status(503),
        code="UPSTREAM_UNAVAILABLE",
        log=("request_retried", "limit_lowered", "error_raised"),
        metric=UPSTREAM,
        labels={"http_response_status_code": "503"},
        alert="D365EnvironmentDoesNotAnswer",
    ),
    Row(
        what="The environment fails (500)",
        service=status(500),
        code="UPSTREAM_UNAVAILABLE",
        log=("error_raised", "operation_served"),
        metric=OPERATIONS,
        labels={"outcome": "error"},
        alert="D365GatewayOperationsFail",
    ),
    Row(
        what="The environment throttles, for 30 seconds",
        service=status(429, **{"Retry-After": "30"}),
        code="UPSTREAM_THROTTLED",
        wait=30.0,
        log=("limit_lowered", "error_raised"),
        metric="d365_gateway_upstream_throttled_total",
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
        alert="D365GatewayOperationsFail",
    ),
    Row(
        what="The metadata cannot be read anew",
        service=broken_metadata,
        reloads=True,
        log=("reload_failed",),
        metric="d365_gateway_metadata_loads_total",
        labels={"outcome": "failed"},
        alert="D365MetadataNotRenewed",
    ),
    Row(
        what="The Redis of the replicas is away",
        settings={"replicas": ReplicaOptions(address=DEAD_REDIS, timeout=0.2)},
        log=("shared_state_lost",),
        metric="d365_gateway_shared_state_up",
        alert="D365SharedStateLost",
    ),
    Row(
        what="The store is damaged",
        damages_store=True,
        settings={"inbound": InboundOptions(api_keys=True)},
        code="STORE_UNAVAILABLE",
        log=("status_not_written", "request_refused"),
        metric="d365_gateway_events_total",
        labels={"event": "status_not_written"},
        alert="D365StoreFails",
        ends=False,
    ),
]


class Service(httpx.AsyncBaseTransport):
    """The sandbox, unless something else answers."""

    def __init__(self, sandbox: Starlette) -> None:
        self._sandbox = httpx.ASGITransport(sandbox)
        self.answer: Answer = healthy

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        return self.answer(request) or await self._sandbox.handle_async_request(request)


@pytest.fixture(scope="module")
def service() -> Service:
    return Service(create_sandbox())


@pytest.mark.parametrize("row", DAY, ids=lambda row: row.what)
async def test_what_everybody_sees(row: Row, service: Service, tmp_path: Path) -> None:
    if row.damages_store:
        file = tmp_path / "store" / "gateway.db"
        file.parent.mkdir(mode=0o700)
        file.write_bytes(b"damaged " * 2_000)
        file.chmod(0o600)
    settings = Settings(
        url="http://erp.example/data",
        auth="none",
        dialect="finops",
        cache_dir=None,
        data_dir=tmp_path,
        language="none",
        operation_timeout=10,
        retries=1,
        retry_wait_max=0.01,
        **row.settings,
    )
    events: list[Event] = []
    measurements = Measurements()
    service.answer = healthy
    app = create_app(
        settings,
        transport=service,
        observe=events.append,
        build_model=build_here,
        measurements=measurements,
    )
    headers = {"authorization": "Bearer d365_0123456789abcdef_secret"} if row.damages_store else {}
    async with (
        app.router.lifespan_context(app),
        httpx.AsyncClient(
            transport=httpx.ASGITransport(app), base_url="http://localhost", headers=headers
        ) as http,
    ):
        service.answer = row.service
        if row.reloads:
            await app.state.reloader.reload("admin")
        answer = (await http.post("/graphql", json={"query": QUERY})).json()
        ready = await http.get("/readyz")
        metrics = render(measurements, of_process=False)
        service.answer = healthy
        after = (await http.post("/graphql", json={"query": QUERY})).json()
    # The status is written now and then, at the latest at the end.
    metrics += render(measurements, of_process=False)

    if row.code is None:
        assert len(answer["data"]["customersV3"]["nodes"]) == 2
    else:
        extensions = answer["errors"][0]["extensions"]
        assert extensions["code"] == row.code
        assert extensions.get("retryAfter") == row.wait
    # No restart would help, and the other replicas are no better off.
    assert ready.status_code == 200
    assert set(row.log) <= {log_name(type(event).__name__) for event in events}
    labels = labels_of(metrics, row)
    assert any(selects(selector, labels) for selector in selectors(row.alert, row.metric))
    assert ("errors" not in after) is row.ends


def labels_of(metrics: str, row: Row) -> Mapping[str, str]:
    """Return the labels of the sample that a row is about; there must be one."""
    for line in metrics.splitlines():
        name, _, rest = line.partition("{")
        labels = dict(re.findall(r'(\w+)="([^"]*)"', rest))
        if name.split()[0] == row.metric and row.labels.items() <= labels.items():
            return labels
    raise AssertionError(f"there is no {row.metric} with {row.labels}")


def selectors(alert: str, metric: str) -> list[str]:
    """Return the conditions under which an alert reads a metric."""
    rules = [rule for group in ALERTS["groups"] for rule in group["rules"]]
    (expression,) = [rule["expr"] for rule in rules if rule["alert"] == alert]
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
    head = "| what goes wrong | callers get | log | metric | alert |\n|---|---|---|---|---|"
    return "\n".join([head, *map(_line, DAY)])


def _line(row: Row) -> str:
    got = "their rows" if row.code is None else f"{{error}}`{row.code}`"
    if row.wait is not None:
        got += f" with `retryAfter: {row.wait:g}`"
    labels = ",".join(f'{name}="{value}"' for name, value in row.labels.items())
    metric = f"`{row.metric}{labels and f'{{{labels}}}'}`"
    log = ", ".join(f"`{name}`" for name in row.log)
    return f"| {row.what} | {got} | {log} | {metric} | `{row.alert}` |"


def test_the_page_has_the_table_of_the_tests() -> None:
    text = PAGE.read_text("utf-8")
    before, _, rest = text.partition(BEGIN)
    _, _, after = rest.partition(END)
    expected = f"{before}{BEGIN}{table()}{END}{after}"
    if os.environ.get("UPDATE_DOCS"):
        PAGE.write_text(expected, "utf-8")

    assert PAGE.read_text("utf-8") == expected
