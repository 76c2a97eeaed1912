"""What the settings say of the API as a subgraph."""

from __future__ import annotations

from gateway.config.settings import Settings
from schema.types.federation import Federation


def federation_options(settings: Settings) -> Federation | None:
    """Return what composers are told; None where the API is no subgraph."""
    options = settings.federation
    if not options.enabled:
        return None
    return Federation(
        version=options.version,
        node=options.node,
        page=settings.default_page_size,
        tags=options.tags,
    )
