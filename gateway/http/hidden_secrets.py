"""Takes secrets out of the paths of requests, before anything can log them."""

from __future__ import annotations

from starlette.types import Scope

HOOKS = "/hooks"
"""Path below which environments report events: ``/hooks/acme/SECRET``."""
HIDDEN = "*"
"""What stands in the place of a secret."""
_KEY = "d365.secret"


def hide_secret(scope: Scope, route: str) -> None:
    """Take the secret out of the path of a hook. ``route``: the path below the root path."""
    if not route.startswith(f"{HOOKS}/"):
        return
    environment, slash, secret = route[len(HOOKS) + 1 :].partition("/")
    if not slash:
        return
    scope[_KEY] = secret
    root = scope["path"][: len(scope["path"]) - len(route)]
    scope["path"] = f"{root}{HOOKS}/{environment}/{HIDDEN}"
    scope["raw_path"] = scope["path"].encode()


def secret_of(scope: Scope) -> str:
    """Return what was taken out of the path; empty if that is of another kind."""
    secret: str = scope.get(_KEY, "")
    return secret
