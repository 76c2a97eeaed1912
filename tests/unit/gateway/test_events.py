"""``gateway.events``: every event has a log line, and none shows a value of a row."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any, get_args

import pytest
import structlog

from gateway.config.settings import Settings
from gateway.events import (
    Address,
    AuditFailed,
    CacheUnusable,
    CallerRefused,
    CallerTokenAcquired,
    CategoriesStale,
    ClientLeft,
    CompaniesLimited,
    ConnectionCut,
    CostRefused,
    CostSettled,
    ErrorRaised,
    Event,
    FastPathFailed,
    KeysLoaded,
    KeysUnavailable,
    LabelsUnavailable,
    MetadataLoaded,
    MetadataReloaded,
    MetadataStale,
    ModelRead,
    OperationServed,
    ProfileOpened,
    ReloadFailed,
    RequestRefused,
    RequestRetried,
    RequestSent,
    RoleViewOpened,
    SchemaBuilt,
    Started,
    StoreFailed,
    StorePolled,
    TokenAcquired,
    TypesNotRenewed,
    TypesRenewed,
    level_of,
    log_event,
    log_name,
    loggable,
    tee,
)
from gateway.events.admission import (
    BreakerClosed,
    BreakerOpened,
    LimitLowered,
    LoopBehind,
    LoopCaughtUp,
)
from gateway.events.documents import (
    DocumentBroken,
    DocumentsChecked,
    DocumentsLoaded,
    DocumentsRefused,
)
from gateway.events.environments import (
    EnvironmentClosed,
    EnvironmentFailed,
    EnvironmentOpened,
    SignInRefused,
    StatusNotWritten,
    WebhookAbandoned,
    WebhookFailed,
    WebhookSent,
)
from gateway.events.exports import ExportServed, PackageDownloaded
from gateway.events.files import FileServed
from gateway.events.hooks import HookReported
from gateway.events.idempotency import IdempotencyKeyStuck
from gateway.events.imports import ImportServed
from gateway.events.jobs import JobDelayed, JobEnded
from gateway.events.life_cycle import (
    ClockJumped,
    SettingsNotReloaded,
    SettingsReloaded,
    SettingsRetired,
    Stopped,
    Stopping,
    WorkerReplaced,
)
from gateway.events.metadata import MetadataDrifted
from gateway.events.operations import OperationSlow
from gateway.events.replicas import SharedStateFound, SharedStateLost
from gateway.events.requests import RequestServed
from gateway.events.streams import SocketClosed, SubscriptionEnded, SubscriptionPolled, WatchFailed
from gateway.events.webhooks import WebhookPaused
from gateway.logs import configure_logging

SENT = RequestSent(
    method="GET", url=Address("Sets"), status=200, seconds=0.123456, size=9, attempt=1
)
LEVELS: list[tuple[Event, str]] = [
    (
        Started(url="http://127.0.0.1:8000", upstream="sandbox", sandbox=True, metadata="0"),
        "info",
    ),
    (Stopping(connections=3, drain=5.0, grace=120.0), "info"),
    (Stopped(seconds=6.0, cut=0), "info"),
    (WorkerReplaced(pid=7, reason="signal 9"), "warning"),
    (ClockJumped(seconds=-7_200.0), "warning"),
    (
        SettingsReloaded(reason="signal", changed=("roles.clerk",), restart=("port",), seconds=0.4),
        "info",
    ),
    (
        SettingsNotReloaded(
            reason="admin", code="SETTINGS", message="gateway.toml: port: accepted", hint=None
        ),
        "error",
    ),
    (BreakerOpened(reason="ConnectError", pause=5.0), "error"),
    (BreakerClosed(seconds=7.5), "info"),
    (LoopBehind(lag=6.0), "warning"),
    (LoopCaughtUp(seconds=12.0), "info"),
    (SettingsRetired(seconds=2.0, cut=0), "info"),
    (SENT, "debug"),
    (
        OperationSlow(
            name=None, document=None, seconds=9.0, own=1.0, upstream=8.0, sent=1, plan=("GET x",)
        ),
        "warning",
    ),
    (RequestServed(method="POST", route="/graphql", status=200, seconds=0.1), "debug"),
    (RequestRetried(url="Sets", reason="429", wait=3.0, attempt=1), "info"),
    (RequestRetried(url="Sets", reason="503", wait=3.0, attempt=1), "warning"),
    (TokenAcquired(expires_in=3600.0), "debug"),
    (CallerTokenAcquired(caller="a1b2", expires_in=3600.0), "debug"),
    (MetadataLoaded(source="x", seconds=1.0, digest="ab", size=1), "info"),
    (MetadataStale(source="x", age=1.0, reason="away"), "warning"),
    (LabelsUnavailable(url="x", reason="404"), "info"),
    (CategoriesStale(url="x", reason="404"), "warning"),
    (
        CompaniesLimited(companies=("usmf",), by_company=9, by_other=1, shared=3, refused=0),
        "info",
    ),
    (CacheUnusable(folder="x", reason="OSError: No space left on device"), "warning"),
    (StoreFailed(reason="disk is full"), "warning"),
    (StorePolled(reason="away"), "warning"),
    (AuditFailed(reason="disk is full", lost=2), "error"),
    (CallerRefused(reason="expired"), "info"),
    (KeysLoaded(issuer="https://x", kids=("k1",), seconds=0.1), "info"),
    (KeysUnavailable(issuer="https://x", reason="away", previous=1), "warning"),
    (ProfileOpened(profile="ap", seconds=0.1, sets=3, root_fields=70), "info"),
    (RoleViewOpened(roles=("viewer",), profile=None, seconds=0.01), "info"),
    (EnvironmentOpened(environment="acme", seconds=0.4), "info"),
    (DocumentsLoaded(manifest="m.json", documents=9, added=9, removed=0), "info"),
    (DocumentsRefused(manifest="m.json", reason="it is not JSON"), "warning"),
    (
        DocumentBroken(
            environment=None, document="a3f8", operation="Orders", code="C", message="no field x"
        ),
        "warning",
    ),
    (DocumentsChecked(environment=None, documents=9, broken=1, ready=8, seconds=0.1), "info"),
    (
        EnvironmentFailed(
            environment="acme", code="C", message="away", reason="away", hint=None, retry_after=5.0
        ),
        "warning",
    ),
    (EnvironmentClosed(environment="acme", seconds=900.0), "info"),
    (StatusNotWritten(reason="locked"), "warning"),
    (IdempotencyKeyStuck(reason="locked"), "warning"),
    (SignInRefused(reason="AADSTS7000222", hint="Make a new secret."), "warning"),
    (WebhookSent(id="msg_1", type="environment.linked", attempts=2), "info"),
    (
        WebhookFailed(
            id="msg_1", type="environment.linked", reason="status 500", attempts=1, retry_after=5.0
        ),
        "warning",
    ),
    (
        WebhookAbandoned(id="msg_1", type="environment.linked", reason="status 410", attempts=1),
        "error",
    ),
    (ModelRead(metadata="0" * 64, seconds=1.0), "info"),
    (SchemaBuilt(seconds=1.0, metadata="0" * 64, sets=3, root_fields=4, findings=()), "info"),
    (
        SchemaBuilt(seconds=1.0, metadata="0" * 64, sets=3, root_fields=4, findings=("left out",)),
        "warning",
    ),
    (MetadataDrifted(breaking=1, dangerous=0, safe=2, operations=1), "info"),
    (TypesRenewed(types=3_001, seconds=0.1), "info"),
    (SharedStateLost(reason="TimeoutError"), "warning"),
    (SharedStateFound(seconds=3.0), "info"),
    (SubscriptionPolled(set="customersV3", seconds=0.1, requests=1, rows=2, changes=0), "debug"),
    (WatchFailed(set="customersV3", reason="away", over=False), "warning"),
    (LimitLowered(lane="export", limit=5, under_way=6, waiting=40), "info"),
    (SubscriptionEnded(seconds=1.0, changes=3, reason=None), "info"),
    (SocketClosed(code=4400, reason="no JSON"), "info"),
    (TypesNotRenewed(types=3_001, reason="MemoryError: "), "error"),
    (MetadataReloaded(reason="poll", metadata="0" * 64, changed=True, seconds=1.0), "info"),
    (MetadataReloaded(reason="poll", metadata="0" * 64, changed=False, seconds=1.0), "debug"),
    (ReloadFailed(reason="poll", metadata="0" * 64, code="C", message="away", hint=None), "error"),
    (RequestRefused(status=415, code="UNSUPPORTED_MEDIA_TYPE", message="m"), "info"),
    (OperationServed(name=None, seconds=0.1, requests=2, rows=10, errors=0), "info"),
    (WebhookPaused(subscription="3f79bb7b", state="PAUSED", reason="status 500"), "warning"),
    (HookReported(environment="default", sets=("CustomersV3",), watches=1), "debug"),
    (JobEnded(job="3f79bb7b", kind="export", state="SUCCEEDED", rows=9, seconds=1.0), "info"),
    (JobDelayed(job="3f79bb7b", kind="export", error="UPSTREAM_TIMEOUT", wait=2.0), "warning"),
    (ExportServed(set="CustomersV3", format="csv", rows=9, size=99, seconds=0.1), "info"),
    (FileServed(set="A", field="b", direction="upload", size=9, seconds=0.1), "info"),
    (PackageDownloaded(set="CustomersV3", size=99, seconds=0.1), "info"),
    (
        ImportServed(set="A", format="csv", mode="create", rows=9, refused=1, seconds=0.1),
        "info",
    ),
    (
        CostSettled(estimated_requests=2, requests=2, estimated_points=6.0, points=5.1),
        "debug",
    ),
    (CostRefused(code="RATE_LIMITED", points=6.0), "info"),
    (ErrorRaised(code="BAD_ARGUMENT", error_id="1", message="m", detail=None), "debug"),
    (ErrorRaised(code="INVALID_CURSOR", error_id="1", message="m", detail=None), "debug"),
    (ErrorRaised(code="OVERLOADED", error_id="1", message="m", detail=None), "debug"),
    (ErrorRaised(code="DEADLINE_EXCEEDED", error_id="1", message="m", detail=None), "warning"),
    (ErrorRaised(code="INTERNAL_ERROR", error_id="1", message="m", detail="d"), "error"),
    (ClientLeft(seconds=0.1), "info"),
    (ConnectionCut(reason="too many connections"), "info"),
    (
        FastPathFailed(stage="raw", reason="value", error="KeyError", place="x.py:1", count=1),
        "debug",
    ),
    (
        FastPathFailed(stage="raw", reason="defect", error="TypeError", place="x.py:1", count=1),
        "error",
    ),
]


@pytest.fixture(autouse=True)
def _own_configuration() -> Iterator[None]:
    yield
    structlog.reset_defaults()


def test_every_event_has_a_row() -> None:
    assert {type(event) for event, _ in LEVELS} == set(get_args(Event))


@pytest.mark.parametrize(("event", "level"), LEVELS)
def test_each_event_has_its_level(event: Event, level: str) -> None:
    assert level_of(event) == level


@pytest.mark.parametrize("event", [event for event, _ in LEVELS])
def test_each_event_can_be_logged(event: Event, capsys: pytest.CaptureFixture[str]) -> None:
    configure_logging(Settings(log_format="json", log_level="debug"))
    log_event(event)

    line = json.loads(capsys.readouterr().err)
    assert line["event"] == log_name(type(event).__name__)
    assert line["level"] == level_of(event)
    assert not {"event", "level", "timestamp"}.intersection(type(event).__struct_fields__)


def test_long_fields_are_cut_off(capsys: pytest.CaptureFixture[str]) -> None:
    configure_logging(Settings(log_format="json"))
    log_event(OperationServed(name="n" * 900_000, seconds=0.1, requests=0, rows=0, errors=1))
    log_event(ErrorRaised(code="INTERNAL_ERROR", error_id="1", message="m", detail="d" * 900))

    served, raised = (json.loads(line) for line in capsys.readouterr().err.splitlines())
    assert served["name"] == "n" * 500 + "…"
    assert raised["detail"] == "d" * 900


def test_json_line_has_the_event_and_its_fields(capsys: pytest.CaptureFixture[str]) -> None:
    configure_logging(Settings(log_format="json", log_level="debug"))

    log_event(SENT)
    log_event(LEVELS[11][0])

    first, second = (json.loads(line) for line in capsys.readouterr().err.splitlines())
    assert first.pop("timestamp")
    assert first == {
        "event": "request_sent",
        "level": "debug",
        "method": "GET",
        "url": "Sets",
        "status": 200,
        "seconds": 0.1235,
        "size": 9,
        "attempt": 1,
        "target": "",
        "dialect": "",
        "waited": 0.0,
    }
    assert "name" not in second


def test_console_line_is_for_people(capsys: pytest.CaptureFixture[str]) -> None:
    configure_logging(Settings(log_format="console", log_level="info"))

    log_event(SENT)
    log_event(LEVELS[0][0])

    (line,) = capsys.readouterr().err.splitlines()
    assert "started" in line
    assert "upstream=sandbox" in line


def test_event_goes_to_all_observers_in_order() -> None:
    seen: list[tuple[str, Event]] = []

    tee(lambda e: seen.append(("a", e)), lambda e: seen.append(("b", e)))(SENT)

    assert seen == [("a", SENT), ("b", SENT)]


class Choosy:
    """Observes one kind of events, and notes the kinds that it was asked about."""

    def __init__(self) -> None:
        self.seen: list[object] = []

    def observe(self, event: Event) -> None:
        self.seen.append(event)

    def observer_of(self, kind: type[Any]) -> Callable[[Any], None] | None:
        self.seen.append(kind)
        return self.observe if kind is type(SENT) else None

    def other(self, event: Event) -> None:
        self.seen.append(("other", event))


def test_an_observer_is_asked_once_what_it_observes() -> None:
    choosy, other = Choosy(), Choosy()
    observe, started = tee(choosy.observe, other.other), LEVELS[0][0]

    for event in (SENT, started, started, SENT):
        observe(event)

    assert choosy.seen == [type(SENT), SENT, type(started), SENT]
    assert other.seen == [("other", event) for event in (SENT, started, started, SENT)]


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("https://x/data/Sets?$top=5&$skip=10", "https://x/data/Sets?$top=5&$skip=10"),
        ("https://me:pw@x/data/Sets", "https://x/data/Sets"),
        ("Sets?$filter=Name eq 'Ann'", "Sets?$filter=Name eq '…'"),
        ("Sets?$filter=Name%20eq%20%27O%27%27Neil%27&$top=1", "Sets?$filter=Name%20eq%20'…''…'&$top=1"),
        ("Sets?$filter=A%20gt%205637144576%20and%20B%20eq%20true", "Sets?$filter=A%20gt%20…%20and%20B%20eq%20…"),
        ("Sets?$filter=(A+le+2020-01-01T12:00:00Z)&$top=1", "Sets?$filter=(A+le+…)&$top=1"),
        ("Sets?$filter=A%20eq%20Ns.NoYes'Yes'", "Sets?$filter=A%20eq%20Ns.NoYes'…'"),
        ("Sets(5637144576)", "Sets(…)"),
        ("Sets(A='x',B=5)/Lines", "Sets(A='…',B=…)/Lines"),
        ("Sets?$skiptoken=abc%27def&$top=1", "Sets?$skiptoken=…&$top=1"),
        ("https://x/m.xml?code=SECRET", "https://x/m.xml?code=…"),
        ("S" * 600, "S" * 499 + "…"),
    ],
)  # fmt: skip
def test_url_is_logged_without_literals(url: str, shown: str) -> None:
    assert loggable(url) == shown


def test_url_is_blanked_only_when_printed() -> None:
    address = Address("https://me:pw@x/data/Set?$filter=Name eq 'Ann'")

    assert str(address) == f"{address}" == "https://x/data/Set?$filter=Name eq '…'"
    assert "Ann" not in repr(address)
    assert "Ann" not in repr(
        RequestSent(method="GET", url=address, status=200, seconds=0.1, size=1, attempt=1)
    )


def test_event_below_the_level_costs_no_text(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    configure_logging(Settings(log_level="info"))
    monkeypatch.setattr("gateway.events.loggable", lambda _: pytest.fail("it was blanked"))

    log_event(SENT)


def test_changed_level_counts_from_the_next_event(capsys: pytest.CaptureFixture[str]) -> None:
    for level, lines in (("warning", 0), ("debug", 1), ("error", 0), ("debug", 1)):
        configure_logging(Settings.model_validate({"log_level": level}))
        log_event(SENT)

        assert len(capsys.readouterr().err.splitlines()) == lines
