"""Environments of the store over REST: `/admin/environments`, for those who have an admin key.

A change is answered with the environment as it is then, and its `ETag`, by which `If-Match` refuses to overwrite what
others have changed. A POST with a name that exists and equal options is answered 200, so it can be sent again.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from functools import partial
from typing import TYPE_CHECKING, Any

from gateway.administration.actors import Actor
from gateway.administration.environment_service import EnvironmentService
from gateway.administration.opening import RegisterHolder
from gateway.environments.environment_json import environment_json
from gateway.errors import BadArgument
from gateway.identity.who import who_of
from gateway.process.daemon_call import daemon_call
from gateway.webhooks.integrator import sending_webhooks

from .admin_operations import (
    AdminAnswer,
    AdminRequest,
    Answer,
    Operation,
    OperationGroup,
    Parameter,
)
from .request_audit import audit_of
from .request_parameters import client_of

if TYPE_CHECKING:
    from gateway.config.settings import Settings
    from gateway.events import Observer
    from gateway.store.stored_environment import StoredEnvironment

    from .admin_operations import Schema

PATH = "/admin/environments"
ONE = f"{PATH}/{{name}}"
AUDIT_REQUIRED = "audit_required"
"""Where the state of the application says whether changes must be recorded."""
PAGE, MAX_PAGE = 100, 500
"""Environments of a page, if the request does not say, and at most."""
_IF_MATCH = Parameter(
    name="If-Match",
    place="header",
    description="The ETag of the environment that was read. 412 if it was changed since.",
    schema={"type": "string"},
)
_PAGING = (
    Parameter(
        name="after",
        place="query",
        description="The page begins after this name.",
        schema={"type": "string"},
    ),
    Parameter(
        name="limit",
        place="query",
        description="Environments of a page.",
        schema={"type": "integer", "minimum": 1, "maximum": MAX_PAGE, "default": PAGE},
    ),
)


def environment_operations(settings: Settings, observe: Observer) -> OperationGroup:
    """Return the operations on environments."""
    holder = RegisterHolder(settings)
    routes = _Environments(EnvironmentService(settings, holder.get, observe))

    @asynccontextmanager
    async def running() -> AsyncIterator[None]:
        async with sending_webhooks(settings, observe):
            try:
                yield
            finally:
                await daemon_call(holder.close)

    return OperationGroup(operations=routes.operations(), schemas=_schemas, running=running)


def _schemas() -> Mapping[str, Schema]:
    from .admin_environment_schemas import environment_schemas  # noqa: PLC0415 - few need it

    return environment_schemas()


class _Environments:
    def __init__(self, service: EnvironmentService) -> None:
        self._service = service

    def operations(self) -> tuple[Operation, ...]:
        one = {200: "Environment"}
        acts: tuple[tuple[str, str, Answer], ...] = (
            (
                "disable",
                "Answer its requests as those of an environment that does not exist.",
                partial(self._state, state="disabled"),
            ),
            ("enable", "Serve it again.", partial(self._state, state="active")),
            ("reload", "Make all processes load its metadata anew.", self._reload),
        )
        return (
            Operation(
                method="GET",
                path=PATH,
                name="listEnvironments",
                summary="List environments by name, page by page.",
                answer=self._list,
                results={200: "Environments"},
                parameters=_PAGING,
                errors=(400,),
            ),
            Operation(
                method="POST",
                path=PATH,
                name="addEnvironment",
                summary="Add an environment. 200: it is there already, with equal options.",
                answer=self._add,
                results={201: "Environment", **one},
                body="NewEnvironment",
                errors=(409,),
            ),
            Operation(
                method="GET",
                path=ONE,
                name="getEnvironment",
                summary="Return an environment.",
                answer=self._get,
                results=one,
                errors=(404,),
            ),
            Operation(
                method="PATCH",
                path=ONE,
                name="updateEnvironment",
                summary="Change options by a JSON merge patch. Secrets that it does not name stay as they are.",
                answer=self._update,
                results=one,
                body="EnvironmentChanges",
                parameters=(_IF_MATCH,),
                errors=(404, 412),
            ),
            Operation(
                method="DELETE",
                path=ONE,
                name="removeEnvironment",
                summary="Remove an environment, and the key of its secrets.",
                answer=self._remove,
                results={204: None},
                parameters=(_IF_MATCH,),
                errors=(404, 412),
            ),
            *(
                Operation(
                    method="POST",
                    path=f"{ONE}/{act}",
                    name=f"{act}Environment",
                    summary=summary,
                    answer=answer,
                    results=one,
                    errors=(404,),
                )
                for act, summary, answer in acts
            ),
            Operation(
                method="POST",
                path=f"{ONE}/check",
                name="checkEnvironment",
                summary="Check the way to it step by step: token, user, roles, companies, metadata. Takes seconds.",
                answer=self._check,
                results={200: "Check"},
                errors=(404,),
            ),
        )

    async def _list(self, request: AdminRequest) -> AdminAnswer:
        limit = _limit(request.query.get("limit"))
        after = request.query.get("after")
        # One more shows whether there is a next page.
        page = await daemon_call(lambda: self._service.list(after, limit + 1))
        shown = page[:limit]
        content = {
            "environments": [environment_json(environment) for environment in shown],
            "next": shown[-1].name if len(page) > limit else None,
        }
        return AdminAnswer(content=content)

    async def _add(self, request: AdminRequest) -> AdminAnswer:
        values: dict[str, Any] = dict(request.body)
        name = values.pop("name", None)
        actor = actor_of(request)
        environment, is_new = await daemon_call(lambda: self._service.add(name, values, actor))
        answer = _answer(environment)
        if not is_new:
            return answer
        location = {"location": f"{PATH}/{environment.name}"}
        return AdminAnswer(
            status=201, content=answer.content, headers={**answer.headers, **location}
        )

    async def _get(self, request: AdminRequest) -> AdminAnswer:
        return await self._of(request, self._service.show)

    async def _update(self, request: AdminRequest) -> AdminAnswer:
        actor, matches = actor_of(request), _matches(request)
        return await self._of(
            request, lambda name: self._service.update(name, request.body, actor, matches=matches)
        )

    async def _remove(self, request: AdminRequest) -> AdminAnswer:
        actor, matches = actor_of(request), _matches(request)
        await self._of(request, lambda name: self._service.remove(name, actor, matches=matches))
        return AdminAnswer(status=204)

    async def _state(self, request: AdminRequest, *, state: Any) -> AdminAnswer:
        actor = actor_of(request)
        return await self._of(request, lambda name: self._service.set_state(name, state, actor))

    async def _reload(self, request: AdminRequest) -> AdminAnswer:
        actor = actor_of(request)
        return await self._of(request, lambda name: self._service.reload(name, actor))

    async def _check(self, request: AdminRequest) -> AdminAnswer:
        report = await self._service.report(request.path["name"])
        return AdminAnswer(content=report.to_json())

    async def _of(
        self, request: AdminRequest, call: Callable[[str], StoredEnvironment]
    ) -> AdminAnswer:
        name = request.path["name"]
        return _answer(await daemon_call(lambda: call(name)))


def actor_of(request: AdminRequest) -> Actor:
    """Return who sends a request."""
    audit = audit_of(request.scope)
    return Actor(
        who=who_of(request.caller),
        log=None if audit is None else audit.log,
        is_required=getattr(request.scope["app"].state, AUDIT_REQUIRED, False),
        client=client_of(request.scope),
        path=str(request.scope["path"])[:200],
    )


def etag_of(environment: StoredEnvironment) -> str:
    """Return the ETag of an environment: another one of the same name has others."""
    return f'"{environment.id[:8]}.{environment.version}"'


def _matches(request: AdminRequest) -> Callable[[StoredEnvironment], bool] | None:
    header = request.headers.get("if-match")
    if header is None:
        return None
    tags = {tag.strip() for tag in header.split(",")}
    return lambda environment: "*" in tags or etag_of(environment) in tags


def _answer(environment: StoredEnvironment) -> AdminAnswer:
    return AdminAnswer(
        content=environment_json(environment), headers={"etag": etag_of(environment)}
    )


def _limit(text: str | None) -> int:
    if text is None:
        return PAGE
    if not text.isascii() or not text.isdigit() or not 1 <= int(text[:6]) <= MAX_PAGE:
        raise BadArgument(f"limit: accepted: 1 to {MAX_PAGE}.")
    return int(text)
