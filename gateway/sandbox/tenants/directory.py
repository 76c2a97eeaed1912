"""The tenants of the sandbox: their people, and the applications that are registered with the login host."""

from __future__ import annotations

import uuid
from collections.abc import Sequence

from msgspec import Struct

from gateway.sandbox.store import Store

MAX_PEOPLE = 5
"""People of an environment that its tenant has: the administrator first."""


class Person(Struct, frozen=True, kw_only=True):
    """Somebody who can sign in, without a password."""

    sign_in: str
    """Name with which they sign in: ``admin@contoso.com``."""
    name: str
    title: str = ""
    """What the login page says of them."""

    @property
    def oid(self) -> str:
        """Id of their object in the directory."""
        return str(uuid.uuid5(uuid.NAMESPACE_URL, f"person {self.sign_in}"))


class Tenant(Struct, frozen=True, kw_only=True):
    """A directory of people."""

    name: str
    people: Sequence[Person]

    @property
    def id(self) -> str:
        """The tenant's id, which is the same each time."""
        return str(uuid.uuid5(uuid.NAMESPACE_URL, f"tenant {self.name}"))

    def person(self, oid: str) -> Person | None:
        """Return the person with an object id; None if there is none."""
        return next((person for person in self.people if person.oid == oid), None)


class Application(Struct, frozen=True, kw_only=True):
    """An application with a secret, which all tenants know: a multi-tenant one."""

    client_id: str
    secret: str
    name: str
    return_path: str
    """Path of the address to which the login page sends browsers back, on this machine."""

    def __repr__(self) -> str:
        return f"Application({self.client_id})"


def people_of(store: Store, administrator: str) -> Sequence[Person]:
    """Return people who can sign in to an environment: its users, with what their roles are called."""
    roles: dict[str, list[str]] = {}
    for row in store.rows("SecurityUserRoles"):
        roles.setdefault(row["UserId"], []).append(row["SecurityRoleIdentifier"])
    names = {
        row["SecurityRoleIdentifier"]: row["SecurityRoleName"]
        for row in store.rows("SecurityRoles")
    }
    users = [row for row in store.rows("SystemUsers") if row["Enabled"]]
    # Stable: those with the administrator's role first, the others in their order.
    users.sort(key=lambda row: administrator not in roles.get(row["UserID"], ()))
    return tuple(
        Person(
            sign_in=row["Alias"],
            name=row["UserName"],
            title=", ".join(names[role] for role in roles.get(row["UserID"], ())),
        )
        for row in users[:MAX_PEOPLE]
    )
