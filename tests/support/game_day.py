"""What a game day is made of: something goes wrong under a running gateway, and what everybody then sees."""

from __future__ import annotations

import asyncio
import json
import resource
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import time_machine
from msgspec import Struct
from starlette.applications import Starlette

from gateway.app import create_app
from gateway.config.settings import Settings
from gateway.events import Event, log_name
from gateway.odata.client import ODataClient
from gateway.runtime.environment_check import application_sign_in, bounded, service_steps
from gateway.runtime.upstream_chain import Status
from gateway.telemetry.exposition import render
from gateway.telemetry.measurements import Measurements
from tests.support.changing_metadata import build_here
from tests.support.issuer import jwk, token
from tests.support.login_host import LoginHost

QUERY = "{ customersV3(first: 2) { nodes { customerAccount } } }"
UPSTREAM = "http_client_request_duration_seconds_count"
OPERATIONS = "graphql_server_operation_duration_seconds_count"
RARE = "d365_gateway_events_total"
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


def greedy(request: httpx.Request) -> httpx.Response | None:
    if request.url.path.endswith("/CustomersV3"):
        raise MemoryError
    return None


def healthy(_: httpx.Request) -> None:
    """Return nothing: the service answers."""


def broken_metadata(request: httpx.Request) -> httpx.Response | None:
    return httpx.Response(500) if request.url.path.endswith("$metadata") else None


def forgets_tokens(request: httpx.Request) -> httpx.Response | None:
    """Refuse the first token that the login host issued."""
    is_old = request.headers.get("authorization") == "Bearer token-1"
    return httpx.Response(401) if is_old else None


class Service(httpx.AsyncBaseTransport):
    """The sandbox, unless something else answers."""

    def __init__(self, sandbox: Starlette) -> None:
        self._sandbox = httpx.ASGITransport(sandbox)
        self.answer: Answer = healthy
        self.renamed: tuple[str, str] | None = None
        """A name in the metadata, and the one that has taken its place."""

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        response = self.answer(request)
        if response is None:
            response = await self._sandbox.handle_async_request(request)
        if self.renamed is None or not request.url.path.endswith("$metadata"):
            return response
        text = (await response.aread()).decode().replace(*self.renamed)
        return httpx.Response(200, text=text, headers={"content-type": "application/xml"})


@dataclass(frozen=True, kw_only=True)
class Stage:
    """What the gateway of one row has around it."""

    folder: Path
    service: Service
    login: LoginHost

    def __post_init__(self) -> None:
        self.sign_with("k1")
        self.secret.write_text(self.login.secrets[0], "utf-8")
        manifest = {"a1": QUERY}
        (self.folder / "manifest.json").write_text(json.dumps(manifest), "utf-8")

    @property
    def keys(self) -> Path:
        """The keys of the issuer of callers' tokens."""
        return self.folder / "keys.json"

    @property
    def secret(self) -> Path:
        """The secret of the gateway's application."""
        return self.folder / "secret"

    def sign_with(self, key: str) -> None:
        """Let the issuer publish this key, and no other one."""
        self.keys.write_text(json.dumps({"keys": [jwk(key)]}), "utf-8")

    def damage_store(self) -> None:
        file = self.folder / "store" / "gateway.db"
        file.parent.mkdir(mode=0o700)
        file.write_bytes(b"damaged " * 2_000)
        file.chmod(0o600)


Trouble = Callable[[Stage], AbstractContextManager[object]]


def no_trouble(_: Stage) -> AbstractContextManager[None]:
    return nullcontext()


def rotates_key(stage: Stage) -> AbstractContextManager[None]:
    stage.sign_with("k2")
    return nullcontext()


def loses_keys(stage: Stage) -> AbstractContextManager[None]:
    stage.keys.write_text("<html>", "utf-8")
    return nullcontext()


def rotates_secret(stage: Stage) -> AbstractContextManager[None]:
    stage.login.secrets[:] = ["another"]
    stage.secret.write_text("another", "utf-8")
    return nullcontext()


def expires_secret(stage: Stage) -> AbstractContextManager[None]:
    stage.login.secrets[:] = ["another"]
    return nullcontext()


@contextmanager
def renames_account(stage: Stage) -> Iterator[None]:
    stage.service.renamed = ("CustomerAccount", "CustomerNumber")
    try:
        yield
    finally:
        stage.service.renamed = None


@contextmanager
def fills_disk(_: Stage) -> Iterator[None]:
    """Let no file grow: the kernel says EFBIG instead of ENOSPC."""
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, limits[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)


@contextmanager
def fills_disk_after_change(stage: Stage) -> Iterator[None]:
    """Likewise, when a snapshot of new metadata is to be written."""
    with renames_account(stage), fills_disk(stage):
        yield


