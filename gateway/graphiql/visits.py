"""Decides what a page is for its caller: who that is, which examples run, what the roles allow."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from starlette.requests import Request

from gateway.config.profiles import environment_in
from gateway.config.settings import Settings
from gateway.environments.open_environment import OpenEnvironment
from gateway.http.endpoints import Endpoint
from gateway.http.explain_endpoint import explains_to
from gateway.http.presence import environment_of
from gateway.http.refusals import HttpError, UnknownApi, UnknownEnvironment
from gateway.http.request_parameters import COMPANY_HEADER, companies_of
from gateway.identity.caller import Caller
from gateway.identity.certificates import HEADER as CERTIFICATE
from gateway.runtime.assembly import Gateway
from schema.policy.view import RoleView

from . import PRESET_HEADERS, Example, Visit, examples
from .environment import environment_of as badge_of
from .fitting import runnable_examples

_HINTS = ("preferred_username", "upn", "email", "sub")
"""Claims by which an issuer knows who signs in again."""
_UNKNOWN = Visit(status=404)
_STRANGER = Visit(
    explains=False, refusal={"code": "UNAUTHENTICATED", "message": "This API needs credentials."}
)


async def receive(
    endpoint: Endpoint, companies: tuple[str, ...] | None, request: Request, tabs: Sequence[Example]
) -> Visit:
    """Return what an endpoint's page is for the caller of a request, in a company scope."""
    if _is_stranger(endpoint, request):
        return _STRANGER
    try:
        caller, live = await endpoint.admit(request.scope)
    except UnknownApi:
        return await receive_unknown(request, tabs) if _signs_in(endpoint) else _UNKNOWN
    except UnknownEnvironment:
        return await receive_unknown(request, tabs) if _signs_in(endpoint) else _UNKNOWN
    except HttpError as refused:
        return _closed(request, None, refused.code, str(refused))
    who = describe(caller)
    if live is None:
        return Visit(examples=tabs, explains=_explains(endpoint, who, None), caller=who)
    with live.serving() as gateway:
        if gateway.view is not None and not gateway.view.may_use_graphiql:
            message = "None of your roles may use this page."
            return _closed(request, who, "FORBIDDEN", message)
        own: Mapping[str, Any] = {}
        if environment_in(gateway.settings):
            headers = preset_headers(gateway.settings)
            companies = companies_of(headers.get(COMPANY_HEADER))
            tabs = examples(changing=has_changing(gateway.settings)) if tabs else ()
            own = {"headers": headers, "environment": badge_of(gateway.settings)}
        return Visit(
            **own,
            examples=runnable_examples(gateway, companies, tabs) if tabs else (),
            explains=_explains(endpoint, who, gateway),
            apis=_apis(endpoint, gateway.view, environment_of(request.scope)),
            has_view=gateway.view is not None,
            caller=who,
        )


def _is_stranger(endpoint: Endpoint, request: Request) -> bool:
    """Return whether a request must be without credentials: then the visit is not recorded as a refused caller."""
    if endpoint.authenticator is None or endpoint.settings.inbound.anonymous:
        return False
    has_some = _has_token(request) or CERTIFICATE in request.headers
    return not has_some and (_signs_in(endpoint) or not endpoint.bound_roles)


def _signs_in(endpoint: Endpoint) -> bool:
    return endpoint.authenticator is not None and bool(endpoint.authenticator.sign_ins)


def _has_token(request: Request) -> bool:
    """Return whether a request has a token; Basic is the password of the page."""
    authorization = request.headers.get("authorization", "")
    return bool(authorization) and not authorization.lower().startswith("basic ")


async def receive_unknown(request: Request, _: Sequence[Example]) -> Visit:
    """Return what the page of an API is that does not exist, or not for the caller.

    Strangers learn how to sign in; whether there is such an API, nobody does before that.
    """
    return _UNKNOWN if _has_token(request) else _STRANGER


def describe(caller: Caller) -> Mapping[str, object] | None:
    """Return a caller for the page's badge; None for one who has not signed in."""
    if caller.kind == "anonymous":
        return None
    return {
        "name": caller.name or caller.subject,
        "kind": caller.kind,
        "roles": list(caller.roles),
        "expiresAt": caller.expires_at,
        "hint": next((c for n in _HINTS if isinstance(c := caller.claims.get(n), str)), None),
    }


def _closed(request: Request, who: Mapping[str, object] | None, code: str, message: str) -> Visit:
    # Strangers need the page to sign in.
    is_refused = code == "FORBIDDEN" and _has_token(request)
    return Visit(
        status=403 if is_refused else 200,
        explains=False,
        caller=who,
        refusal={"code": code, "message": message},
    )


def _explains(endpoint: Endpoint, who: object, gateway: Gateway | None) -> bool:
    setting = endpoint.settings.explains
    # A request has one Authorization: that of the administrator is the password of the page.
    if setting is False or (setting == "admin" and who is not None):
        return False
    return gateway is None or explains_to(gateway)


def _apis(
    endpoint: Endpoint, view: RoleView | None, environment: OpenEnvironment | None
) -> list[Mapping[str, str]]:
    """Return the APIs in the menu: those that list themselves, and exist in the environment, for the caller's roles."""
    roles = set() if view is None else set(view.roles)
    served = {None, *(() if environment is None else environment.live.gateway.profiles)}
    return [
        {"title": e.title, "page": e.page}
        for e in endpoint.beside
        if e is endpoint
        or (
            e.profile in served
            and e.settings.introspection
            and (not e.bound_roles or roles.intersection(e.bound_roles))
        )
    ]


def has_changing(settings: Settings) -> bool:
    """Return whether a page has examples that write: on a real environment none is one click away."""
    return settings.is_sandbox and not settings.read_only


def preset_headers(settings: Settings) -> Mapping[str, str]:
    """Return the headers in the page's editor: the configured company scope, or the sandbox's company."""
    if settings.companies:
        return {COMPANY_HEADER: ", ".join(settings.companies)}
    return PRESET_HEADERS if settings.url is None else {}
