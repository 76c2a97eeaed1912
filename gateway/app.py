"""The Starlette application: routes and lifespan. ``create_app(settings)`` is the same in tests and in production."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from contextlib import (
    nullcontext,
)
from typing import TYPE_CHECKING, Any

import httpx
from starlette.applications import Starlette
from starlette.responses import JSONResponse
from starlette.routing import BaseRoute, Route
from starlette.types import ASGIApp, Receive, Scope, Send

from gateway.config.settings import Settings
from gateway.environments.environment_store import registry_of
from gateway.execution.field_attribution import current_fields
from gateway.graphiql.routes import page_routes_of, shared_page_routes, unknown_pages
from gateway.http.admin_access import access_check
from gateway.http.background_writes import send_job, start_mutation
from gateway.http.edge import Edge, route_of, send_refusal
from gateway.http.endpoints import (
    API,
    Endpoint,
    RoutesOf,
    endpoints_of,
    other_profiles,
    with_cors,
)
from gateway.http.environment_choice import EnvironmentChoice
from gateway.http.exchange import EXCHANGE, HEAD
from gateway.http.explain_endpoint import explain_routes, explains_to
from gateway.http.export_endpoint import export_routes
from gateway.http.file_endpoint import file_routes
from gateway.http.graphql_endpoint import GraphQLEndpoint
from gateway.http.health import ReloadSettings, liveness, readiness, reload_endpoint
from gateway.http.hook_endpoint import hook_routes
from gateway.http.import_endpoint import import_routes
from gateway.http.job_endpoint import export_job_routes, job_routes
from gateway.http.presence import begin, is_below, presence_of
from gateway.http.refusals import HttpError, UnknownApi, caller_error, no_route
from gateway.http.request_scope import RequestScopes
from gateway.http.schema_explorer import explorer_routes
from gateway.http.scim_endpoint import scim_routes
from gateway.http.subscription_routes import stream_events, subscription_routes
from gateway.http.webhook_endpoint import webhook_routes
from gateway.identity.authenticator import authenticator_of
from gateway.logs import logged_environment, logging_environment
from gateway.manifests.store import open_documents
from gateway.metadata.model_builder import Progress
from gateway.metadata.model_process import BuildModel, build_in_subprocess
from gateway.request import GraphQLRequest
from gateway.runtime.generations import GenerationManager
from gateway.runtime.lasting import Lasting
from gateway.storage.content_coding import Compression
from gateway.store.api_keys import open_api_keys
from gateway.store.polling import open_poller
from gateway.telemetry.event_counters import EventCounters
from gateway.telemetry.measurements import Measurements
from gateway.telemetry.tracing import Tracing

from .events import Observer, log_event, tee
from .lifespan import Lifespan, ProcessMetrics

if TYPE_CHECKING:
    from gateway.linking.flow import LinkFlow

RELOAD = "/admin/reload"


def create_app(  # noqa: PLR0913 - keywords, most of them for tests
    settings: Settings,
    *,
    transport: httpx.AsyncBaseTransport | None = None,
    observe: Observer = log_event,
    progress: Progress | None = None,
    tell_others: Callable[[], None] | None = None,
    build_model: BuildModel = build_in_subprocess,
    workers: int = 1,
    measurements: Measurements | None = None,
    lasting: Lasting | None = None,
    reload_settings: ReloadSettings | None = None,
) -> Starlette:
    """Return the application; ``app.state.live`` and ``app.state.reloader`` exist during its lifespan.

    ``tell_others`` passes a reload on to the other workers; ``build_model`` makes the model of a reload;
    ``workers``: processes that serve together; ``measurements``: what is measured, if anything is; ``lasting``: what an
    earlier application of the process may have left; ``reload_settings`` reads the settings anew. The lifespan raises
    what ``open_gateway`` raises.
    """
    tracing = Tracing(settings.tracing, current_fields, logged_environment)
    if tracing.sampling.is_on:
        observe = tee(observe, tracing.observe)
    counters = None
    if measurements is not None:
        counters = EventCounters(measurements, logged_environment)
        observe = tee(observe, counters.observe)
    follows = settings.inbound.api_keys or settings.stored_environments
    poller = open_poller(settings, observe) if follows else None
    uses_keys = settings.inbound.api_keys and poller is not None
    api_keys = open_api_keys(settings, observe, poller) if uses_keys else None
    authenticator = authenticator_of(settings, api_keys=api_keys, observe=observe)
    registry = registry_of(settings, poller)
    documents = open_documents(settings, observe)

    links = _open_links(settings, observe)
    choice = None if registry is None else EnvironmentChoice(settings, registry)
    endpoints = endpoints_of(settings, observe, authenticator, choice, documents)
    metrics = None
    if measurements is not None and counters is not None:
        metrics = ProcessMetrics(
            measurements=measurements,
            counters=counters,
            running=endpoints[0].running,
            waiting=endpoints[0].waiting,
        )
    lifespan = Lifespan(
        settings=settings,
        transport=transport,
        observe=observe,
        progress=progress,
        build_model=build_model,
        authenticator=authenticator,
        api_keys=api_keys,
        registry=registry,
        poller=poller,
        documents=documents,
        workers=workers,
        metrics=metrics,
        tracing=tracing,
        lasting=lasting or Lasting(),
        loop_watch=endpoints[0].running.loop,
        close_links=None if links is None else links.close,
    )
    unknown = _Unknown(endpoints)
    apis = {e.api: with_cors(_Api(e, unknown), settings.cors_origins) for e in endpoints}
    routes = _routes(settings, endpoints, reload_settings, tell_others)
    if links is not None:
        from gateway.http.link_routes import link_routes  # noqa: PLC0415 - few deployments have a link page

        routes.extend(link_routes(links))
    for endpoint in endpoints:
        routes.extend(_routes_of(endpoint, apis[endpoint.api]))
    routes.extend(unknown.routes(settings))
    routes.extend(unknown_pages(endpoints))
    for other in other_profiles(endpoints):
        routes.extend(_routes_of(other, with_cors(_Api(other, unknown), settings.cors_origins)))
    options: dict[str, Any] = {"routes": routes, "lifespan": lifespan}
    requests = RequestScopes(observe, tracing.sampling, apis)
    edge = Edge(settings, observe)
    app = _Application(apis, edge, requests, has_environments=choice is not None, **options)
    # For those who serve the application: what they notice is counted as well.
    app.state.observe, app.state.measurements = observe, measurements
    return app


def _open_links(settings: Settings, observe: Observer) -> LinkFlow | None:
    """Return the steps of the link page; None if there is none."""
    if settings.linking.public_url is None:
        return None
    from gateway.linking.opening import open_flow  # noqa: PLC0415 - as above

    return open_flow(settings, observe)


class _Api:
    """The ASGI application of an endpoint. A class: to a function, Starlette's router would pass GET only."""

    def __init__(self, endpoint: Endpoint, unknown: _Unknown) -> None:
        settings = endpoint.settings
        self._endpoint = endpoint
        self._documents = endpoint.documents
        # A profile that is bound to roles does not exist for others, whatever they send.
        self._is_open = endpoint.authenticator is not None and not endpoint.bound_roles
        self._unknown = unknown
        self._graphql = GraphQLEndpoint(
            max_body=settings.max_body_bytes,
            page=endpoint.page if settings.graphiql else None,
            observe=endpoint.observe,
            compression=Compression(enabled=settings.compression, over=settings.compress_over),
            traces=access_check(settings.explains, settings.admin_token),
            streams=settings.subscriptions.enabled,
            origins=settings.cors_origins,
            waiting=endpoint.waiting,
            running=endpoint.running,
            background=self._start,
            max_age=settings.documents.max_age,
        )

    async def _start(self, scope: Scope, send: Send, request: GraphQLRequest) -> None:
        """Start a job for a mutation, and answer where it is. Raises HttpError."""
        job = await start_mutation(scope, request, self._endpoint.profile)
        await send_job(scope, send, job)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        # Otherwise each visit would be recorded as a refused caller.
        if scope["method"] != "POST" and self._is_open and self._graphql.is_for_anybody(scope):
            await self._graphql.answer(scope, receive, send, None)
            return
        running = self._endpoint.running
        if running.loop.is_behind:
            # Before anybody finds out who calls.
            await self._graphql.answer(scope, receive, send, caller_error(running.refusal()))
            return
        live: GenerationManager | None
        try:
            caller, live = self._endpoint.admitted(scope) or await self._endpoint.admit(scope)
        except UnknownApi:
            await self._unknown.answer(self._endpoint.profile, scope, receive, send)
            return
        except HttpError as refused:
            await self._graphql.answer(scope, receive, send, refused)
            return
        with nullcontext() if live is None else live.serving() as gateway:
            engine = None if gateway is None else gateway.engine
            may_trace = gateway is None or gateway.view is None or explains_to(gateway)
            documents = self._documents
            if gateway is not None and documents.store is not None:
                documents = documents.of_caller(caller, gateway.view)
            streamed = await self._graphql.answer(
                scope, receive, send, engine, caller, may_trace=may_trace, documents=documents
            )
        # Outside of the block above: a stream must not keep the generation that it began with.
        if streamed is not None and live is not None:
            await stream_events(self._endpoint, live, streamed, scope, receive, send)


