"""The users of the sandbox: people of Contoso with one role each, for trying out roles. They have no password."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from msgspec import Struct, structs


class SandboxUser(Struct, frozen=True, kw_only=True):
    """A user, as the claims of its tokens describe it."""

    id: str
    name: str
    roles: tuple[str, ...]
    companies: tuple[str, ...] = ()
    """Legal entities; the first is its own."""

    @property
    def claims(self) -> Mapping[str, Any]:
        """The claims of its tokens that say who it is and what it may do."""
        companies = list(self.companies)
        return {
            "sub": self.id,
            "name": self.name,
            "roles": list(self.roles),
            "companies": companies,
            **({"company": companies[0]} if companies else {}),
        }


USERS: Sequence[SandboxUser] = (
    SandboxUser(id="vera", name="Vera Viewer", roles=("viewer",), companies=("usmf", "demf")),
    SandboxUser(id="alice", name="Alice Payable", roles=("ap-clerk",), companies=("usmf",)),
    SandboxUser(id="sam", name="Sam Sales", roles=("sales",), companies=("usrt", "usmf")),
    SandboxUser(id="aubrey", name="Aubrey Audit", roles=("auditor",)),
    SandboxUser(id="ada", name="Ada Admin", roles=("admin",)),
)
"""The users, the one with the fewest rights first."""
_BY_ID: Mapping[str, SandboxUser] = {user.id: user for user in USERS}


def user_of(user_id: str) -> SandboxUser | None:
    """Return the user with an id; None if there is none."""
    return _BY_ID.get(user_id)


def user_with(
    roles: Sequence[str], user: SandboxUser | None, companies: Sequence[str]
) -> SandboxUser:
    """Return a user with these roles and companies: the named one, or whoever has the first role; empty: its own."""
    if user is None:
        first = roles[0] if roles else ""
        user = next((u for u in USERS if first in u.roles), None)
    if user is None:
        name = f"Somebody with {', '.join(roles)}" if roles else "Somebody without roles"
        user = SandboxUser(id="somebody", name=name, roles=())
    return structs.replace(
        user, roles=tuple(roles) or user.roles, companies=tuple(companies) or user.companies
    )
