"""The APIs of one gateway and their addresses: the whole catalogue, and one for each profile.

    GET, POST, QUERY /graphql        the whole catalogue      page: /graphiql
    GET, POST, QUERY /graphql/ap     the profile ap           page: /graphiql/ap
    /e/acme/graphql/ap               the same in the environment acme (see ``environment_choice``)
    /graphql/documents/ID            a trusted document       (see ``trusted_documents``)
    /export/SET, /export/ap/SET      a whole list             (see ``export_endpoint``)
    /import/SET, /import/ap/SET      rows that are written    (see ``import_endpoint``)
    /exports, /exports/ap            the same as a job        (see ``job_endpoint``)
    /files/ROW/FIELD, /files/ap/…    a file of a row          (see ``file_endpoint``)

Routes that exist once for each API come from functions of its ``Endpoint``, listed in ``app.PER_ENDPOINT``. At a
request, ``await endpoint.admit(scope)`` returns its caller and the generation manager that serves this caller.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import TypeAlias

from starlette.middleware.cors import CORSMiddleware
from starlette.routing import BaseRoute
from starlette.types import ASGIApp, Scope

from gateway.config.profiles import ProfileSettings, profile_settings
from gateway.config.settings import Settings
from gateway.environments.open_environment import OpenEnvironment
from gateway.environments.opened import OpenEnvironments
from gateway.errors import (
    EnvironmentUnavailable,
    Forbidden,
    GatewayError,
    IssuerUnavailable,
    StoreUnavailable,
    Unauthenticated,
)
from gateway.events import Observer
from gateway.identity.authenticator import Authenticator
from gateway.identity.caller import ANONYMOUS, Caller
from gateway.manifests.store import TrustedStore
from gateway.runtime.generations import GenerationManager
from gateway.runtime.served_api import ServedApi

from .admin_access import access_check
from .environment_choice import EnvironmentChoice
from .presence import environment_of, presence_of
from .refusals import HttpError, UnknownApi, UnknownEnvironment, caller_error
from .request_audit import record_refused, record_refused_credentials, record_use
from .request_parameters import Headers, headers_of
from .running_operations import RunningOperations
from .trusted_documents import PATH_PARAMETER, DocumentAccess
from .waiting_bytes import WaitingBytes

_NOBODY = ""
"""No role has this name."""
API = "/graphql"
PAGE = "/graphiql"
EXPORT = "/export"
EXPORTS = "/exports"
IMPORT = "/import"
JOBS = "/jobs"
FILES = "/files"
SET_PARAMETER = "set"
"""Name of the path parameter with the list that is exported, or into which rows are imported."""


ROW_PARAMETER = "row"
"""Name of the path parameter with the row of a file: its id, or the list in which it is created."""
FIELD_PARAMETER = "field"


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Endpoint:
    """One API: its addresses and its settings."""

    settings: Settings
    observe: Observer
    beside: Sequence[Endpoint] = field(default=(), repr=False)
    """All endpoints of the gateway, including this one."""
    waiting: WaitingBytes = field(repr=False)
    """Counts the answers of all endpoints that clients have not read yet."""
    running: RunningOperations = field(repr=False)
    """Counts the operations of all endpoints that run."""
    authenticator: Authenticator | None = field(default=None, repr=False)
    """Finds out who calls; None: nobody is asked."""
    choice: EnvironmentChoice | None = field(default=None, repr=False)
    """Finds out for which environment a request is; None: there is one only."""
    trusted: TrustedStore | None = field(default=None, repr=False)
    """The trusted documents; None: there are none."""

    @property
    def documents(self) -> DocumentAccess:
        """Which documents its requests may run, unless roles of their caller say otherwise."""
        settings = self.settings
        is_admin = access_check("admin", settings.admin_token)
        return DocumentAccess(settings.documents.mode, self.trusted, is_admin)

    @property
    def profile(self) -> str | None:
        """Name of the profile; None for the whole catalogue."""
        settings = self.settings
        return settings.profile if isinstance(settings, ProfileSettings) else None

    @property
    def title(self) -> str:
        """Its name for people."""
        settings = self.settings
        if not isinstance(settings, ProfileSettings):
            return "All"
        return settings.title or settings.profile

    @property
    def api(self) -> str:
        """Path of the API: ``/graphql/ap``."""
        return API if self.profile is None else f"{API}/{self.profile}"

    @property
    def document(self) -> str:
        """Path of a trusted document: ``/graphql/ap/documents/{document}``."""
        return f"{self.api}/documents/{{{PATH_PARAMETER}}}"

    @property
    def export(self) -> str:
        """Path of its exports: ``/export/ap/{set}``."""
        below = "" if self.profile is None else f"/{self.profile}"
        return f"{EXPORT}{below}/{{{SET_PARAMETER}}}"

    @property
    def imports(self) -> str:
        """Path of its imports: ``/import/ap/{set}``."""
        below = "" if self.profile is None else f"/{self.profile}"
        return f"{IMPORT}{below}/{{{SET_PARAMETER}}}"

    @property
    def files(self) -> str:
        """Path of its files: ``/files/ap/{row}/{field}``."""
        below = "" if self.profile is None else f"/{self.profile}"
        return f"{FILES}{below}/{{{ROW_PARAMETER}}}/{{{FIELD_PARAMETER}}}"

    @property
    def exports(self) -> str:
        """Path at which its export jobs are started: ``/exports/ap``."""
        return EXPORTS if self.profile is None else f"{EXPORTS}/{self.profile}"

    @property
    def page(self) -> str:
        """Path of its GraphiQL page: ``/graphiql/ap``."""
        return PAGE if self.profile is None else f"{PAGE}/{self.profile}"

    async def admit(
        self, scope: Scope, headers: Headers | None = None
    ) -> tuple[Caller, GenerationManager | None]:
        """Return the caller of a request, and the generations that serve this API to it; None while it starts.

        From then on ``environment_of(scope)`` is the environment of the request. ``headers``: see ``authenticate``.
        Raises HttpError if the caller is refused, which is UnknownApi if the API is bound to roles that the caller
        lacks.
        """
        try:
            caller = await self._verified(scope, headers)
            return await self._serving(scope, headers, caller)
        except HttpError as refused:
            if self.bound_roles and refused.status < 500:
                raise UnknownApi from refused
            raise

    def admitted(self, scope: Scope) -> tuple[Caller, GenerationManager] | None:
        """Return what ``admit`` returns, if nothing is to be waited for, read or refused; None: only that knows."""
        environment = environment_of(scope)
        if self.choice is not None or environment is None or self.bound_roles:
            return None
        gateway, views, profile = environment.live.gateway, environment.views, self.profile
        if gateway.users is not None and self.authenticator is not None:
            return None
        if self.authenticator is None:
            caller: Caller | None = ANONYMOUS
        else:
            caller = self.authenticator.remembered(scope, headers_of(scope))
        if caller is None or (profile is not None and profile not in gateway.profiles):
            return None
        if views is None:
            is_whole = profile is None and not self.settings.roles
            return (caller, environment.live) if is_whole else None
        try:
            live = views.opened_live(profile, views.view_of(caller))
        except Forbidden:
            return None
        return None if live is None else (caller, live)

    def served_api(self, scope: Scope, live: GenerationManager) -> ServedApi:
        """Return the API of an admitted request, whose roles may be narrowed; ``live``: see ``admit``."""
        environment = environment_of(scope)
        views = None if environment is None else environment.views
        return ServedApi(live=live, views=views, profile=self.profile)

    async def identify(self, scope: Scope) -> Caller:
        """Return the caller of a request that is about its environment, and about no API. Raises HttpError."""
        caller = await self._verified(scope, None)
        try:
            if self.choice is not None:
                await self._enter(scope, None, caller)
            return await self._with_user(environment_of(scope), caller)
        except HttpError as refused:
            is_hidden = isinstance(refused, UnknownEnvironment)
            record_refused(scope, refused, caller, always=is_hidden)
            raise

    async def _serving(
        self, scope: Scope, headers: Headers | None, caller: Caller
    ) -> tuple[Caller, GenerationManager | None]:
        """Return a caller with its user, and what ``live`` returns; record if it refuses the caller."""
        try:
            if self.choice is not None:
                await self._enter(scope, headers, caller)
            environment = environment_of(scope)
            caller = await self._with_user(environment, caller)
            return caller, await self.live(environment, caller)
        except HttpError as refused:
            # What is hidden from its caller is not hidden from the people who read the log.
            is_hidden = isinstance(refused, UnknownApi | UnknownEnvironment)
            record_refused(scope, refused, caller, always=is_hidden)
            raise

    async def _enter(self, scope: Scope, headers: Headers | None, caller: Caller | None) -> None:
        """Choose the environment of a request and keep it open. Raises HttpError; ``caller``: see EnvironmentChoice."""
        assert self.choice is not None
        presence = presence_of(scope)
        opened: OpenEnvironments | None = getattr(scope["app"].state, "environments", None)
        if presence is None or opened is None:  # the gateway starts or stops
            return
        try:
            read = headers_of(scope) if headers is None else headers
            declared = self.choice.of(scope, read, caller)
            lease = None if declared is None else await opened.lease(declared)
        except EnvironmentUnavailable as error:
            raise caller_error(error) from error
        presence.enter(lease)

    async def authenticate(self, scope: Scope, headers: Headers | None = None) -> Caller:
        """Return who calls, with its user. ``headers``: those of the request, if they are not the ones of ``scope``.

        Raises HttpError if the credentials are refused, or are missing and needed.
        """
        caller = await self._verified(scope, headers)
        return await self._with_user(environment_of(scope), caller)

    async def _verified(self, scope: Scope, headers: Headers | None) -> Caller:
        if self.authenticator is None:
            return ANONYMOUS
        read = headers_of(scope) if headers is None else headers
        try:
            caller = await self.authenticator.authenticate(scope, read)
        except (Unauthenticated, IssuerUnavailable, StoreUnavailable) as error:
            refused = caller_error(error)
            record_refused_credentials(scope, refused, error)
            raise refused from error
        if caller.kind == "key":
            record_use(scope, caller)
        return caller

    async def _with_user(self, environment: OpenEnvironment | None, caller: Caller) -> Caller:
        """Return a caller with its user of the environment, if anything depends on that. Raises HttpError."""
        users = None if environment is None else environment.live.gateway.users
        if users is None or self.authenticator is None:
            return caller
        try:
            return await users.with_user(caller)
        except GatewayError as error:  # the caller may be good, and its rights are not known
            raise caller_error(error) from error

    @property
    def bound_roles(self) -> tuple[str, ...]:
        """Roles of the callers for whom it exists; empty: all callers."""
        settings = self.settings
        return settings.bound_roles if isinstance(settings, ProfileSettings) else ()

    async def live(
        self, environment: OpenEnvironment | None, caller: Caller
    ) -> GenerationManager | None:
        """Return the generations that serve this API to a caller; None while the gateway starts.

        Raises HttpError if no role of the caller grants anything of it.
        """
        if environment is None:
            return None
        views = environment.views
        if views is None:
            # With roles, nothing is served without views.
            return None if self.settings.roles else await self._whole(environment)
        try:
            view = views.view_of(caller)
            if self.bound_roles and not set(self.bound_roles).intersection(view.roles):
                raise UnknownApi
            self._check_profile(environment)
            return await views.live(self.profile, view)
        except Forbidden as error:
            raise HttpError(403, error.code, error.message) from error

    async def unbounded(self, scope: Scope) -> GenerationManager | None:
        """Return the generations that serve all of this API, whoever calls; None while the gateway starts.

        Raises UnknownApi if there is no such API.
        """
        if self.bound_roles == (_NOBODY,):
            raise UnknownApi
        if self.choice is not None:
            await self._enter(scope, None, None)
        environment = environment_of(scope)
        return None if environment is None else await self._whole(environment)

    async def _whole(self, environment: OpenEnvironment) -> GenerationManager:
        if self.profile is None:
            return environment.live
        self._check_profile(environment)
        return await environment.profiles.live(self.profile)

    def _check_profile(self, environment: OpenEnvironment) -> None:
        """Raise UnknownApi if the environment does not serve this profile."""
        if self.profile is not None and self.profile not in environment.live.gateway.profiles:
            raise UnknownApi


def endpoints_of(
    settings: Settings,
    observe: Observer,
    authenticator: Authenticator | None = None,
    choice: EnvironmentChoice | None = None,
    trusted: TrustedStore | None = None,
) -> Sequence[Endpoint]:
    """Return the endpoints of a gateway, the whole catalogue's first."""
    served: list[Settings] = [settings] if settings.serve_all else []
    served += [profile_settings(settings, name) for name in settings.profiles]
    waiting = WaitingBytes(settings.max_waiting_bytes)
    running = RunningOperations(settings.max_operations, max_lag=settings.max_loop_lag)
    # Each endpoint refers to the list that it is in.
    endpoints: list[Endpoint] = []
    endpoints.extend(
        Endpoint(
            settings=own,
            observe=observe,
            beside=endpoints,
            waiting=waiting,
            running=running,
            authenticator=authenticator,
            choice=choice,
            trusted=trusted,
        )
        for own in served
    )
    return endpoints


