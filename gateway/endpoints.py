"""The APIs of one gateway, and where they are: the whole catalogue's, and one for each profile.

    GET, POST /graphql        the whole catalogue      page: /graphiql
    GET, POST /graphql/ap     the profile ap           page: /graphiql/ap

Whatever exists once for each API is a function of its ``Endpoint`` that gives routes, listed in ``app.PER_ENDPOINT``;
at a request ``await endpoint.live(app)`` gives what serves there.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import TypeAlias

from starlette.applications import Starlette
from starlette.routing import BaseRoute

from .events import Observer
from .live import Live
from .settings import Settings

API = "/graphql"
PAGE = "/graphiql"


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Endpoint:
    """One API: its addresses, and the settings that hold for it."""

    settings: Settings
    observe: Observer
    profile: str | None = None
    """None: the whole catalogue."""

    @property
    def api(self) -> str:
        """Path of the API: ``/graphql/ap``."""
        return API if self.profile is None else f"{API}/{self.profile}"

    @property
    def page(self) -> str:
        """Path of the page for people: ``/graphiql/ap``."""
        return PAGE if self.profile is None else f"{PAGE}/{self.profile}"

    async def live(self, app: Starlette) -> Live | None:
        """Give what serves here; None before the start is over."""
        whole: Live | None = getattr(app.state, "live", None)
        return whole


RoutesOf: TypeAlias = Callable[[Endpoint], Iterable[BaseRoute]]
"""Makes the routes that exist once for each API."""
