"""Traces of a real application, as a collector gets them: who is whose child, and what each span says."""

from __future__ import annotations

import io
import json
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, redirect_stderr
from dataclasses import dataclass
from typing import Any

import httpx
import pytest
from opentelemetry.proto.trace.v1.trace_pb2 import Span, Status

from gateway.app import create_app
from gateway.config.settings import Settings
from gateway.errors import SettingsError
from gateway.events import Event, RequestSent, log_event, tee
from gateway.events.requests import RequestServed
from gateway.logs import configure_logging
from gateway.sandbox import create_sandbox
from gateway.telemetry import tracing
from tests.support.observers import raise_bugs
from tests.support.trace_collector import Collector, attributes, collecting

pytestmark = pytest.mark.anyio
TRACE, PARENT = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
TRACEPARENT = f"00-{TRACE}-{PARENT}-01"
QUERY = """query Orders {
  customersV3(first: 1, where: {customerAccount: {eq: "US-001"}}) { nodes { salesOrders(first: 1) { totalCount } } }
}"""


class Recording(httpx.AsyncBaseTransport):
    """The sandbox, which answers with ids of activities, and the headers that it was sent."""

    def __init__(self) -> None:
        self.headers: list[httpx.Headers] = []
        self._sandbox = httpx.ASGITransport(create_sandbox())

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        self.headers.append(request.headers)
        response = await self._sandbox.handle_async_request(request)
        response.headers["ms-dyn-aid"] = f"activity-{len(self.headers)}"
        return response


@dataclass
class Served:
    """A gateway, its upstream, and what it observed."""

    http: httpx.AsyncClient
    upstream: Recording
    events: list[Event]

    async def post(self, query: str, **headers: str) -> httpx.Response:
        names = {name.replace("_", "-"): value for name, value in headers.items()}
        return await self.http.post("/graphql", json={"query": query}, headers=names)

    def sent(self) -> list[RequestSent]:
        return [event for event in self.events if isinstance(event, RequestSent)]


@asynccontextmanager
async def serving(**options: Any) -> AsyncIterator[Served]:
    settings = Settings.model_validate({"tracing": options, "log": {"slow": 1e-9}})
    upstream, events = Recording(), list[Event]()
    app = create_app(
        settings, transport=upstream, observe=tee(raise_bugs, log_event, events.append)
    )
    async with app.router.lifespan_context(app):
        transport = httpx.ASGITransport(app)
        async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as http:
            upstream.headers.clear()
            events.clear()
            yield Served(http, upstream, events)


@dataclass
class Traced:
    """What came of one run, in which everything is traced."""

    collector: Collector
    served: Served
    answers: list[httpx.Response]
    log: list[dict[str, Any]]

    def named(self, name: str) -> Span:
        (span,) = (span for span in self.collector.spans if span.name == name)
        return span


@pytest.fixture(scope="module")
async def traced() -> AsyncIterator[Traced]:
    log = io.StringIO()
    with collecting() as collector, redirect_stderr(log):
        configure_logging(Settings(log_format="json", log_level="debug"))
        async with serving(
            endpoint=collector.endpoint, ratio=1, headers="x-key=abc, x-team = ops"
        ) as served:
            answers = [
                await served.post(
                    QUERY,
                    traceparent=TRACEPARENT,
                    x_request_id="mine-1",
                    graphql_client_name="shop",
                    graphql_client_version="1.2",
                    x_d365_company="usmf",
                ),
                await served.post("mutation { nothing }"),
                await served.http.get("/export/CustomersV3?first=1&format=csv"),
                await served.http.get("/healthz"),
            ]
        lines = [json.loads(line) for line in log.getvalue().splitlines()]
        yield Traced(collector, served, answers, lines)


def ids(span: Span) -> tuple[str, str, str]:
    return span.trace_id.hex(), span.span_id.hex(), span.parent_span_id.hex()


async def test_a_request_is_a_span_below_that_of_its_caller(traced: Traced) -> None:
    span = traced.named("query")

    assert (ids(span)[0], ids(span)[2], span.kind) == (TRACE, PARENT, Span.SPAN_KIND_SERVER)
    found = attributes(span)
    seconds = found.pop("d365.upstream.seconds")
    assert found == {
        "http.request.method": "POST",
        "http.route": "/graphql",
        "http.response.status_code": 200,
        "graphql.operation.type": "query",
        "graphql.operation.name": "Orders",
        "d365.outcome": "ok",
        "d365.rows": 1,
        "d365.upstream.requests": 2,
        "d365.request_id": "mine-1",
        "d365.client": "shop",
    }
    assert 0 < seconds * 1e9 < span.end_time_unix_nano - span.start_time_unix_nano


async def test_each_upstream_request_is_a_span_of_its_fields(traced: Traced) -> None:
    server = traced.named("query")
    spans = [span for span in traced.collector.spans if span.parent_span_id == server.span_id]

    fields = {span.name: attributes(span)["d365.plan.fields"] for span in spans}
    assert fields == {
        "GET CustomersV3": ["customersV3"],
        "GET SalesOrderHeadersV2": ["customersV3.salesOrders"],
    }
    for span in spans:
        found = attributes(span)
        assert span.kind == Span.SPAN_KIND_CLIENT
        assert found["d365.activity_id"].startswith("activity-")
        assert found["d365.dialect"] == "finops"
        assert "US-001" not in found["url.full"]
        assert server.start_time_unix_nano <= span.start_time_unix_nano < span.end_time_unix_nano


