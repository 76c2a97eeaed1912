"""What a catalogue is made of while it is being made."""

from __future__ import annotations

from dataclasses import dataclass, field

from schema.model.records import EntityType, Navigation, Property

NAMESPACE = "Microsoft.Dynamics.DataEntities"


def qualified(name: str) -> str:
    return f"{NAMESPACE}.{name}"


def plain(name: str) -> str:
    return name.rpartition(".")[2]


@dataclass(slots=True)
class Draft:
    """An entity type with its set, until nothing more is added to it."""

    type: str
    entity_set: str
    key: tuple[str, ...] = ()
    properties: dict[str, Property] = field(default_factory=dict)
    navigations: dict[str, Navigation] = field(default_factory=dict)
    bindings: dict[str, str] = field(default_factory=dict)
    label: str | None = None
    size: int = 0
    """How many properties it is to have."""
    degree: int = 0
    """How many navigations it is to have."""
    read_only: bool = False
    known: bool = False
    """Whether the sandbox has it: its columns are those of a business object, not of the database."""

    def has_room(self, columns: int) -> bool:
        return len(self.properties) + columns <= self.size

    def finished(self) -> EntityType:
        return EntityType(
            name=qualified(self.type),
            key=self.key,
            properties=tuple(self.properties.values()),
            navigations=tuple(self.navigations.values()),
            label=self.label,
            read_only=self.read_only,
        )
