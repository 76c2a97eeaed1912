"""The APIs of one gateway, and where they are: the whole catalogue's, and one for each profile.

    GET, POST /graphql        the whole catalogue      page: /graphiql
    GET, POST /graphql/ap     the profile ap           page: /graphiql/ap

Whatever exists once for each API is a function of its ``Endpoint`` that gives routes, listed in ``app.PER_ENDPOINT``;
at a request ``await endpoint.live(app)`` gives what serves there.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import TypeAlias

from starlette.applications import Starlette
from starlette.middleware.cors import CORSMiddleware
from starlette.routing import BaseRoute
from starlette.types import ASGIApp

from gateway.config.profiles import ProfileSettings, profile_settings
from gateway.config.settings import Settings
from gateway.events import Observer
from gateway.runtime.generations import GenerationManager
from gateway.runtime.profile_instances import ProfileRegistry

from .waiting_bytes import WaitingBytes

API = "/graphql"
PAGE = "/graphiql"


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Endpoint:
    """One API: its addresses, and the settings that hold for it."""

    settings: Settings
    observe: Observer
    beside: Sequence[Endpoint] = field(default=(), repr=False)
    """All endpoints of the gateway, this one among them."""
    waiting: WaitingBytes = field(repr=False)
    """The answers of all of them that clients have not taken."""

    @property
    def profile(self) -> str | None:
        """The profile; None: the whole catalogue."""
        settings = self.settings
        return settings.profile if isinstance(settings, ProfileSettings) else None

    @property
    def title(self) -> str:
        """What people call it."""
        settings = self.settings
        if not isinstance(settings, ProfileSettings):
            return "All"
        return settings.title or settings.profile

    @property
    def api(self) -> str:
        """Path of the API: ``/graphql/ap``."""
        return API if self.profile is None else f"{API}/{self.profile}"

    @property
    def page(self) -> str:
        """Path of the page for people: ``/graphiql/ap``."""
        return PAGE if self.profile is None else f"{PAGE}/{self.profile}"

    async def live(self, app: Starlette) -> GenerationManager | None:
        """Return what serves here; None before the start is over."""
        whole: GenerationManager | None = getattr(app.state, "live", None)
        profile = self.profile
        if whole is None or profile is None:
            return whole
        profiles: ProfileRegistry = app.state.profiles
        return await profiles.live(profile)


def endpoints_of(settings: Settings, observe: Observer) -> Sequence[Endpoint]:
    """Return the endpoints of a gateway, that of the whole catalogue first."""
    found: list[Endpoint] = []
    held = [settings] if settings.serve_all else []
    held += [profile_settings(settings, name) for name in settings.profiles]
    waiting = WaitingBytes(settings.max_waiting_bytes)
    found.extend(
        Endpoint(settings=each, observe=observe, beside=found, waiting=waiting) for each in held
    )
    return found


def with_cors(api: ASGIApp, origins: Sequence[str]) -> ASGIApp:
    """Let pages of these origins call what belongs to an API; without any nothing stands before it."""
    if not origins:
        return api
    methods, told = ("GET", "HEAD", "POST"), ("ETag", "Retry-After")
    return CORSMiddleware(
        api, allow_origins=origins, allow_methods=methods, allow_headers=("*",), expose_headers=told
    )


RoutesOf: TypeAlias = Callable[[Endpoint], Iterable[BaseRoute]]
"""Makes the routes that exist once for each API."""
