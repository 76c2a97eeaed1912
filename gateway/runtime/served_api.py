"""An API as it serves one caller: its generations, and the views of its other roles."""

from __future__ import annotations

from dataclasses import dataclass, replace

from schema.policy.view import RoleView

from .generations import GenerationManager
from .role_views import RoleViews


@dataclass(frozen=True, slots=True, kw_only=True)
class ServedApi:
    """The API of a caller."""

    live: GenerationManager
    views: RoleViews | None = None
    """None without roles."""
    profile: str | None = None
    """None: the whole catalogue."""

    async def of_view(self, view: RoleView) -> ServedApi:
        """Return the same API as others of its roles see it. Raises Forbidden."""
        own = self.live.gateway.view
        if own is not None and own.roles == view.roles:
            return self
        assert self.views is not None
        return replace(self, live=await self.views.live(self.profile, view))