async def test_the_environment_gets_the_trace_and_an_id(traced: Traced) -> None:
    sent = traced.served.sent()[:2]
    headers = traced.served.upstream.headers[:2]

    spans = {span.span_id.hex() for span in traced.collector.spans}
    for event, header in zip(sent, headers, strict=True):
        assert header["traceparent"] == f"00-{TRACE}-{event.span}-01"
        assert header["x-ms-client-request-id"] == event.client_request_id
        assert "baggage" not in header
        assert event.span in spans


async def test_a_failed_operation_is_no_failure_of_the_service(traced: Traced) -> None:
    """The client is wrong; its span has no trace before it, so it begins one."""
    span = traced.named("GraphQL Operation")

    assert span.parent_span_id == b""
    assert span.status.code == Status.STATUS_CODE_UNSET
    assert attributes(span)["d365.outcome"] == "client_error"


async def test_other_requests_are_spans_of_their_route(traced: Traced) -> None:
    names = {span.name for span in traced.collector.spans if span.kind == Span.SPAN_KIND_SERVER}

    assert names == {"query", "GraphQL Operation", "GET /export"}  # health checks are none


async def test_the_collector_gets_the_service_and_headers(traced: Traced) -> None:
    assert traced.collector.resources[0]["service.name"] == "d365-graphql-gateway"
    headers = traced.collector.headers[0]
    assert (headers["x-key"], headers["x-team"]) == ("abc", "ops")


async def test_ids_are_in_answers_and_in_the_log(traced: Traced) -> None:
    first, second, *_ = (answer.headers["x-request-id"] for answer in traced.answers[:3])

    assert first == "mine-1"
    assert re.fullmatch("[0-9a-f]{32}", second)
    assert "x-request-id" not in traced.answers[3].headers
    served = [line for line in traced.log if line["event"] == "operation_served"]
    assert [(line["request_id"], line["trace_id"]) for line in served[:1]] == [("mine-1", TRACE)]
    assert {line["request_id"] for line in served} == {first, second}


async def test_an_operation_is_one_line_that_says_everything(traced: Traced) -> None:
    line = next(line for line in traced.log if line["event"] == "operation_served")
    times = {name: line.pop(name) for name in ("seconds", "own", "upstream", "points")}
    del line["timestamp"]

    assert line == {
        "event": "operation_served",
        "level": "info",
        "request_id": "mine-1",
        "trace_id": TRACE,
        "name": "Orders",
        "type": "query",
        "outcome": "ok",
        "errors": 0,
        "codes": [],
        "requests": 2,
        "rows": 1,
        "size": len(traced.answers[0].content),
        "reused": 0,
        "client": "shop",
        "client_version": "1.2",
        "companies": ["usmf"],
    }
    assert times["own"] + times["upstream"] == pytest.approx(times["seconds"], abs=0.0003)
    assert times["points"] > 0


async def test_a_slow_operation_is_logged_with_what_it_sent(traced: Traced) -> None:
    line = next(line for line in traced.log if line["event"] == "operation_slow")

    assert (line["request_id"], line["sent"], line["level"]) == ("mine-1", 2, "warning")
    assert [step.partition("?")[0] for step in line["plan"]] == [
        "GET CustomersV3",
        "GET SalesOrderHeadersV2/$count",
    ]
    assert "US-001" not in "".join(line["plan"])


async def test_requests_that_are_not_sampled_only_pass_ids_on(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with collecting() as collector:
        async with serving(endpoint=collector.endpoint, ratio=0) as served:
            await served.post(QUERY, traceparent=TRACEPARENT)
            await served.post(QUERY, x_request_id="has spaces")

            sent = [headers["traceparent"] for headers in served.upstream.headers]
            # The caller has decided otherwise, which counts with follow_callers only.
            assert all(re.fullmatch(f"00-{TRACE}-[0-9a-f]{{16}}-00", parent) for parent in sent[:2])
            assert len({parent.split("-")[2] for parent in sent}) == 4
            assert [event.span for event in served.sent()] == [None] * 4
            last = [event for event in served.events if isinstance(event, RequestServed)][-1]
            assert (last.method, last.route, last.status) == ("POST", "/graphql", 200)
    assert collector.spans == []


async def test_without_tracing_nothing_is_sent_along() -> None:
    async with serving() as served:
        await served.post(
            "{ customersV3(first: 1) { nodes { customerAccount } } }", traceparent=TRACEPARENT
        )

        assert [headers.get("traceparent") for headers in served.upstream.headers] == [None]
        assert served.events


def test_a_missing_extra_is_reported(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tracing, "find_spec", lambda name: None)
    settings = Settings.model_validate({"tracing": {"endpoint": "http://127.0.0.1:1/v1/traces"}})

    with pytest.raises(SettingsError, match=r"tracing\.endpoint") as caught:
        create_app(settings)
    assert "[otel]" in (caught.value.hint or "")
