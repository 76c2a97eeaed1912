"""``check``: tests step by step whether a gateway with these settings would work, with a hint for each problem."""

from __future__ import annotations

import asyncio
import shutil
import tempfile
from collections.abc import AsyncIterator, Callable
from dataclasses import asdict

import msgspec
import typer

from gateway.config.settings import Settings
from gateway.errors import GatewayError
from gateway.metadata.document_loader import load_metadata
from gateway.metadata.model_builder import LoadedModel, dialect_of, open_model
from gateway.odata.client import ODataClient
from gateway.odata.token_facts import TokenFacts
from gateway.runtime.assembly import open_client
from gateway.runtime.environment_check import (
    application_sign_in,
    metadata_step,
    schema_problem,
    signed_in,
)
from gateway.runtime.upstream_chain import Status, Step, account_steps, problem_step
from gateway.storage.private_files import make_own_folder
from schema.errors import SchemaError

from .check_callers import check_callers
from .progress import reading_metadata, working
from .schema_commands import quiet

_FREE = 200 * 1024 * 1024
"""Free bytes that a cache folder needs: documents, models and introspection of two generations of a whole catalogue."""


def print_check(settings: Settings, *, as_json: bool) -> None:
    """Print each step as it ends. Exits with 1 if one of them is a problem."""
    print_steps(lambda: check(settings), as_json=as_json)


def print_steps(check_: Callable[[], AsyncIterator[Step]], *, as_json: bool) -> None:
    """Print each step as it ends. Exits with 1 if one of them is a problem."""
    steps: list[Step] = []

    async def run() -> None:
        async for step in check_():
            steps.append(step)
            if not as_json:
                print(_line(step), flush=True)

    asyncio.run(run())
    failed = any(step.status is Status.PROBLEM for step in steps)
    if as_json:
        content = {"ok": not failed, "steps": [asdict(step) for step in steps]}
        print(msgspec.json.encode(content).decode())
    if failed:
        raise typer.Exit(1)


def _line(step: Step) -> str:
    hint = f"\n{'':21}hint: {step.hint}" if step.hint else ""
    return f"{step.status.value:<8} {step.name:<11} {step.text}{hint}"


async def check(settings: Settings) -> AsyncIterator[Step]:
    """Yield the steps in order. Steps that depend on a failed one are left out."""
    yield _environment(settings)
    yield _cache(settings)
    if settings.url is not None or settings.inbound.knows_callers:
        async for text, hint in check_callers(settings):
            yield Step("callers", Status.OK if hint is None else Status.PROBLEM, text, hint)
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
        step, loaded = metadata
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


async def _metadata(settings: Settings, client: ODataClient) -> tuple[Step, LoadedModel] | Step:
    try:
        with reading_metadata() as report:
            document = await load_metadata(settings, client, progress=report, observe=quiet)
            loaded = await asyncio.to_thread(open_model, settings, document, report, quiet)
    except SchemaError as error:
        return schema_problem(error)
    except GatewayError as error:
        return problem_step("$metadata", error)
    return metadata_step(document, loaded), loaded
