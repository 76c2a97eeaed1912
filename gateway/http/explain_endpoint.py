"""Explain over HTTP: ``POST /graphql/explain`` takes what ``/graphql`` takes, and answers what it would send upstream.

The answer looks like GraphQL's: ``{"data": {steps, requests, …}}``, or ``{"errors": […]}`` if the operation cannot run.
The limits, the deadline and the company scope of the API apply.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from contextlib import nullcontext

from starlette.routing import BaseRoute, Route
from starlette.types import Receive, Scope, Send

from gateway.identity.caller import ANONYMOUS, Caller
from gateway.request import Answer, GraphQLRequest
from gateway.runtime.assembly import Gateway
from gateway.runtime.generations import GenerationManager
from gateway.storage.content_coding import Compression

from .admin_access import access_check
from .endpoints import Endpoint, with_cors
from .graphql_endpoint import Executor, GraphQLEndpoint
from .refusals import HttpError, UnknownApi, no_route
from .request_audit import record_refusal
from .request_parameters import headers_of


def explain_routes(endpoint: Endpoint) -> Iterable[BaseRoute]:
    """Return the route of explain, if the settings allow anybody to use it."""
    settings = endpoint.settings
    if settings.explains:
        yield Route(f"{endpoint.api}/explain", with_cors(_Explain(endpoint), settings.cors_origins))


class _Explain:
    """The ASGI application. A class: to a function, Starlette's router would pass GET only."""

    def __init__(self, endpoint: Endpoint) -> None:
        settings = endpoint.settings
        self._endpoint = endpoint
        self._documents = endpoint.documents
        self._graphql = GraphQLEndpoint(
            max_body=settings.max_body_bytes,
            page=None,
            observe=endpoint.observe,
            compression=Compression(enabled=settings.compression, over=settings.compress_over),
            admits=access_check(settings.explains, settings.admin_token),
            origins=settings.cors_origins,
            waiting=endpoint.waiting,
            running=endpoint.running,
        )

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            caller, live = await self._admit(scope)
        except UnknownApi:
            await no_route(scope, receive, send)
            return
        except HttpError as refused:
            await self._graphql.answer(scope, receive, send, refused)
            return
        with nullcontext() if live is None else live.serving() as gateway:
            explainer: Executor | HttpError | None = None if gateway is None else Explainer(gateway)
            if gateway is not None and not explains_to(gateway):
                explainer = HttpError(403, "FORBIDDEN", "None of your roles may see plans.")
                record_refusal(scope, explainer.status, explainer.code, caller)
            documents = self._documents
            if gateway is not None:
                documents = documents.of_caller(caller, gateway.view)
            await self._graphql.answer(scope, receive, send, explainer, caller, documents=documents)

    async def _admit(self, scope: Scope) -> tuple[Caller, GenerationManager | None]:
        """Admit a caller, or the administrator: a request has one Authorization, which is then the admin token."""
        endpoint = self._endpoint
        if endpoint.settings.explains == "admin" and self._graphql.admits(headers_of(scope)):
            return ANONYMOUS, await endpoint.unbounded(scope)
        return await endpoint.admit(scope)


def explains_to(gateway: Gateway) -> bool:
    """Return whether the roles of a view may see plans and traces; if they do not say, in the sandbox only."""
    return gateway.view is None or gateway.view.may_explain(by_default=gateway.is_sandbox)


class Explainer:
    """Explains operations; takes the place of the engine, which would execute them."""

    def __init__(self, gateway: Gateway) -> None:
        self._gateway = gateway
        self._engine = gateway.engine
        self._service = None if gateway.is_sandbox else gateway.client.root

    async def execute(self, request: GraphQLRequest) -> Answer:
        """Explain a request. Raises nothing but CancelledError."""
        return await self._engine.answer_or_error(self._explained(request))

    def changes_data(self, _request: GraphQLRequest) -> bool:
        """Return False: explaining sends nothing."""
        return False

    def subscribes(self, _request: GraphQLRequest) -> bool:
        """Return False: an explanation is one answer."""
        return False

    async def _explained(self, request: GraphQLRequest) -> Answer:
        from gateway.explain.explain import explain  # noqa: PLC0415 - few requests need it, every start would load it

        deadline = self._engine.reads.deadline(request)
        try:
            async with asyncio.timeout_at(deadline.at):
                explanation = await explain(self._gateway, request)
        except TimeoutError as error:
            raise deadline.error("it was not explained to its end") from error
        if explanation.errors:
            return Answer(errors=explanation.errors)
        return Answer(explanation.to_json(self._service))
