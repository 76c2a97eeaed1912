"""From the settings to the schema's options of federation."""

from __future__ import annotations

from gateway.config.settings import Settings
from schema.types.federation import Federation


def federation_options(settings: Settings) -> Federation | None:
    """Return the options of the subgraph; None if federation is disabled."""
    options = settings.federation
    if not options.enabled:
        return None
    return Federation(
        version=options.version,
        node=options.node,
        unified=options.unified,
        page=settings.default_page_size,
        tags=options.tags,
    )
