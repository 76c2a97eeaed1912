"""What exists while the application runs: its own environment from the start, the others from their first request."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from contextlib import (
    AbstractAsyncContextManager,
    AbstractContextManager,
    AsyncExitStack,
    asynccontextmanager,
    nullcontext,
    suppress,
)
from dataclasses import dataclass, field, replace
from functools import partial
from typing import TYPE_CHECKING

import httpx
from starlette.applications import Starlette

from gateway.administration.sign_in_watch import SignInWatch
from gateway.audit.opening import recording
from gateway.cache.answer_store import AnswerStore
from gateway.config.environment_models import OWN
from gateway.config.environments import own_settings
from gateway.config.settings import Settings
from gateway.documents.trusted import NO_DOCUMENTS
from gateway.environments.gauges import count_environments, measuring_environment
from gateway.environments.job_environments import JobEnvironments
from gateway.environments.open_environment import (
    OpenEnvironment,
    SharedParts,
    open_environment,
    serving,
)
from gateway.environments.opened import OpenEnvironments
from gateway.environments.registry import Environment, Registry
from gateway.errors import SettingsError, StoreUnavailable
from gateway.hooks.receiving import Elsewhere, Hooks, Reported
from gateway.hooks.secrets import open_hook_secrets
from gateway.hooks.worker_reports import WorkerReports
from gateway.http.loop_watch import LoopWatch
from gateway.http.request_audit import auditing
from gateway.http.running_operations import RunningOperations
from gateway.http.waiting_bytes import WaitingBytes
from gateway.identity.authenticator import Authenticator
from gateway.jobs.changing import ChangesKind
from gateway.jobs.exporting import ExportKind
from gateway.jobs.importing import ImportKind
from gateway.jobs.job_store import JobStore
from gateway.jobs.mutating import MutationKind
from gateway.jobs.runner import JobRunner
from gateway.jobs.running import JobKind
from gateway.jobs.service import Jobs
from gateway.manifests.store import TrustedStore
from gateway.metadata.document_loader import MetadataDocument
from gateway.metadata.model_builder import LoadedModel, Progress
from gateway.metadata.model_process import BuildModel
from gateway.metadata.shared_models import share_builds
from gateway.process.daemon_call import daemon_call
from gateway.replicas.opening import open_replicas
from gateway.runtime.document_checks import DocumentCheck
from gateway.runtime.generations import join_workers, open_generations
from gateway.runtime.lasting import Lasting
from gateway.status.comparison import RegisteredOperation
from gateway.status.deployment_status import DeploymentStatus
from gateway.store.api_keys import ApiKeys
from gateway.store.polling import StorePoller
from gateway.telemetry import catalog
from gateway.telemetry.clock_watch import watching_clock
from gateway.telemetry.event_counters import EventCounters
from gateway.telemetry.gauges import measuring_process, showing, showing_webhooks
from gateway.telemetry.measurements import Measurements
from gateway.telemetry.metric import Metric
from gateway.telemetry.tracing import Tracing
from gateway.webhooks.integrator import sending_webhooks
from gateway.webhooks.outgoing import Outgoing
from gateway.webhooks.runner import WebhookRunner
from gateway.webhooks.service import Webhooks
from gateway.webhooks.subscription_store import SubscriptionStore

from .events import Observer, tee

if TYPE_CHECKING:  # they import the client of Redis, which is optional
    from gateway.replicas.notices import Reported as ReportNotice
    from gateway.replicas.replicas import Replicas

MAX_BROKEN = 5
"""Trusted documents that are named when settings would break them."""
PARSED_AT_ONCE = 2
"""Metadata documents that are parsed at a time when environments are opened or reloaded."""
_OWN_STATE = ("environment", "live", "profiles", "role_views", "subscriptions", "reloader")
"""What the state of an application holds of its own environment."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ProcessMetrics:
    """What the process measures, and the parts of the application that it measures besides its events."""

    measurements: Measurements
    counters: EventCounters
    running: RunningOperations
    waiting: WaitingBytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Lifespan:
    """Opens and closes what an application serves with. It raises what ``open_gateway`` raises."""

    settings: Settings
    transport: httpx.AsyncBaseTransport | None
    observe: Observer
    progress: Progress | None
    build_model: BuildModel
    authenticator: Authenticator | None
    api_keys: ApiKeys | None
    registry: Registry | None
    """None: there is one environment only."""
    poller: StorePoller | None
    """None: nothing of the store is followed."""
    documents: TrustedStore | None = None
    """None: clients can name no documents."""
    workers: int = 1
    """Processes that serve together, of which this is one."""
    tracing: Tracing
    metrics: ProcessMetrics | None = None
    """What is measured; None: nothing."""
    lasting: Lasting = field(default_factory=Lasting)
    """What an earlier application of the process may have left."""
    loop_watch: LoopWatch | None = None
    """Notices that the event loop is behind; None: nothing does."""
    close_links: Callable[[], None] | None = None
    """Closes what the link page has opened; None: there is none."""

    @asynccontextmanager
    async def __call__(self, app: Starlette) -> AsyncIterator[None]:
        """Serve until the end of the block."""
        # One for all environments of the process, whose answers are bounded together.
        answers = AnswerStore(self.settings.cache.max_bytes)
        async with recording(self.settings, self.observe) as log:
            status = app.state.status = DeploymentStatus(
                self.settings,
                self.observe,
                operations=self._registered,
                lasting=self.lasting,
            )
            app.state.shutdown = self.lasting.shutdown
            async with open_replicas(self.settings, self.observe) as replicas:
                shared = SharedParts(
                    audit=log, answers=answers, documents=self.documents, lasting=self.lasting
                )
                if replicas is None and self.workers > 1:
                    shared = replace(shared, join=join_workers(self.workers))
                if replicas is not None:
                    shared = replace(
                        shared,
                        join=replicas.joined,
                        log_of=replicas.log_of,
                        builds=replicas.builds,
                    )
                    if self.documents is not None and self.documents.automatic is not None:
                        replicas.share_documents(self.documents.automatic)
                with auditing(app, log), watching_clock(self.observe):
                    async with (
                        status.running(),
                        sending_webhooks(self.settings, self.observe),
                        self.tracing.running(),
                        self._measured(answers),
                        self._own(app, shared, status),
                        self._others(app, shared, status),
                        self._webhooks(app),
                        self._hooks(app, replicas),
                        self._jobs(app),
                    ):
                        self.lasting.has_served = True
                        watch = self.loop_watch
                        with nullcontext() if watch is None else watch.watching(self.observe):
                            yield

    def _registered(self, _settings: Settings) -> Iterable[RegisteredOperation]:
        """Return the operations by which changes of metadata are judged: the trusted documents."""
        release = NO_DOCUMENTS if self.documents is None else self.documents.release
        return [RegisteredOperation(d.id, d.text) for d in release.documents]

    @asynccontextmanager
    async def _own(
        self, app: Starlette, shared: SharedParts, status: DeploymentStatus
    ) -> AsyncIterator[None]:
        """Serve the environment of the settings themselves."""
        observe = tee(self.observe, status.observer(""))
        opened = open_generations(
            own_settings(self.settings),
            transport=self.transport,
            observe=observe,
            progress=self.progress,
            parts=shared,
            beside=_sharing(shared, self.build_model) if self.lasting.has_served else None,
        )
        async with AsyncExitStack() as stack:
            if self.close_links is not None:
                stack.callback(self.close_links)
            if self.poller is not None:
                stack.push_async_callback(self.poller.close)
                await self.poller.start()
                app.state.poller = self.poller
            if self.api_keys is not None:
                stack.push_async_callback(self.api_keys.close)
            if self.documents is not None:
                await stack.enter_async_context(self.documents.running())
                app.state.documents = self.documents
            live = await stack.enter_async_context(opened)
            if self.authenticator is not None:
                await stack.enter_async_context(self.authenticator.running())
            own = await stack.enter_async_context(
                serving(
                    live,
                    observe,
                    _sharing(shared, self.build_model),
                    status.changed,
                    self.documents,
                )
            )
            own.subscriptions.log_of = partial(shared.log_of, "")
            stack.enter_context(status.serving(live.gateway))
            stack.enter_context(self._measured_environment(own))
            app.state.environment = own
            app.state.live, app.state.profiles = own.live, own.profiles
            app.state.role_views = own.views
            app.state.subscriptions, app.state.reloader = own.subscriptions, own.reloader
            try:
                yield
            finally:
                await own.subscriptions.close()
                for name in _OWN_STATE:
                    delattr(app.state, name)

    @asynccontextmanager
    async def _others(
        self, app: Starlette, shared: SharedParts, status: DeploymentStatus
    ) -> AsyncIterator[None]:
        """Serve the declared environments, each from its first request on."""
        app.state.environments = None
        if self.registry is None:
            yield
            return
        parsing = asyncio.Semaphore(PARSED_AT_ONCE)
        watch = SignInWatch(self.settings, self.observe)

        async def build(settings: Settings, document: MetadataDocument) -> LoadedModel:
            async with parsing:
                return await self.build_model(settings, document)

        @asynccontextmanager
        async def open_(declared: Environment) -> AsyncIterator[OpenEnvironment]:
            opening = open_environment(
                await daemon_call(declared.settings),
                transport=self.transport,
                observe=tee(
                    self.observe, status.observer(declared.name), watch.observer(declared.name)
                ),
                shared=shared,
                build_model=_sharing(shared, build),
                changed=status.changed,
            )
            async with opening as environment:
                environment.subscriptions.log_of = partial(shared.log_of, declared.name)
                with (
                    status.serving(environment.live.gateway),
                    self._measured_environment(environment),
                ):
                    yield environment

        app.state.environments = opened = OpenEnvironments(
            self.registry,
            open_,
            idle=self.settings.environment_idle,
            observe=tee(self.observe, status.process.observe),
        )

        def drop(name: str) -> None:
            status.process.drop(name)
            if self.metrics is not None:
                self.metrics.counters.drop(name)

        self.registry.follow(opened.follow, opened.reload, drop)
        uncount = None
        if self.metrics is not None:
            uncount = count_environments(self.metrics.measurements, opened)
        try:
            yield
        finally:
            if uncount is not None:
                uncount()
            await opened.close()
            await watch.close()
            app.state.environments = None

    def _environments(self, app: Starlette) -> JobEnvironments:
        """Return the environments, as those enter them who work in the background for callers."""
        return JobEnvironments(
            settings=self.settings,
            own=lambda: app.state.environment,
            others=app.state.environments,
            knows_callers=self.authenticator is not None,
            api_keys=self.api_keys,
        )

    @asynccontextmanager
    async def _webhooks(self, app: Starlette) -> AsyncIterator[None]:
        """Send the webhooks of this process."""
        store, outgoing = SubscriptionStore(self.settings), Outgoing(self.settings.webhooks)
        runner = WebhookRunner(
            store,
            self._environments(app).enter,
            outgoing,
            self.observe,
            owner=self.lasting.owner,
            callers=self.lasting.webhook_callers,
        )
        app.state.webhooks = Webhooks(store, runner, outgoing)
        async with runner.running():
            measurements = None if self.metrics is None else self.metrics.measurements
            with showing_webhooks(measurements, lambda: runner.counts):
                try:
                    yield
                finally:
                    del app.state.webhooks

    @asynccontextmanager
    async def _hooks(self, app: Starlette, replicas: Replicas | None) -> AsyncIterator[None]:
        """Take what environments report."""
        webhooks: Webhooks = app.state.webhooks
        workers: WorkerReports | None = None

        async def spread(name: str, reported: Reported) -> None:
            if replicas is not None:
                replicas.tell_report(name, reported.names, reported.entities, reported.at)
            elif workers is not None:
                workers.tell(name, reported)
            with suppress(StoreUnavailable):
                # The next poll finds the change.
                await webhooks.wake("" if name == OWN else name, reported.names, reported.at)

        async def follows(name: str) -> bool:
            try:
                return await webhooks.follows(name)
            except StoreUnavailable:
                return False

        hooks = Hooks(
            self.settings,
            open_hook_secrets(self.settings, self.observe, self.poller),
            self.observe,
            own=lambda: getattr(app.state, "environment", None),
            others=app.state.environments,
            elsewhere=Elsewhere(spread, follows),
        )
        if replicas is not None:

            def hear(notice: ReportNotice) -> None:
                told = Reported(names=notice.names, entities=notice.entities, at=notice.at)
                hooks.hear(notice.environment, told)

            replicas.share_reports(hear, hooks.logged)
        elif self.workers > 1:
            workers = WorkerReports.open(hooks.hear)
        app.state.hooks = hooks
        try:
            yield
        finally:
            del app.state.hooks
            if workers is not None:
                workers.close()
            await hooks.close()

    @asynccontextmanager
    async def _jobs(self, app: Starlette) -> AsyncIterator[None]:
        """Run the jobs of this process, and those of killed ones."""
        store = JobStore(self.settings)
        enter = self._environments(app).enter
        runner = JobRunner(store, job_kinds(self.settings), enter, self.observe, self.lasting.owner)
        async with AsyncExitStack() as stack:
            await stack.enter_async_context(runner.running())
            if self.metrics is not None:
                running = {catalog.JOBS_HELD: lambda: runner.held}
                stack.enter_context(showing(self.metrics.measurements, running))
            app.state.jobs = Jobs(store, runner)
            try:
                yield
            finally:
                del app.state.jobs

    def _measured(self, answers: AnswerStore) -> AbstractAsyncContextManager[None]:
        """Return what measures the process until the end of its block."""
        metrics = self.metrics
        if metrics is None:
            return nullcontext()
        sizes: dict[Metric, Callable[[], float]] = {
            catalog.RUNNING: lambda: metrics.running.running,
            catalog.WAITING_BYTES: lambda: metrics.waiting.held,
            catalog.CACHED_ANSWERS: lambda: len(answers),
            catalog.CACHED_BYTES: lambda: answers.size,
        }
        return measuring_process(metrics.measurements, sizes)

    def _measured_environment(self, environment: OpenEnvironment) -> AbstractContextManager[None]:
        """Return what shows the gauges of an environment until the end of its block."""
        if self.metrics is None:
            return nullcontext()
        return measuring_environment(self.metrics.measurements, environment)


