"""What an operation writes, bound to its arguments: pure, printable, sent by others."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from msgspec import Struct

from gateway.odata.query import KeyPart
from schema.catalog.records import Field, MutationField, Verb

Place = tuple[str, ...]
"""Where something stands in the arguments: ``("input", "3", "salesOrderLines")``."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RowWrite:
    """One row to create, update, upsert or delete."""

    verb: Verb
    entity_set: str
    csdl: str
    place: Place
    key: tuple[KeyPart, ...] | None = None
    """The whole key; None where the upstream gives a part of it."""
    body: Mapping[str, Any] = field(default_factory=dict)
    """Property → JSON value: what the caller gave, and nothing else."""
    change: Mapping[str, Any] = field(default_factory=dict)
    """For an upsert: the part of ``body`` that may be changed in a row that is there."""
    if_match: str | None = None
    patched: bool = False
    """Whether its fields stand in an argument of their own, ``patch``, beside the key."""
    children: tuple[ChildWrites, ...] = ()

    @property
    def fields_at(self) -> Place:
        """Where its fields stand in the arguments."""
        return (*self.place, "patch") if self.patched else self.place


class ChildWrites(Struct, frozen=True):
    """Rows to create below a new row. ``join`` is (property of the parent, property of the child)."""

    field: Field
    join: tuple[tuple[str, str], ...]
    rows: tuple[RowWrite, ...]


class CallWrite(Struct, frozen=True, kw_only=True):
    """A call of an action or custom service."""

    path: str
    """Relative to the service root, or for a custom service to the environment's address, with a slash in front."""
    body: Mapping[str, Any]
    has_result: bool = False
    """Whether the call is declared to give something back."""
    row: RowWrite | None = None
    """The row that an action is bound to."""

    @property
    def is_service(self) -> bool:
        """Whether it is a custom service, beside OData."""
        return self.path.startswith("/")


class RowsMutation(Struct, frozen=True):
    """A mutation of rows: one, or a list."""

    field: MutationField
    writes: tuple[RowWrite, ...]


class CallMutation(Struct, frozen=True):
    """A mutation that calls something."""

    field: MutationField
    call: CallWrite


Mutation = RowsMutation | CallMutation
