"""The registry of dialects, and how the one of a service is found.

To add a product: write its record in a module of its own (``finops`` is the example), put it into ``DIALECTS``, and
its name among the values of the setting ``dialect`` (a test compares the two). Planning, execution and writes ask the
record; they never name a product.
"""

from __future__ import annotations

from urllib.parse import urlsplit

from gateway.errors import SettingsError

from .dialect import ODATA, Dialect, EnvironmentKind
from .finops import FINOPS

DIALECTS: tuple[Dialect, ...] = (FINOPS, ODATA)
"""Every dialect; the first one that address or metadata show counts."""

SANDBOX = FINOPS
"""The product that the embedded sandbox imitates."""


def dialect_for(name: str | None, url: str, namespace: str = "") -> Dialect:
    """Return the dialect with that name; without a name, the one that address or metadata namespace show.

    Raises SettingsError if no dialect has the name.
    """
    if name is None:
        host = urlsplit(url).hostname or ""
        return next((d for d in DIALECTS if d.is_shown_by(host, namespace)), ODATA)
    by_name = {dialect.name: dialect for dialect in DIALECTS}
    if name in by_name:
        return by_name[name]
    raise SettingsError(
        f"D365_DIALECT is {name!r}.", hint=f"Accepted: {', '.join(sorted(by_name))}."
    )


def environment_kind(host: str) -> EnvironmentKind | None:
    """Return what an environment of that host is for; None if no dialect knows such hosts."""
    kinds = (dialect.environment_kind(host) for dialect in DIALECTS)
    return next((kind for kind in kinds if kind is not None), None)