def job_kinds(settings: Settings) -> Sequence[JobKind]:
    """Return what jobs can do: whoever writes another kind adds it here."""
    options = settings.jobs
    exports = ExportKind(options.part_rows, options.parallel)
    return (exports, ChangesKind(options.part_rows), ImportKind(), MutationKind())


def _sharing(shared: SharedParts, build_model: BuildModel) -> BuildModel:
    """Return what makes models, or takes those that other replicas make."""
    return build_model if shared.builds is None else share_builds(shared.builds, build_model)


def take_over(old: Starlette, new: Starlette) -> None:
    """Let an application, which serves from now on, go on with what another one does in the background.

    Streams of the old one end, so that their clients begin them anew.
    """
    for environment in _environments_of(old):
        environment.subscriptions.stop()
    old.state.webhooks.hand_over(has_successor=True)
    old.state.jobs.hand_over(new.state.jobs)


def longest_of_open(app: Starlette) -> float:
    """Return the most seconds that an operation may take in any environment that is open."""
    opened = _environments_of(app)
    return max(each.live.gateway.settings.operation_timeout for each in opened)


def leave(app: Starlette) -> None:
    """Let others go on with what an application does in the background, which ends soon."""
    state = app.state
    for name in ("jobs", "webhooks"):
        if (work := getattr(state, name, None)) is not None:
            work.hand_over()


