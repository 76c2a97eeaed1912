"""Link sessions over REST: `/admin/link-sessions`, for integrators who let customers link their environments."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from typing import TYPE_CHECKING, Any

from gateway.config.environment_models import NAME
from gateway.environments.environment_json import time_text
from gateway.errors import EnvironmentExists
from gateway.process.daemon_call import daemon_call

from .admin_environments import actor_of
from .admin_operations import AdminAnswer, AdminRequest, Operation, OperationGroup
from .refusals import HttpError

if TYPE_CHECKING:
    from gateway.config.settings import Settings
    from gateway.events import Observer
    from gateway.linking.session import LinkSession
    from gateway.linking.sessions import LinkSessions
    from gateway.store.environment_register import EnvironmentRegister

    from .admin_operations import Schema

PATH = "/admin/link-sessions"
ONE = f"{PATH}/{{id}}"


def link_operations(settings: Settings, _observe: Observer) -> OperationGroup:
    """Return the operations on link sessions."""
    sessions = _Sessions(settings)
    operations = (
        Operation(
            method="POST",
            path=PATH,
            name="createLinkSession",
            summary="Make a link on which a customer's administrator links an environment. It is of use once.",
            answer=sessions.create,
            results={201: "NewLinkSession"},
            body="LinkSessionOptions",
            errors=(409,),
        ),
        Operation(
            method="GET",
            path=ONE,
            name="getLinkSession",
            summary="Return how far a link session is, until it expires.",
            answer=sessions.get,
            results={200: "LinkSession"},
            errors=(404,),
        ),
        Operation(
            method="DELETE",
            path=ONE,
            name="revokeLinkSession",
            summary="Revoke a link, also while its visitor is on the way. What was linked by it stays linked.",
            answer=sessions.revoke,
            results={204: None},
            errors=(404,),
        ),
    )
    return OperationGroup(operations=operations, schemas=_schemas, running=sessions.running)


class _Sessions:
    """The sessions of a process, and the register of environments, opened with their first use."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._opened: tuple[LinkSessions, EnvironmentRegister] | None = None
        self._opening = asyncio.Lock()

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Close what was opened, at the end."""
        try:
            yield
        finally:
            opened, self._opened = self._opened, None
            for part in opened or ():
                await daemon_call(part.close)

    async def create(self, request: AdminRequest) -> AdminAnswer:
        """Make a session."""
        from gateway.linking.new_sessions import new_session  # noqa: PLC0415 - imports what few processes need

        created_by = request.caller.name or request.caller.subject
        new = new_session(self._settings, request.body, created_by)
        sessions, register = await self._parts()
        name = new.name
        if name is not None and await daemon_call(lambda: register.get(name)) is not None:
            raise EnvironmentExists(
                f"There is an environment {name} already.",
                hint="Choose another name, or remove it.",
            )
        session, token = await sessions.create(new)
        actor_of(request).record("link_session", name or "", new.__struct_fields__)
        content = {**_json(session), "url": f"{self._settings.linking.public_url}/link/{token}"}
        return AdminAnswer(
            status=201, content=content, headers={"location": f"{PATH}/{session.id}"}
        )

    async def get(self, request: AdminRequest) -> AdminAnswer:
        """Return a session."""
        sessions, _ = await self._parts()
        with _no_session():
            session = await sessions.by_id(request.path["id"])
        return AdminAnswer(content=_json(session))

    async def revoke(self, request: AdminRequest) -> AdminAnswer:
        """Delete a session, so that its link leads nowhere."""
        sessions, _ = await self._parts()
        with _no_session():
            session = await sessions.revoke(request.path["id"])
        actor_of(request).record("unlink_session", session.environment or session.name or "", ())
        return AdminAnswer(status=204)

    async def _parts(self) -> tuple[LinkSessions, EnvironmentRegister]:
        async with self._opening:
            if self._opened is None:
                self._opened = await daemon_call(self._open)
            return self._opened

    def _open(self) -> tuple[LinkSessions, EnvironmentRegister]:
        from gateway.environments.environment_store import open_environment_register  # noqa: PLC0415 - as above
        from gateway.linking.opening import open_sessions  # noqa: PLC0415 - as above

        return open_sessions(self._settings), open_environment_register(self._settings)


@contextmanager
def _no_session() -> Iterator[None]:
    """Refuse requests for a session that there is not."""
    from gateway.linking.problems import LinkError  # noqa: PLC0415 - imports what few processes need

    try:
        yield
    except LinkError:
        message = "There is no such link session, or it has expired."
        raise HttpError(404, "LINK_NOT_FOUND", message, "Make a new one.") from None


def _json(session: LinkSession) -> dict[str, Any]:
    problem = session.problem
    return {
        "id": session.id,
        "state": session.phase,
        "expires_at": time_text(session.expires_at),
        "name": session.name,
        "title": session.title,
        "application": session.application,
        "return_url": session.return_url,
        "environment": session.environment,
        "problem": None if problem is None else {"code": problem.code, "message": problem.message},
    }


def _schemas() -> Mapping[str, Schema]:
    from gateway.linking.new_sessions import APPLICATIONS, MAX_TITLE  # noqa: PLC0415 - few need it
    from gateway.linking.session import Phase  # noqa: PLC0415 - likewise

    optional = {"type": ["string", "null"]}
    options: dict[str, Schema] = {
        "name": {
            "type": "string",
            "pattern": f"^{NAME.pattern}$",
            "description": "Name that the environment gets. Not set: after its host.",
        },
        "title": {
            "type": "string",
            "maxLength": MAX_TITLE,
            "description": "Name of the environment for people, which the page shows, too.",
        },
        "return_url": {
            "type": "string",
            "format": "uri",
            "description": "Where the visitor goes back to: one of the setting linking.return_urls.",
        },
        "application": {
            "type": "string",
            "enum": list(APPLICATIONS),
            "default": APPLICATIONS[0],
            "description": "Which application reads the environment: the deployment's, or the customer's own.",
        },
    }
    facts: dict[str, Schema] = {
        "id": {"type": "string"},
        "state": {"type": "string", "enum": [phase.value for phase in Phase]},
        "expires_at": {"type": "string", "format": "date-time"},
        **dict.fromkeys(("name", "title", "return_url"), optional),
        "application": {"type": "string", "enum": list(APPLICATIONS)},
        "environment": {**optional, "description": "Name of the linked environment."},
        "problem": {
            "description": "Why the last step did not succeed.",
            "anyOf": [
                {
                    "type": "object",
                    "required": ["code", "message"],
                    "properties": {"code": {"type": "string"}, "message": {"type": "string"}},
                    "additionalProperties": False,
                },
                {"type": "null"},
            ],
        },
    }
    url: Schema = {
        "type": "string",
        "format": "uri",
        "description": "The link. It is a secret, is shown here only, and belongs to the first browser that uses it.",
    }
    return {
        "LinkSessionOptions": {
            "type": "object",
            "properties": options,
            "additionalProperties": False,
        },
        "LinkSession": _table(facts),
        "NewLinkSession": _table({**facts, "url": url}),
    }


def _table(properties: Mapping[str, Schema]) -> Schema:
    return {
        "type": "object",
        "required": list(properties),
        "properties": dict(properties),
        "additionalProperties": False,
    }