def other_profiles(endpoints: Sequence[Endpoint]) -> Iterable[Endpoint]:
    """Yield the endpoint of all profiles that do not exist, if some are hidden from callers.

    It is like one that is bound to a role that nobody has, so that nothing tells hidden profiles from missing ones:
    no method, no header, no redirect.
    """
    changes = {"profile": "{profile}", "bound_roles": (_NOBODY,)}
    for hidden in (e for e in endpoints if e.bound_roles):
        yield replace(hidden, settings=hidden.settings.model_copy(update=changes))
        return


def with_cors(
    api: ASGIApp,
    origins: Sequence[str],
    methods: Sequence[str] = ("GET", "HEAD", "POST", "QUERY"),
) -> ASGIApp:
    """Let pages of these origins call an application (CORS); without origins it is returned as it is."""
    # Without origins the middleware would only cost time.
    if not origins:
        return api
    exposed = (
        "ETag",
        "Idempotent-Replayed",
        "Location",
        "Content-Disposition",
        "Content-Range",
        "Retry-After",
        "WWW-Authenticate",
        "RateLimit",
        "RateLimit-Policy",
        "X-Request-Id",
    )
    return CORSMiddleware(
        api,
        allow_origins=origins,
        allow_methods=methods,
        allow_headers=("*",),
        expose_headers=exposed,
    )


RoutesOf: TypeAlias = Callable[[Endpoint], Iterable[BaseRoute]]
"""Returns the routes that exist once for each API."""