async def require_same_documents(old: Starlette, new: Starlette) -> None:
    """Open what another application has open, and raise SettingsError if trusted documents would no longer run.

    Raises SettingsError, SchemaError also if an environment cannot be opened with the new settings.
    """
    if new.state.environments is not None and old.state.environments is not None:
        await new.state.environments.open_as(old.state.environments)
    before = {environment.name: environment for environment in _environments_of(old)}
    for environment in _environments_of(new):
        earlier = before.get(environment.name)
        if earlier is None or earlier.documents is None or environment.documents is None:
            continue
        broken = await environment.documents.newly_broken(earlier.documents)
        if broken:
            raise _breaks(environment.name, broken)


def _environments_of(app: Starlette) -> Sequence[OpenEnvironment]:
    own, others = app.state.environment, app.state.environments
    return (own, *(() if others is None else others.opened()))


def _breaks(environment: str, broken: Sequence[DocumentCheck]) -> SettingsError:
    """Return the error for settings with which documents no longer run."""
    lines = []
    for check in broken[:MAX_BROKEN]:
        operation = check.broken[0]
        reason = operation.messages[0] if operation.messages else operation.code
        lines.append(f"{check.document.name or check.document.id}: {reason}")
    place = f" in the environment {environment}" if environment else ""
    number = f"{len(broken):,} trusted document{'s' if len(broken) > 1 else ''}"
    return SettingsError(
        "\n  ".join([f"{number} would no longer run{place}:", *lines]),
        hint="Change or remove them in the manifest first; a restart takes the settings as they are.",
    )


def seconds_refused(app: Starlette, name: str) -> float | None:
    """Return for how many seconds requests to an environment are refused yet; None: they are sent. Any thread may."""
    for environment in _environments_of(app):
        if (environment.name or OWN) == name:
            breakers = [a.breaker for a in environment.live.gateway.client.admissions.values()]
            return max((b.remaining for b in breakers if b.is_open), default=None)
    return None
