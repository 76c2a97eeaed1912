"""Builds write errors: the Infolog string in ``error.innererror.message`` (section 5.3).

    "Write failed for table row of type 'CustCustomerV3Entity'. Infolog: Warning: …; Warning: …."

The entity is named as in X++, its fields by public names, labels in the language of the user.
"""

from __future__ import annotations

from dataclasses import dataclass

from schema.model.records import short

from .catalogue import SetFacts
from .labels import text_of, words
from .refusal import WRITE_EXCEPTION, Refusal
from .world import World

_STACKS = {
    "create": "UpdateProcessor.CreateEntity_Save(ODataQueryContext context)",
    "update": "UpdateProcessor.UpdateEntity_Save(ODataQueryContext context)",
    "delete": "UpdateProcessor.DeleteEntity_Save(ODataQueryContext context)",
}


@dataclass(frozen=True, slots=True)
class Infolog:
    """Builds the refusals of writes to one set."""

    world: World
    entity_set: str
    status: int
    """400 or 500: services answer with either (section 5.3)."""
    table: str
    """Name of the X++ table in messages: ``CustGroup``."""

    @property
    def aot(self) -> str:
        """Name of the X++ data entity."""
        facts = self.world.catalogue.facts.get(self.entity_set)
        return aot_of(facts, self.world.type_of(self.entity_set))

    def failed(self, *entries: str, operation: str = "create") -> Refusal:
        """Return the refusal with these Infolog entries (``Warning: Item is blocked``)."""
        log = f" Infolog: {'; '.join(f'{entry}.' for entry in entries)}" if entries else ""
        stack = "   at Microsoft.Dynamics.Platform.Integration.Services.OData.Update."
        return Refusal(
            self.status,
            f"Write failed for table row of type '{self.aot}'.{log}",
            kind=WRITE_EXCEPTION,
            stack=stack + _STACKS[operation],
        )

    def field_failed(self, name: str, reason: str, operation: str) -> Refusal:
        """Return the refusal of one property's value."""
        note = f"Warning: validateField failed on field '{self.aot}.{name}'"
        return self.failed(f"Warning: {reason}", note, operation=operation)

    def write_failed(self, *reasons: str, operation: str) -> Refusal:
        """Return the refusal of a row as a whole."""
        note = f"Warning: validateWrite failed on data source '{self.table} ({self.table})'"
        warnings = [f"Warning: {reason}" for reason in reasons]
        return self.failed(*warnings, note, operation=operation)

    def not_found(self, name: str, value: str, target: str, operation: str) -> Refusal:
        """Return the refusal of a value that the related table does not hold."""
        reason = (
            f"The value '{value}' in field '{self.label(name)}' is not found in the related table"
            f" '{self.set_label(target)}'"
        )
        return self.field_failed(name, reason, operation)

    def duplicate(self, key: dict[str, str]) -> Refusal:
        """Return the refusal of a key that exists; the entry ends in two full stops."""
        labels = ", ".join(self.label(name) for name in key)
        values = ", ".join(key.values())
        name = self.set_label(self.entity_set)
        return self.failed(
            f"Info: Cannot create a record in {name} ({self.table}). {labels}: {values}.\n"
            "The record already exists."
        )

    def conflict(self) -> Refusal:
        """Return the refusal of a change to a row that another user has changed meanwhile ([R: G12])."""
        return self.failed(
            f"Error: Cannot edit a record in {self.set_label(self.entity_set)} ({self.table}). An"
            " update conflict occurred due to another user process deleting the record or changing"
            " one or more fields in the record",
            operation="update",
        )

    def label(self, name: str) -> str:
        """Return the text that users see for a property."""
        prop = self.world.fields_of(self.world.type_of(self.entity_set)).get(name)
        label = None if prop is None else prop.declared.label
        return words(name) if label is None else text_of(label, name)

    def set_label(self, name: str) -> str:
        entity_set = self.world.model.entity_sets.get(name)
        if entity_set is None or entity_set.label is None:
            return words(name)
        return text_of(entity_set.label, name)


def aot_of(facts: SetFacts | None, type_name: str) -> str:
    """Return the X++ name of an entity; the usual form if the metadata does not tell it."""
    return f"{short(type_name)}Entity" if facts is None else facts.aot
