"""Records of what an operation writes, bound to its arguments: pure, and sent by others."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from msgspec import Struct

from gateway.odata.literals import parse_value
from gateway.odata.query import KeyPart
from gateway.planning.done_checks import DoneCheck
from schema.catalog.records import Field, MutationField, Verb

Place = tuple[str, ...]
"""Where something stands in the arguments: ``("input", "3", "salesOrderLines")``."""
KeyValues = tuple[Any, ...]
"""Values of the fields of a key."""
Identity = tuple[Any, ...]
"""Entity set and key values of a row."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RowWrite:
    """One row to create, update, upsert or delete."""

    verb: Verb
    entity_set: str
    csdl: str
    """Qualified CSDL name of the row's type."""
    place: Place
    key: tuple[KeyPart, ...] | None = None
    """The whole key; None if the upstream gives a part of it."""
    body: Mapping[str, Any] = field(default_factory=dict)
    """Property → JSON value: what the caller set, and the presets of roles."""
    own: Mapping[str, Any] | None = None
    """What of ``body`` the caller set; None: all of it."""
    presets: frozenset[str] = frozenset()
    """Properties of ``body`` whose values roles preset."""
    change: Mapping[str, Any] = field(default_factory=dict)
    """For an upsert: the part of ``body`` that may be changed in an existing row."""
    if_match: str | None = None
    version: str | None = None
    """Etag of the row as it was checked against the rules of roles."""
    takes_back: bool = False
    """Whether it deletes a row that the same operation has created."""
    patched: bool = False
    """Whether its fields stand in an argument of their own, ``patch``, beside the key."""
    children: tuple[ChildWrites, ...] = ()

    @property
    def fields_at(self) -> Place:
        """Where its fields stand in the arguments."""
        return (*self.place, "patch") if self.patched else self.place

    @property
    def key_values(self) -> dict[str, Any]:
        """Key property → value; empty if the key is not known."""
        return {part.name: part.value.value for part in self.key or ()}

    @property
    def identity(self) -> Identity:
        """What tells the row from all others."""
        return (self.entity_set, *(part.value.value for part in self.key or ()))

    @property
    def has_rows_below(self) -> bool:
        """Whether rows are created below it."""
        return any(children.rows for children in self.children)


class ChildWrites(Struct, frozen=True):
    """Rows to create below a new row. ``join`` is (property of the parent, property of the child)."""

    field: Field
    join: tuple[tuple[str, str], ...]
    rows: tuple[RowWrite, ...]


class DoneRow(Struct, frozen=True):
    """A row that shows whether a call was done."""

    check: DoneCheck
    key: KeyValues


class CallWrite(Struct, frozen=True, kw_only=True):
    """A call of an action or custom service."""

    path: str
    """Relative to the service root; of a custom service to the environment's address, with a leading slash."""
    body: Mapping[str, Any]
    has_result: bool = False
    """Whether the call is declared to return something."""
    row: RowWrite | None = None
    """The row that an action is bound to."""
    names: tuple[str, ...] = ()
    """Names by which roles may give it."""
    done: DoneRow | None = None
    """Where it shows that it was done; None: nowhere."""

    @property
    def is_service(self) -> bool:
        """Whether it is a custom service, outside OData."""
        return self.path.startswith("/")


class NaturalKey(Struct, frozen=True):
    """The properties that name the rows of one mutation."""

    fields: tuple[Field, ...]
    """The company first, if rows belong to one."""
    is_requested: bool = False
    """Whether the caller has named them."""

    def values(self, write: RowWrite) -> KeyValues | None:
        """Return the values of a new row; None if it does not set all of them."""
        values = []
        for part in self.fields:
            value = write.body.get(part.source)
            kind = part.value
            if value in (None, "") or kind is None:
                return None
            values.append(value if kind.is_enum else parse_value(kind.edm, value))
        return tuple(values)

    def describe(self) -> str:
        """Return the names of its fields in one text."""
        return ", ".join(field.name for field in self.fields)


class RowsMutation(Struct, frozen=True):
    """A mutation of rows: one, or a list."""

    field: MutationField
    writes: tuple[RowWrite, ...]
    natural_key: NaturalKey | None = None
    """By what rows that are there are found; None: new rows are created without a look."""


class CallMutation(Struct, frozen=True):
    """A mutation that calls an action or custom service."""

    field: MutationField
    call: CallWrite


Mutation = RowsMutation | CallMutation
