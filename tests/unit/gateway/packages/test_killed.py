"""An export by packages whose process is killed at any checkpoint: one start, and the same bytes in the end."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import httpx
import msgspec
import pytest
from msgspec import structs
from starlette.applications import Starlette

from gateway.admission.work import Lane, current_work
from gateway.config.package_models import PackageOptions, PackageSet
from gateway.config.settings import Settings
from gateway.errors import UpstreamRejected
from gateway.export.request import ExportRequest
from gateway.identity.caller import ANONYMOUS, Caller
from gateway.jobs.exporting import ExportJob, ExportKind
from gateway.jobs.part_store import FolderParts
from gateway.jobs.records import Checkpoint, Progress
from gateway.jobs.running import RunningJob
from gateway.packages.executions import Executions
from gateway.packages.records import Execution
from gateway.runtime.served_api import ServedApi
from gateway.sandbox import SandboxSettings, create_sandbox
from gateway.sandbox.packages import Packages
from tests.support.app_client import serving
from tests.support.caller_tokens import CallerTokenWorld
from tests.support.callers import caller_of

pytestmark = pytest.mark.anyio
REQUEST = msgspec.json.encode(
    ExportJob(
        set="CustomersV3",
        export=ExportRequest(fields="customerAccount,dataAreaId", format="csv"),
        companies=("dat", "demf"),
        source="package",
    )
)


class Killed(BaseException):
    """The process ends here."""


class Job:
    """A job in the store, which outlives the processes that run it."""

    def __init__(self, api: ServedApi, folder: Path, caller: Caller) -> None:
        self.checkpoint = Checkpoint()
        self.saves = 0
        self._api = api
        self._caller = caller
        self._files = FolderParts(folder)

    async def run(self, *, until: int = 0, after_save: bool = False) -> None:
        """Run in a new process, which is killed at a checkpoint: before or after that is stored."""
        saves = 0

        async def save(checkpoint: Checkpoint, _: Progress) -> None:
            nonlocal saves
            saves += 1
            if saves == until and not after_save:
                raise Killed
            self.checkpoint, self.saves = checkpoint, saves
            if saves == until:
                raise Killed

        record = SimpleNamespace(id="0" * 32, request=REQUEST, checkpoint=self.checkpoint)
        running = RunningJob(cast("Any", record), self._caller, self._api, self._files, save)
        await ExportKind(40, 1).run(running)

    @property
    def whole(self) -> bytes:
        """All parts, one after the other."""
        parts = self.checkpoint.parts
        return b"".join(b"".join(self._files.read("0" * 32, part.sha256)) for part in parts)


class Noting(httpx.ASGITransport):
    """Notes in which lane requests are sent."""

    def __init__(self, app: Starlette) -> None:
        super().__init__(app)
        self.lanes: set[Lane] = set()

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        self.lanes.add(current_work().lane)
        return await super().handle_async_request(request)


@dataclass
class Served:
    """A gateway over a sandbox."""

    sandbox: Starlette
    transport: Noting
    api: ServedApi
    folders: pytest.TempPathFactory

    @property
    def packages(self) -> Packages:
        """The data management framework of the sandbox."""
        framework: Packages = self.sandbox.state.packages
        return framework

    def job(self, caller: Caller = ANONYMOUS) -> Job:
        """Return a new job."""
        return Job(self.api, self.folders.mktemp("job"), caller)


@pytest.fixture(scope="module")
async def served(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Served]:
    sandbox = create_sandbox(SandboxSettings(scale=0.5))
    options = PackageOptions(
        poll=0.001, sets={"CustomersV3": PackageSet(project="Export CustomersV3")}
    )
    settings = Settings(
        cache_dir=None,
        data_dir=None,
        language="none",
        default_page_size=10,
        max_page_size=20,
        packages=options,
    )
    transport = Noting(sandbox)
    async with serving(settings, upstream=transport) as (app, _):
        yield Served(sandbox, transport, ServedApi(live=app.state.live), tmp_path_factory)


async def test_a_killed_export_is_started_once(served: Served) -> None:
    packages, new_job = served.packages, served.job
    packages.reset()
    packages.unknown = 2
    undisturbed = new_job()
    await undisturbed.run()
    expected = undisturbed.whole
    assert undisturbed.saves > 8

    for at in range(1, undisturbed.saves + 1):
        for after_save in (False, True):
            packages.executions.clear()
            job = new_job()
            with pytest.raises(Killed):
                await job.run(until=at, after_save=after_save)
            # And once more, at a later checkpoint.
            with suppress(Killed):
                await job.run(until=2 if at % 2 else 0)
            await job.run()

            place = (at, after_save)
            assert job.whole == expected, place
            companies = [each.company for each in packages.executions.values()]
            assert companies == ["dat", "demf"], place


async def test_another_package_than_before_is_refused(served: Served) -> None:
    packages, new_job = served.packages, served.job
    packages.reset()
    job = new_job()
    with pytest.raises(Killed):
        await job.run(until=4, after_save=True)
    assert job.checkpoint.parts
    for execution in packages.executions.values():
        execution.package = execution.package + b" "

    with pytest.raises(UpstreamRejected, match="another one than before"):
        await job.run()


async def test_parts_of_odata_are_not_mixed_with_packages(served: Served) -> None:
    """Of a job that an older version of the gateway has begun."""
    packages, new_job = served.packages, served.job
    packages.reset()
    job = new_job()
    job.checkpoint = structs.replace(
        job.checkpoint, state=msgspec.Raw(b'{"places":[],"is_cut":true}')
    )
    await job.run()

    assert packages.executions == {}
    assert sorted(job.whole.split()) != []


async def test_requests_have_the_identity_of_the_caller(
    served: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    served.packages.reset()
    served.sandbox.state.requests.clear()
    served.transport.lanes.clear()
    gateway = served.api.live.gateway
    world = CallerTokenWorld()
    monkeypatch.setattr(gateway.client, "callers", world.tokens)
    monkeypatch.setattr(gateway.engine.reads, "identities", gateway.client)
    job = served.job(caller_of("ann"))
    try:
        await job.run()
    finally:
        world.tokens.close()

    sent = {
        request.path.rpartition(".")[2]: request.headers.get("authorization")
        for request in served.sandbox.state.requests
    }
    assert sent.pop("zip") is None
    assert {"ExportToPackage", "GetExecutionSummaryStatus", "GetExportedPackageUrl"} <= sent.keys()
    assert set(sent.values()) == {"Bearer token-of-ann#1"}
    assert served.transport.lanes == {Lane.EXPORT}


async def test_an_execution_may_take_so_long(served: Served) -> None:
    packages, gateway = served.packages, served.api.live.gateway
    packages.reset()
    packages.polls = 1_000_000
    actions = gateway.dialect.packages
    assert actions is not None
    options = PackageOptions(poll=0.001, timeout=0.02)
    runs = Executions(gateway.client, actions, "Export Currencies", options)
    execution = await runs.started(Execution(id="long", company="dat"), may_exist=False)

    with pytest.raises(UpstreamRejected, match="runs for more than"):
        await runs.ended(execution)
    # Whoever resumes the job waits for the same execution.
    packages.executions["long"].polls = 0
    await runs.ended(await runs.started(execution, may_exist=True))
    assert list(packages.executions) == ["long"]
