"""The routes of the pages: one page for each API, and what they share, with the way back from signing in.

Where pages sign in, there is one at every address ``/graphiql/NAME``. A browser that opens an address sends no token,
so it is ``config.json`` that says whether there is such a profile, to callers who have signed in.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from functools import partial

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import BaseRoute, Route

from gateway.http.admin_access import access_check
from gateway.http.endpoints import API, PAGE, Endpoint
from gateway.http.request_parameters import COMPANY_HEADER, companies_of
from gateway.identity.authenticator import Authenticator

from . import (
    CALLBACK,
    Page,
    asset_routes,
    callback_route,
    page_routes,
    unknown_page_routes,
)
from .environment import environment_of
from .visits import has_changing, preset_headers, receive, receive_unknown


def page_routes_of(endpoint: Endpoint) -> Iterable[BaseRoute]:
    """Return the routes of an API's page."""
    return page_routes(_page_of(endpoint)) if endpoint.settings.graphiql else ()


def shared_page_routes(endpoints: Sequence[Endpoint]) -> Iterable[BaseRoute]:
    """Yield the routes that exist once: the first page, the files of all pages, and the way back from signing in."""
    first = endpoints[0]

    async def to_page(request: Request) -> Response:
        root = request.scope.get("root_path", "")
        return RedirectResponse(f"{root}{first.page}", status_code=302)

    yield Route("/", to_page)
    yield from asset_routes()
    authenticator = first.authenticator
    if authenticator is not None and authenticator.sign_ins:
        yield callback_route(authenticator.sign_ins.available)
        yield from _sandbox_routes(authenticator)


def unknown_pages(endpoints: Sequence[Endpoint]) -> Iterable[BaseRoute]:
    """Return the routes of pages of profiles that do not exist, if pages sign in. They come last."""
    first = endpoints[0]
    authenticator = first.authenticator
    if not first.settings.graphiql or authenticator is None or not authenticator.sign_ins:
        return ()
    return unknown_page_routes(replace(_page_of(first), receive=receive_unknown), PAGE, API)


def _sandbox_routes(authenticator: Authenticator) -> Iterable[BaseRoute]:
    if authenticator.sandbox is None:
        return ()
    from gateway.http.sandbox_sign_in import sandbox_routes  # noqa: PLC0415 - imports cryptography, which only tokens need

    return sandbox_routes(authenticator.sandbox, CALLBACK)


def _page_of(endpoint: Endpoint) -> Page:
    settings = endpoint.settings
    headers = preset_headers(settings)
    companies = companies_of(headers.get(COMPANY_HEADER))
    page = Page(
        path=endpoint.page,
        api=endpoint.api,
        profile=endpoint.profile,
        headers=headers,
        changing=has_changing(settings),
        environment=environment_of(settings),
        docs=settings.docs_url,
        poll_interval=settings.subscriptions.interval,
        receive=partial(receive, endpoint, companies),
        admits=access_check(settings.graphiql, settings.admin_token),
    )
    if endpoint.authenticator is None or not endpoint.authenticator.sign_ins:
        return page
    return replace(page, ways=endpoint.authenticator.sign_ins.available)
