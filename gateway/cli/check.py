"""``check``: tests step by step whether a gateway with these settings would work, with a hint for each problem."""

from __future__ import annotations

import asyncio
import shutil
import tempfile
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterable
from dataclasses import asdict
from functools import partial
from itertools import chain

import msgspec
import typer

from gateway.audit.opening import probe_sink, sink_of
from gateway.config.environments import own_settings, real_address
from gateway.config.settings import Settings
from gateway.environments.named_settings import names_of, settings_of
from gateway.errors import GatewayError
from gateway.metadata.document_loader import DocumentOrigin, load_metadata
from gateway.metadata.model_builder import LoadedModel, dialect_of, open_model
from gateway.odata.client import ODataClient
from gateway.odata.token_facts import TokenFacts
from gateway.replicas.opening import probe_shared_state
from gateway.runtime.assembly import build, open_client, with_policy
from gateway.runtime.environment_check import (
    application_sign_in,
    bounded,
    metadata_step,
    schema_problem,
    signed_in,
)
from gateway.runtime.upstream_chain import MAX_NAMES, Status, Step, account_steps, problem_step
from gateway.storage.private_files import make_own_folder
from schema.errors import SchemaError

from .check_callers import check_callers
from .progress import reading_metadata, working
from .schema_commands import quiet
from .tables import plain

_DEPLOYMENT = "deployment:"
"""Heads the steps of what all environments share; no environment has such a name."""
LONGEST = 300.0
"""Seconds that the check of one environment of several may take."""
_FREE = 200 * 1024 * 1024
"""Free bytes that a cache folder needs: documents, models and introspection of two generations of a whole catalogue."""


def print_check(settings: Settings, *, as_json: bool) -> None:
    """Print each step as it ends. Exits with 1 if one of them is a problem."""
    print_steps(lambda: check(settings), as_json=as_json)


def print_environment(settings: Settings, name: str, *, as_json: bool) -> None:
    """Print the steps of one environment. Exits likewise; raises NoSuchEnvironment."""
    own = settings_of(settings, name)
    print_steps(lambda: bounded(check_environment(own), LONGEST), as_json=as_json)


def print_all(settings: Settings, *, as_json: bool) -> None:
    """Print the steps of the deployment, and of each of its environments. Exits likewise."""
    results: dict[str, list[Step]] = {}

    async def run() -> None:
        checks: Iterable[tuple[str, Callable[[], AsyncIterator[Step]]]] = chain(
            [(_DEPLOYMENT, partial(check_deployment, settings))],
            ((name, partial(_named, settings, name)) for name in names_of(settings)),
        )
        for name, check_ in checks:
            steps = results[name] = []
            if not as_json:
                print(f"{name.rstrip(':')}:", flush=True)
            async for step in check_():
                steps.append(step)
                if not as_json:
                    print(_line(step), flush=True)

    asyncio.run(run())
    failed = [name for name, steps in results.items() if _has_problem(steps)]
    if as_json:
        environments = {
            name: {"ok": name not in failed, "steps": [asdict(step) for step in steps]}
            for name, steps in results.items()
        }
        deployment = environments.pop(_DEPLOYMENT)
        content = {**deployment, "ok": not failed, "environments": environments}
        print(msgspec.json.encode(content).decode())
    if failed:
        raise typer.Exit(1)


async def _named(settings: Settings, name: str) -> AsyncIterator[Step]:
    """Yield the steps of an environment; that its settings cannot be used is one of them."""
    try:
        own = await asyncio.to_thread(settings_of, settings, name)
    except GatewayError as error:
        yield problem_step("settings", error)
        return
    async for step in bounded(check_environment(own), LONGEST):
        yield step


def _has_problem(steps: Iterable[Step]) -> bool:
    return any(step.status is Status.PROBLEM for step in steps)


def print_steps(check_: Callable[[], AsyncIterator[Step]], *, as_json: bool) -> None:
    """Print each step as it ends. Exits with 1 if one of them is a problem."""
    steps: list[Step] = []

    async def run() -> None:
        async for step in check_():
            steps.append(step)
            if not as_json:
                print(_line(step), flush=True)

    asyncio.run(run())
    failed = _has_problem(steps)
    if as_json:
        content = {"ok": not failed, "steps": [asdict(step) for step in steps]}
        print(msgspec.json.encode(content).decode())
    if failed:
        raise typer.Exit(1)


def _line(step: Step) -> str:
    hint = f"\n{'':21}hint: {plain(step.hint)}" if step.hint else ""
    return f"{step.status.value:<8} {step.name:<11} {plain(step.text)}{hint}"


async def check(settings: Settings) -> AsyncIterator[Step]:
    """Yield the steps in order. Steps that depend on a failed one are left out."""
    yield _environment(settings)
    async for step in check_deployment(settings):
        yield step
    async for step in _way(own_settings(settings)):
        yield step