class _Unknown:
    """Answers 404 for unknown profiles, and for ``/graphql`` if only profiles are served."""

    def __init__(self, endpoints: Sequence[Endpoint]) -> None:
        self._endpoints = endpoints
        self._authenticate = endpoints[0].authenticate
        # An API without introspection is not listed to strangers either.
        self._listed = [e.api for e in endpoints if e.settings.introspection and not e.bound_roles]

    def routes(self, settings: Settings) -> Iterable[BaseRoute]:
        """Yield the routes of addresses that are no API's, if there are profiles."""
        if settings.profiles:
            others = with_cors(self, settings.cors_origins)
            yield Route(API, others)
            if not any(e.bound_roles for e in self._endpoints):
                yield Route(f"{API}/{{profile}}", others)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self.answer(scope["path_params"].get("profile"), scope, receive, send)

    async def answer(self, name: str | None, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request for a profile that does not exist, or for the whole catalogue."""
        try:
            await self._authenticate(scope)
        except HttpError as refused:
            # The same as for a profile that exists.
            await send_refusal(refused, scope, receive, send)
            return
        message = (
            "The whole catalogue is not served." if name is None else "There is no such profile."
        )
        extensions = {"code": "UNKNOWN_PROFILE"}
        # Another environment may serve others.
        presence = presence_of(scope)
        if self._listed and (presence is None or presence.in_path is None):
            root = scope.get("root_path", "")
            extensions["hint"] = f"There are: {', '.join(f'{root}{api}' for api in self._listed)}."
        answer = {"errors": [{"message": message, "extensions": extensions}]}
        await JSONResponse(answer, status_code=404)(scope, receive, send)


class _Application(Starlette):
    """Starlette with a shortcut to the GraphQL endpoints: its router and error pages cost 10 % of a small request."""

    def __init__(
        self,
        apis: Mapping[str, ASGIApp],
        edge: Edge,
        requests: RequestScopes,
        *,
        has_environments: bool,
        **options: Any,
    ) -> None:
        super().__init__(**options)
        self._requests = requests
        self._apis = apis
        self._edge = edge
        self._has_environments = has_environments

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await super().__call__(scope, receive, send)
            return
        await self._requests.answer(self._admit, scope, receive, send)

    async def _admit(self, scope: Scope, receive: Receive, send: Send) -> None:
        # Before routing, as the host and the path of the request may be a proxy's.
        refused = self._edge.admit(scope)
        if refused is not None:
            scope["app"] = self
            await self._edge.refuse(refused, scope, receive, send)
            return
        if self._has_environments:
            await self._in_environment(scope, receive, send)
        else:
            await self._route(scope, receive, send)

    async def _in_environment(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request that may name an environment, which stays open for as long as that lasts."""
        presence = begin(scope, route_of(scope))
        if presence.in_path is not None and not is_below(route_of(scope)):
            scope["app"] = self
            await (no_route if scope["type"] == "http" else super().__call__)(scope, receive, send)
            return
        try:
            with logging_environment(presence):
                await self._route(scope, receive, send)
        finally:
            presence.leave()

    def _route(self, scope: Scope, receive: Receive, send: Send) -> Awaitable[None]:
        """Return what answers a request: no coroutine of its own, which would be resumed with each step of that."""
        api = self._apis.get(route_of(scope)) if scope["type"] == "http" else None
        # Middleware that somebody has added must see every request.
        if api is None or self.user_middleware:
            # And as messages of ASGI, with header fields that it may change.
            scope.pop(EXCHANGE, None)
            scope.pop(HEAD, None)
            scope["headers"] = list(scope["headers"])
            return super().__call__(scope, receive, send)
        scope["app"] = self
        return api(scope, receive, send)


def _routes(
    settings: Settings,
    endpoints: Sequence[Endpoint],
    reload_settings: ReloadSettings | None,
    tell_others: Callable[[], None] | None,
) -> list[BaseRoute]:
    """Return the routes that exist once, not once for each API."""
    routes: list[BaseRoute] = [
        Route("/healthz", liveness),
        Route("/readyz", readiness),
    ]
    routes.extend(job_routes(endpoints[0]))
    routes.extend(webhook_routes(endpoints[0]))
    if endpoints[0].profile is None:
        routes.extend(scim_routes(endpoints[0]))
    routes.extend(hook_routes(settings, endpoints[0].observe))
    if settings.admin_token is not None:
        token = settings.admin_token.get_secret_value()
        routes.append(
            Route(RELOAD, reload_endpoint(token, reload_settings, tell_others), methods=["POST"])
        )
    if settings.graphiql:
        routes.extend(shared_page_routes(endpoints))
    return routes


def _routes_of(endpoint: Endpoint, api: ASGIApp) -> Iterable[BaseRoute]:
    """Yield the routes of one API."""
    yield Route(endpoint.api, api)
    yield Route(endpoint.document, api)
    for routes_of in PER_ENDPOINT:
        yield from routes_of(endpoint)


PER_ENDPOINT: tuple[RoutesOf, ...] = (
    page_routes_of,
    explain_routes,
    explorer_routes,
    export_routes,
    file_routes,
    import_routes,
    export_job_routes,
    subscription_routes,
)
"""Route factories, called once for each API."""
