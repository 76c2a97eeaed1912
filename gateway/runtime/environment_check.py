"""Checks an environment step by step: its address, the sign-in, the account, its metadata. Each ends with what to do.

    environment ──▶ sign-in ──▶ service ──▶ user, roles, companies, rights (``upstream_chain``) ──▶ $metadata

``/health/upstream``, ``check``, the administration and the link page report the same steps.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator
from dataclasses import asdict
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from msgspec import Struct

from gateway.config.settings import Settings
from gateway.errors import GatewayError, to_gateway_error
from gateway.events import Observer
from gateway.metadata.document_loader import MetadataDocument, load_metadata
from gateway.metadata.model_builder import LoadedModel
from gateway.metadata.model_process import BuildModel
from gateway.odata.client import ODataClient
from gateway.odata.dialects import dialect_for
from gateway.odata.query import Request
from gateway.odata.token_facts import TokenFacts
from schema.errors import SchemaError

from .assembly import open_client
from .background_build import load_model
from .upstream_chain import Status, Step, account_steps, problem_step, token_step

if TYPE_CHECKING:
    from gateway.odata.application_sign_in import ApplicationSignIn


class Report(Struct, frozen=True):
    """What was found out, and when."""

    steps: tuple[Step, ...]
    at: float
    """In seconds since the epoch."""

    @property
    def is_good(self) -> bool:
        """Whether no step is a problem."""
        return all(step.status is not Status.PROBLEM for step in self.steps)

    def to_json(self) -> dict[str, Any]:
        """Return the report for people."""
        steps = [
            {key: value for key, value in asdict(step).items() if value is not None}
            for step in self.steps
        ]
        at = datetime.fromtimestamp(self.at, UTC).isoformat(timespec="seconds")
        return {"status": "ok" if self.is_good else "problem", "at": at, "steps": steps}


async def service_steps(
    settings: Settings,
    observe: Observer,
    *,
    auth: ApplicationSignIn | None = None,
    build_model: BuildModel | None = None,
    client: ODataClient | None = None,
) -> AsyncGenerator[Step]:
    """Yield the steps up to the first that ends the way. Raises GatewayError for what no step expects.

    ``auth`` is the sign-in, ``client`` the client, if there is one already. With ``build_model`` the metadata is the
    last step.
    """
    if settings.url is None:
        yield Step("environment", Status.OK, "embedded sandbox")
    else:
        yield Step("environment", Status.OK, settings.url)
    application = settings.client_id
    if settings.auth != "none" and settings.url is not None:
        auth = auth or application_sign_in(settings, observe)
        facts, step = await signed_in(settings, auth)
        application = application if facts is None else facts.application
        yield step
        if step.status is Status.PROBLEM:
            return
    async with client or _client(settings, auth, observe) as sending:
        if settings.url is not None:
            async for step in _account(settings, sending, application):
                yield step
        if build_model is not None:
            yield await _metadata(settings, sending, observe, build_model)


def _client(settings: Settings, auth: ApplicationSignIn | None, observe: Observer) -> ODataClient:
    if settings.url is None:
        return open_client(settings, observe=observe)
    return ODataClient(settings, auth=auth, observe=observe)


async def _account(
    settings: Settings, client: ODataClient, application: str | None
) -> AsyncIterator[Step]:
    # Answered 401 if the environment does not know the application, whatever its roles.
    await client.send(Request("GET", "", {}))
    yield Step("service", Status.OK, "the environment accepts the sign-in")
    dialect = dialect_for(settings.dialect, client.root)
    if dialect.account is not None:
        samples = dialect.account.samples
        async for step in account_steps(settings, client, samples, dialect, application):
            yield step


async def _metadata(
    settings: Settings, client: ODataClient, observe: Observer, build_model: BuildModel
) -> Step:
    try:
        document = await load_metadata(settings, client, observe=observe)
        loaded = await load_model(settings, document, build_model, observe)
    except SchemaError as error:
        return schema_problem(error)
    except GatewayError as error:
        return problem_step("$metadata", error)
    return metadata_step(document, loaded)


def metadata_step(document: MetadataDocument, loaded: LoadedModel) -> Step:
    """Return the step of a metadata document that was read."""
    sets, findings = len(loaded.model.entity_sets), len(loaded.model.findings)
    text = f"{sets:,} entity sets from {document.source}, SHA-256 {document.digest[:12]}"
    if findings:
        text += f"; {findings:,} findings, listed by `metadata stats`"
    return Step("$metadata", Status.OK, text)


def schema_problem(error: SchemaError) -> Step:
    """Return the step of a metadata document that cannot be read."""
    return Step("$metadata", Status.PROBLEM, str(error), error.hint)


def application_sign_in(settings: Settings, observe: Observer) -> ApplicationSignIn:
    """Return the gateway's own sign-in. Raises SettingsError."""
    from gateway.odata.auth import auth_of  # noqa: PLC0415 - importing msal takes 0.1 s

    auth = auth_of(settings, observe)
    assert auth is not None
    return auth


async def signed_in(settings: Settings, auth: ApplicationSignIn) -> tuple[TokenFacts | None, Step]:
    """Return what the application's token says, and the step of signing in."""
    try:
        seconds = await auth.sign_in()
        return token_step(settings, await auth.token(), seconds)
    except GatewayError as error:
        return None, problem_step("sign-in", error)


async def bounded(steps: AsyncGenerator[Step], seconds: float) -> AsyncIterator[Step]:
    """Yield steps for so many seconds; an error, or the end of the time, is the last one."""
    until = asyncio.get_running_loop().time() + seconds
    try:
        while True:
            async with asyncio.timeout_at(until):
                step = await anext(steps, None)
            if step is None:
                return
            yield step
    except TimeoutError:
        yield Step("time", Status.PROBLEM, f"no end after {seconds:g} s")
    except (GatewayError, MemoryError) as error:
        yield problem_step("service", to_gateway_error(error))
    finally:
        await steps.aclose()
