"""Names of linked environments: those that integrators choose, else after the host."""

from __future__ import annotations

import re
from collections.abc import Iterator
from urllib.parse import urlsplit

from gateway.config.environment_models import OWN

_MAX = 40
_MAX_TRIES = 50


def names_for(url: str) -> Iterator[str]:
    """Yield names for an environment: ``contoso-uat``, then ``contoso-uat-2`` and so on."""
    label = (urlsplit(url).hostname or "").partition(".")[0].lower()
    name = re.sub(r"[^a-z0-9-]+", "-", label).strip("-")
    if not re.match(r"[a-z]", name) or name == OWN:
        name = f"environment-{name}".rstrip("-")
    yield name[:_MAX]
    for number in range(2, _MAX_TRIES + 1):
        end = f"-{number}"
        yield f"{name[: _MAX - len(end)]}{end}"
