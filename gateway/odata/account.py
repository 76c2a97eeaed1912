"""Where a product keeps what its administrator would look up of a signed-in application: its user, roles, companies."""

from __future__ import annotations

from msgspec import Struct


class Lookup(Struct, frozen=True):
    """Rows of an entity set by one property."""

    entity_set: str
    key: str
    value: str
    """Property that holds what is looked up."""


class AccountSets(Struct, frozen=True):
    """The sets that `d365-graphql check` reads, by their names in the metadata."""

    clients: Lookup
    """Client id → user."""
    roles: Lookup
    """User → names of security roles."""
    companies: Lookup
    """Legal entity → name."""
    samples: tuple[str, ...]
    """Sets of the areas that applications need most: a refusal of one shows a missing role."""
