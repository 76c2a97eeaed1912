"""The doors of a gateway: every address, and every kind of field by which an operation reads or writes.

Whoever adds a route or a kind of root field adds it here, with who may pass and how that is checked; a test fails for
one that is missing. Tests of what callers may see go through these lists.
"""

from __future__ import annotations

from enum import StrEnum
from typing import NamedTuple


class Check(StrEnum):
    """Who may pass a door."""

    CALLER = "caller"
    """Callers whom ``Endpoint.admit`` admits, to the view of their roles."""
    PAGE = "page"
    """Anybody, for it shows how to sign in; what a caller sees of the API follows ``Endpoint.admit``."""
    ADMIN = "admin"
    """Who has the admin token."""
    HOOK = "hook"
    """Who has the secret address of a hook."""
    LINK = "link"
    """Who has the secret address of a link session, in the browser that has begun it."""
    PUBLIC = "public"
    """Anybody: it shows nothing of the API."""


class Door(NamedTuple):
    """An address of the gateway."""

    path: str
    check: Check
    kind: str = "http"
    """``http`` or ``websocket``."""
    of_profiles: bool = False
    """Whether each profile has one, below its name."""
    of_environments: bool = False
    """Whether each environment has one, below ``/e/NAME``."""


DOORS = (
    Door("/graphql", Check.CALLER, of_profiles=True, of_environments=True),
    Door("/graphql", Check.CALLER, "websocket", of_profiles=True, of_environments=True),
    Door("/graphql/documents/{document}", Check.CALLER, of_profiles=True, of_environments=True),
    Door("/graphql/explain", Check.CALLER, of_profiles=True, of_environments=True),
    Door("/graphql/search", Check.CALLER, of_profiles=True, of_environments=True),
    Door("/graphql/slice", Check.CALLER, of_profiles=True, of_environments=True),
    Door("/graphql/{profile}", Check.CALLER, of_environments=True),
    Door("/graphql/{profile}", Check.CALLER, "websocket", of_environments=True),
    Door("/graphql/{profile}/documents/{document}", Check.CALLER, of_environments=True),
    Door("/graphql/{profile}/explain", Check.CALLER, of_environments=True),
    Door("/graphql/{profile}/search", Check.CALLER, of_environments=True),
    Door("/graphql/{profile}/slice", Check.CALLER, of_environments=True),
    Door("/export/{set}", Check.CALLER, of_profiles=True, of_environments=True),
    Door("/export/{profile}/{set}", Check.CALLER, of_environments=True),
    Door("/import/{set}", Check.CALLER, of_profiles=True, of_environments=True),
    Door("/import/{profile}/{set}", Check.CALLER, of_environments=True),
    Door("/files/{row}/{field}", Check.CALLER, of_profiles=True, of_environments=True),
    Door("/files/{profile}/{row}/{field}", Check.CALLER, of_environments=True),
    Door("/exports", Check.CALLER, of_profiles=True, of_environments=True),
    Door("/exports/{profile}", Check.CALLER, of_environments=True),
    *(
        Door(f"/jobs{below}", Check.CALLER, of_environments=True)
        for below in ("", "/{job}", "/{job}/resume", "/{job}/manifest", "/{job}/parts/{part}")
    ),
    *(
        Door(f"/webhooks{below}", Check.CALLER, of_environments=True)
        for below in (
            *("", "/openapi.json", "/{webhook}", "/{webhook}/pause", "/{webhook}/resume"),
            *("/{webhook}/secret", "/{webhook}/dead-letters", "/{webhook}/dead-letters/{letter}"),
            "/{webhook}/dead-letters/{letter}/resend",
        )
    ),
    Door("/scim/v2", Check.CALLER, of_environments=True),
    Door("/scim/v2/{path:path}", Check.CALLER, of_environments=True),
    Door("/hooks/{environment}/{secret}", Check.HOOK),
    Door("/graphiql", Check.PAGE, of_profiles=True, of_environments=True),
    Door("/graphiql/config.json", Check.PAGE, of_profiles=True, of_environments=True),
    Door("/graphiql/{profile}", Check.PAGE, of_environments=True),
    Door("/graphiql/{profile}/config.json", Check.PAGE, of_environments=True),
    Door("/graphiql/callback", Check.PUBLIC, of_environments=True),
    Door("/sandbox/authorize", Check.PUBLIC),
    Door("/sandbox/token", Check.PUBLIC),
    Door("/graphiql/assets/{name}", Check.PUBLIC, of_environments=True),
    Door("/link/assets/{name}", Check.PUBLIC),
    Door("/link/callback", Check.LINK),
    Door("/link/{session}", Check.LINK),
    *(
        Door(f"/link/{{session}}/{step}", Check.LINK)
        for step in ("state", "address", "sign-in", "check", "finish")
    ),
    Door("/", Check.PUBLIC, of_environments=True),
    Door("/healthz", Check.PUBLIC),
    Door("/readyz", Check.PUBLIC),
    Door("/admin/reload", Check.ADMIN),
)
"""Event streams come through ``/graphql``, by ``Accept``. ``{profile}``: of profiles that do not exist."""

ADMIN_DOORS = (
    *("/health", "/health/upstream", "/metrics"),
    *("/livez", "/readyz", "/startupz"),
    *("/status", "/status/status.css", "/status/status.js", "/status/panels.json"),
    *("/admin/openapi.json", "/admin/environments", "/admin/environments/{name}"),
    *(f"/admin/environments/{{name}}/{act}" for act in ("disable", "enable", "reload", "check")),
    "/admin/environments/{name}/hook",
    *("/admin/link-sessions", "/admin/link-sessions/{id}"),
    *("/admin/environments/{name}/status", "/admin/environments/{name}/drift"),
)
"""Addresses of the second listener: for those who have an admin key; what is not below
``/admin/`` for everybody on the machine, too, and the probes (``/livez``, ``/readyz``, ``/startupz``) for all."""

READS = (
    *("list", "by_key", "singleton", "function", "aggregate", "node", "nodes", "entities"),
    *("__schema", "__type", "_service"),
)
"""Kinds of fields of ``Query``: those of ``RootKind``, and those that are about the schema."""

WRITES = ("create", "update", "upsert", "delete", "action", "service")
"""Kinds of fields of ``Mutation``: those of ``Verb``."""

SUBSCRIPTIONS = ("entityChanged",)
"""Fields of ``Subscription``."""