def sets_clock(seconds: float) -> Trouble:
    return lambda _: time_machine.travel(time.time() + seconds, tick=True)


@dataclass(frozen=True, kw_only=True)
class Row:
    """Something that goes wrong, and what it looks like."""

    what: str
    service: Answer = healthy
    settings: Mapping[str, Any] = field(default_factory=dict)
    of_stage: Callable[[Stage], Mapping[str, Any]] = lambda _: {}
    """Settings that name parts of the stage."""
    trouble: Trouble = no_trouble
    reloads: bool = False
    """Whether somebody has the metadata reloaded meanwhile."""
    damages_store: bool = False
    operation: Mapping[str, str] = field(default_factory=lambda: {"query": QUERY})
    signed: str | None = None
    """The key that signs the caller's token; None: callers send none."""
    code: str | None = None
    """What callers get; None: their rows."""
    wait: float | None = None
    """``retryAfter`` of the error."""
    log: tuple[str, ...]
    """Events at least."""
    metric: str
    labels: Mapping[str, str] = field(default_factory=dict)
    panel: str
    """The chart that shows it: of the metric, or of what it says in ``panel_labels``."""
    panel_labels: Mapping[str, str] | None = None
    health: str | None = None
    """The step at which ``/health/upstream`` says that the way to the environment ends; None: it does not end."""
    alert: str | None
    """None: nothing is wrong."""
    ends: bool = True
    """Whether the next operation succeeds once all is well again."""


class Said(Struct):
    """What everybody saw."""

    answer: Any
    ready: int
    metrics: str
    ends: str | None
    """The step at which the way to the environment ends."""
    after: Any
    """What callers got when all was well again."""
    events: list[Event]


async def happens(row: Row, stage: Stage) -> Said:
    """Let it happen under a running gateway."""
    events: list[Event] = []
    measurements = Measurements()
    settings = settings_of(row, stage)
    app = create_app(
        settings,
        transport=stage.service,
        observe=events.append,
        build_model=build_here,
        measurements=measurements,
    )
    stage.service.answer = healthy
    transport = httpx.ASGITransport(app)
    async with (
        app.router.lifespan_context(app),
        httpx.AsyncClient(transport=transport, base_url="http://localhost") as http,
    ):

        async def ask(bearer: str | None) -> Any:
            headers = {} if bearer is None else {"authorization": f"Bearer {bearer}"}
            return (await http.post("/graphql", json=row.operation, headers=headers)).json()

        bearer = "d365_0123456789abcdef_secret" if row.damages_store else None
        if row.signed is not None:
            bearer = token(row.signed)
            assert "errors" not in await ask(token("k1", sub="bob"))
        stage.service.answer = row.service
        with row.trouble(stage):
            if row.reloads:
                await app.state.reloader.reload("admin")
            answer = await ask(bearer)
            ready = await http.get("/readyz")
            ends = await end_of_way(settings, stage)
            await seen(row, events)
            metrics = render(measurements, of_process=False)
        stage.service.answer = healthy
        after = await ask(bearer)
    # The status is written now and then, at the latest at the end.
    metrics += render(measurements, of_process=False)
    return Said(answer, ready.status_code, metrics, ends, after, events)


def settings_of(row: Row, stage: Stage) -> Settings:
    return Settings(
        **{
            "url": "http://erp.example/data",
            "auth": "none",
            "dialect": "finops",
            "cache_dir": None,
            "data_dir": stage.folder,
            "language": None,
            "operation_timeout": 10,
            "retries": 1,
            "retry_wait_max": 0.01,
            **row.settings,
            **row.of_stage(stage),
        }
    )


async def end_of_way(settings: Settings, stage: Stage) -> str | None:
    """Walk the steps of ``/health/upstream`` to the service. Whose user it takes the caller for is none of a row."""
    once = settings.model_copy(update={"retries": 0})
    auth = None if settings.auth == "none" else application_sign_in(once, lambda _: None)
    client = ODataClient(once, auth=auth, transport=stage.service, observe=lambda _: None)
    found = service_steps(once, lambda _: None, auth=auth, client=client)
    steps = [step async for step in bounded(found, 20)]
    problems = (step.name for step in steps if step.status is Status.PROBLEM)
    return next((name for name in problems if name in {"sign-in", "service"}), None)


async def seen(row: Row, events: list[Event]) -> None:
    """Wait for what is noticed a little later, at most for some seconds; the rest comes at the end."""
    for _ in range(500 if "clock_jumped" in row.log or "document_broken" in row.log else 0):
        if set(row.log) <= logged(events):
            return
        await asyncio.sleep(0.01)


def logged(events: Sequence[Event]) -> set[str]:
    return {log_name(type(event).__name__) for event in events}
