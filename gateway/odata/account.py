"""Entity sets in which a product keeps the user, roles and companies of a registered application."""

from __future__ import annotations

from msgspec import Struct


class Lookup(Struct, frozen=True):
    """Finds a value in the rows of an entity set by one other property."""

    entity_set: str
    key: str
    value: str
    """Property with the value that is looked up."""


class AccountSets(Struct, frozen=True):
    """The sets that ``d365-graphql check`` reads, by their names in the metadata."""

    clients: Lookup
    """Client id → user."""
    roles: Lookup
    """User → names of security roles."""
    companies: Lookup
    """Legal entity → name."""
    samples: tuple[str, ...]
    """Sets of the most used areas: if one is refused, a role is missing."""