async def check_deployment(settings: Settings) -> AsyncIterator[Step]:
    """Yield the steps of what all environments share."""
    yield _cache(settings)
    if real_address(settings) is not None or settings.inbound.knows_callers:
        async for text, hint in check_callers(settings):
            yield Step("callers", Status.OK if hint is None else Status.PROBLEM, text, hint)
    if settings.replicas.address is not None:
        yield await _replicas(settings)
    if sink_of(settings) != "none" or settings.audit.required:
        text, hint = probe_sink(settings)
        yield Step("audit", Status.OK if hint is None else Status.PROBLEM, text, hint)


async def _replicas(settings: Settings) -> Step:
    try:
        found = await probe_shared_state(settings)
    except GatewayError as error:
        return problem_step("replicas", error)
    assert found is not None
    return Step("replicas", Status.OK if found.is_up else Status.PROBLEM, found.text, found.hint)


async def check_environment(settings: Settings) -> AsyncGenerator[Step]:
    """Yield the steps of one environment."""
    yield _environment(settings)
    async for step in _way(settings):
        yield step


async def _way(settings: Settings) -> AsyncIterator[Step]:
    """Yield the steps from the sign-in on."""
    async with open_client(settings, observe=quiet) as client:
        application = settings.client_id
        if settings.auth != "none":
            facts, step = await _sign_in(settings)
            if facts is not None:
                application = facts.application or application
            yield step
            if step.status is Status.PROBLEM:
                return
        metadata = await _metadata(settings, client)
        if isinstance(metadata, Step):
            yield metadata
            return
        step, document, loaded = metadata
        yield step
        dialect = dialect_of(settings, loaded.model)
        yield Step("dialect", Status.OK, f"{dialect.title} ({dialect.name})")
        entity_sets = tuple(loaded.model.entity_sets)
        with working("Testing the account"):
            steps = [
                s async for s in account_steps(settings, client, entity_sets, dialect, application)
            ]
        for step in steps:
            yield step
        if settings.roles:
            yield await _policy(settings, client, document, loaded)


def _environment(settings: Settings) -> Step:
    if settings.url is None:
        return Step(
            "environment", Status.OK, "embedded sandbox; D365_URL selects a real environment"
        )
    client = settings.client_id or "the system-assigned identity"
    sign_in = "no sign-in" if settings.auth == "none" else f"signs in as {client} ({settings.auth})"
    whose = "" if settings.identity == "app" else "; operations have the rights of their callers"
    return Step("environment", Status.OK, f"{settings.url}, {sign_in}{whose}")


def _cache(settings: Settings) -> Step:
    folder = settings.cache_dir
    if folder is None:
        text = "no cache between starts"
        return Step("cache", Status.WARNING, text, "Set cache_dir: starts then take a second.")
    try:
        make_own_folder(folder)
        with tempfile.NamedTemporaryFile(dir=folder):
            free = shutil.disk_usage(folder).free
    except OSError as error:
        text = f"{folder} cannot be written: {error.strerror}"
        hint = (
            "Make the folder writable for the user of the gateway, or set cache_dir to another one."
        )
        return Step("cache", Status.PROBLEM, text, hint)
    text = f"{folder}, {free / 1e9:,.1f} GB free"
    if free < _FREE:
        return Step("cache", Status.WARNING, text, "The whole catalogue takes some 200 MB.")
    return Step("cache", Status.OK, text)


async def _sign_in(settings: Settings) -> tuple[TokenFacts | None, Step]:
    try:
        auth = application_sign_in(settings, quiet)
    except GatewayError as error:
        return None, problem_step("sign-in", error)
    with working("Signing in"):
        return await signed_in(settings, auth)


async def _policy(
    settings: Settings, client: ODataClient, document: DocumentOrigin, loaded: LoadedModel
) -> Step:
    """Check the roles of callers against the metadata."""
    try:
        gateway = await asyncio.to_thread(build, settings, client, document, loaded, {}, quiet)
        await with_policy(gateway)
    except SchemaError as error:
        return Step("policy", Status.PROBLEM, str(error), error.hint)
    except GatewayError as error:
        return problem_step("policy", error)
    names = ", ".join(list(settings.roles)[:MAX_NAMES])
    more = len(settings.roles) - MAX_NAMES
    text = f"roles that fit the metadata: {names}" + (f" and {more:,} more" if more > 0 else "")
    return Step("policy", Status.OK, text)


async def _metadata(
    settings: Settings, client: ODataClient
) -> tuple[Step, DocumentOrigin, LoadedModel] | Step:
    try:
        with reading_metadata() as report:
            document = await load_metadata(settings, client, progress=report, observe=quiet)
            loaded = await asyncio.to_thread(open_model, settings, document, report, quiet)
    except SchemaError as error:
        return schema_problem(error)
    except GatewayError as error:
        return problem_step("$metadata", error)
    return metadata_step(document, loaded), document.origin, loaded
