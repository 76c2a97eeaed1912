"""Entity sets in which a product keeps the user, roles and companies of a registered application."""

from __future__ import annotations

from msgspec import Struct


class Lookup(Struct, frozen=True):
    """Finds a value in the rows of an entity set by one other property."""

    entity_set: str
    key: str
    value: str
    """Property with the value that is looked up."""


class UserSet(Struct, frozen=True, kw_only=True):
    """The set of users, and the names of its properties."""

    entity_set: str
    id: str
    sign_in: str
    """The name with which a user signs in."""
    enabled: str
    company: str
    """Default legal entity."""
    language: str


class AccountSets(Struct, frozen=True):
    """The sets that tell who somebody is, by their names in the metadata."""

    users: UserSet

    clients: Lookup
    """Client id → user."""
    roles: Lookup
    """User → names of security roles."""
    administrator: Lookup
    """User → identifiers of security roles."""
    administrator_role: str
    """Identifier of the role of those who may do everything."""
    companies: Lookup
    """Legal entity → name."""
    samples: tuple[str, ...]
    """Sets of the most used areas: if one is refused, a role is missing."""
