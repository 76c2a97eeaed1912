"""`sandbox token` and `sandbox users`: trying out roles without an identity provider."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence

from gateway.config.sandbox_roles import sandbox_roles
from gateway.config.settings import Settings
from gateway.errors import BadArgument
from gateway.identity.sandbox_issuer import open_sandbox_issuer
from gateway.identity.sandbox_users import USERS, user_of, user_with
from schema.errors import did_you_mean

_LIFE = re.compile(r"([1-9][0-9]{0,4})([smhd])")
_SECONDS = {"s": 1, "m": 60, "h": 3_600, "d": 86_400}


def sandbox_token(
    settings: Settings,
    roles: Sequence[str],
    user_id: str | None,
    companies: Sequence[str],
    expires: str,
) -> str:
    """Return a token for a user with these roles and companies, or with its own. Raises BadArgument, SettingsError."""
    user = None if user_id is None else user_of(user_id)
    if user_id is not None and user is None:
        names = [u.id for u in USERS]
        raise BadArgument(
            f"--user {user_id}: there is no such user.{did_you_mean(user_id, names)}",
            hint=f"Users: {', '.join(names)}.",
        )
    if user is None and not roles:
        raise BadArgument(
            "Name a --role or a --user.", hint="`d365-graphql sandbox users` lists them."
        )
    declared = tuple(settings.roles or sandbox_roles())
    for role in roles:
        if role not in declared:
            raise BadArgument(
                f"--role {role}: there is no such role.{did_you_mean(role, declared)}",
                hint=f"Roles: {', '.join(declared)}.",
            )
    issuer = open_sandbox_issuer(settings)
    return issuer.token(user_with(roles, user, companies), _seconds(expires))


def _seconds(expires: str) -> float:
    """``1h`` → 3600. Raises BadArgument."""
    life = _LIFE.fullmatch(expires)
    if life is None:
        raise BadArgument(f"--expires {expires}: accepted: 30m, 1h, 7d.")
    return float(int(life[1]) * _SECONDS[life[2]])


def print_sandbox_users(*, as_json: bool) -> None:
    """Print the users."""
    if as_json:
        users = [
            {"id": u.id, "name": u.name, "roles": list(u.roles), "companies": list(u.companies)}
            for u in USERS
        ]
        print(json.dumps({"users": users}))
        return
    for user in USERS:
        companies = ", ".join(user.companies) or "all companies"
        print(f"{user.id:<8}{user.name:<16}{', '.join(user.roles):<10}{companies}")
