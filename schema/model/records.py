"""The metadata model: what a CSDL document says, as plain frozen records.

References between records are *names* (qualified, aliases resolved), looked up through :class:`Model`, so a
record has no cycles, compares, hashes and prints. The collections of ``Model`` are mappings by name in document
order: a caller may hand in mappings that make their records when they are first asked for.

Vocabulary: OData CSDL XML 4.01, https://docs.oasis-open.org/odata/odata-csdl-xml/v4.01/.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from enum import Enum
from functools import cached_property
from itertools import chain

import msgspec


class Record(msgspec.Struct, frozen=True, array_like=True):
    """Base class of the model's records.

    A snapshot has tens of thousands. Structs are created and encoded several times as fast as dataclasses, and take
    half the bytes as arrays: the order of fields is part of the snapshot's format.
    """


class TypeRef(Record, frozen=True):
    """A type as a property, parameter or result names it."""

    name: str
    """Qualified: ``Edm.String`` or ``Microsoft.Dynamics.DataEntities.NoYes``."""
    many: bool = False
    """Whether it is ``Collection(name)``."""


class Property(Record, frozen=True, kw_only=True):
    """A structural property, CSDL section 7."""

    name: str
    type: TypeRef
    nullable: bool = True
    max_length: int | None = None
    precision: int | None = None
    scale: int | None = None
    label: str | None = None
    """Label id (``@SYS13342``) or text of ``…OData.Core.V1.LabelId``."""
    description: str | None = None
    """``Org.OData.Core.V1.Description``."""
    ax_type: str | None = None
    """X++ kind of the ``AXType`` annotation: ``Date``, ``UtcDateTime``, ``Real``, ``Enum``…"""
    allow_edit: bool = True
    """False by ``AllowEdit`` or ``Core.Immutable``: cannot be changed after creation."""
    allow_edit_on_create: bool = True
    """False by ``AllowEditOnCreate`` or ``Core.Computed``/``Core.Permissions`` Read: the service provides the value."""
    required: bool = False
    """``IsRequired``: a create must provide it."""


class ReferentialConstraint(Record, frozen=True):
    """``property`` of the declaring type equals ``referenced`` of the target type, CSDL section 8.5."""

    property: str
    referenced: str


class Navigation(Record, frozen=True, kw_only=True):
    """A navigation property, CSDL section 8, or a relation declared in the settings."""

    name: str
    target: str
    """Qualified name of the target entity type."""
    many: bool = False
    nullable: bool = True
    partner: str | None = None
    on: tuple[ReferentialConstraint, ...] = ()
    contains_target: bool = False
    target_set: str | None = None
    """Only for a declared relation: the entity set it leads to."""
    declared: bool = False
    """Whether it comes from the settings; the upstream does not know it and cannot ``$expand`` it."""
    label: str | None = None
    description: str | None = None


class EntityType(Record, frozen=True, kw_only=True):
    """An entity type with its own declarations; :class:`Model` returns inherited ones too."""

    name: str
    key: tuple[str, ...] = ()
    properties: tuple[Property, ...] = ()
    navigations: tuple[Navigation, ...] = ()
    base: str | None = None
    abstract: bool = False
    open: bool = False
    has_stream: bool = False
    read_only: bool = False
    """``…OData.Core.V1.IsReadOnly``."""
    label: str | None = None
    description: str | None = None


class ComplexType(Record, frozen=True, kw_only=True):
    """A keyless structured type, CSDL section 9."""

    name: str
    properties: tuple[Property, ...] = ()
    navigations: tuple[Navigation, ...] = ()
    base: str | None = None
    abstract: bool = False
    open: bool = False
    label: str | None = None
    description: str | None = None


class EnumMember(Record, frozen=True, kw_only=True):
    """One member of an enumeration type, CSDL section 10.3."""

    name: str
    value: int
    label: str | None = None
    description: str | None = None


class EnumType(Record, frozen=True, kw_only=True):
    """An enumeration type, CSDL section 10."""

    name: str
    members: tuple[EnumMember, ...] = ()
    flags: bool = False
    label: str | None = None
    description: str | None = None


class TypeDefinition(Record, frozen=True, kw_only=True):
    """A named primitive type, CSDL section 11; readers resolve it to ``underlying``."""

    name: str
    underlying: str


class Capabilities(Record, frozen=True, kw_only=True):
    """The ``Org.OData.Capabilities.V1`` annotations of one set; everything is allowed by default."""

    filterable: bool = True
    sortable: bool = True
    expandable: bool = True
    countable: bool = True
    top: bool = True
    skip: bool = True
    insertable: bool = True
    updatable: bool = True
    deletable: bool = True
    non_filterable: tuple[str, ...] = ()
    non_sortable: tuple[str, ...] = ()
    non_expandable: tuple[str, ...] = ()
    tracked: bool = False
    """Whether the service tracks changes; a client may rely on that only if it is stated."""
    tracked_filters: tuple[str, ...] = ()
    """Properties by which lists whose changes are tracked can be filtered."""


class EntitySet(Record, frozen=True, kw_only=True):
    """An entity set, CSDL section 13.2."""

    name: str
    type: str
    bindings: Mapping[str, str] = msgspec.field(default_factory=dict)
    """Navigation path → entity set name; only bindings whose set exists."""
    can: Capabilities = Capabilities()
    label: str | None = None
    description: str | None = None

    def __hash__(self) -> int:
        return hash((self.name, self.type))  # a mapping has none


class Singleton(Record, frozen=True, kw_only=True):
    """A singleton, CSDL section 13.3."""

    name: str
    type: str
    bindings: Mapping[str, str] = msgspec.field(default_factory=dict)
    label: str | None = None
    description: str | None = None

    def __hash__(self) -> int:
        return hash((self.name, self.type))  # a mapping has none


class OperationKind(Enum):
    """Whether an operation may have side effects, CSDL section 12."""

    ACTION = "action"
    FUNCTION = "function"


class Parameter(Record, frozen=True, kw_only=True):
    """A parameter of an action or function, CSDL section 12.9; the binding parameter is not among them."""

    name: str
    type: TypeRef
    nullable: bool = True


class Operation(Record, frozen=True, kw_only=True):
    """One overload of an action or function, CSDL section 12."""

    name: str
    """Qualified."""
    kind: OperationKind
    bound_to: TypeRef | None = None
    """Type of the binding parameter; None if the operation is unbound."""
    parameters: tuple[Parameter, ...] = ()
    returns: TypeRef | None = None
    returns_nullable: bool = True
    composable: bool = False
    label: str | None = None
    description: str | None = None


class OperationImport(Record, frozen=True, kw_only=True):
    """An action or function import of the container, CSDL sections 13.5 and 13.6."""

    name: str
    kind: OperationKind
    operation: str
    """Qualified name of the unbound operation."""
    entity_set: str | None = None


@dataclass(frozen=True, kw_only=True)
class Model:
    """A whole metadata document. Raises KeyError from the look-ups for names it does not hold."""

    namespace: str = ""
    """Namespace of the schema that holds the container."""
    entity_sets: Mapping[str, EntitySet] = field(default_factory=dict)
    singletons: Mapping[str, Singleton] = field(default_factory=dict)
    entity_types: Mapping[str, EntityType] = field(default_factory=dict)
    complex_types: Mapping[str, ComplexType] = field(default_factory=dict)
    enum_types: Mapping[str, EnumType] = field(default_factory=dict)
    type_definitions: Mapping[str, TypeDefinition] = field(default_factory=dict)
    operations: tuple[Operation, ...] = ()
    imports: Mapping[str, OperationImport] = field(default_factory=dict)
    findings: tuple[str, ...] = ()
    """What the reader had to leave out or mend, one sentence each; shown at start-up."""

    def structured(self, name: str) -> EntityType | ComplexType:
        """Return the entity or complex type of that qualified name."""
        # Nearly all are entity types, and ``get`` of a ``Mapping`` costs another call.
        try:
            return self.entity_types[name]
        except KeyError:
            return self.complex_types[name]

    def lineage(self, name: str) -> Iterator[EntityType | ComplexType]:
        """Return the type and its bases, the most basic first."""
        declared = self.structured(name)
        if declared.base is None:
            return iter((declared,))
        types = {name: declared}
        while (base := declared.base) is not None and base not in types:
            declared = types[base] = self.structured(base)
        return reversed(types.values())

    def properties_of(self, name: str) -> tuple[Property, ...]:
        """Return the properties of a type, inherited ones first."""
        return tuple(chain.from_iterable(t.properties for t in self.lineage(name)))

    def navigations_of(self, name: str) -> tuple[Navigation, ...]:
        """Return the navigations of a type, inherited ones first."""
        return tuple(n for t in self.lineage(name) for n in t.navigations)

    def key_of(self, name: str) -> tuple[str, ...]:
        """Return the key property names of an entity type; empty if it has none."""
        for t in self.lineage(name):
            if isinstance(t, EntityType) and t.key:
                return t.key
        return ()

    def is_open(self, name: str) -> bool:
        """Return whether the type, or a base of it, takes undeclared properties."""
        return any(t.open for t in self.lineage(name))

    @cached_property
    def derived(self) -> Mapping[str, tuple[str, ...]]:
        """Base type name → names of the types that derive from it directly."""
        by_base: dict[str, list[str]] = {}
        for types in (self.entity_types, self.complex_types):
            for t in types.values():
                if t.base is not None:
                    by_base.setdefault(t.base, []).append(t.name)
        return {base: tuple(names) for base, names in by_base.items()}

    def family(self, name: str) -> tuple[str, ...]:
        """Return the type and every type derived from it, near ones first."""
        names = [name]
        for at in names:
            names.extend(d for d in self.derived.get(at, ()) if d not in names)
        return tuple(names)

    @cached_property
    def sets_of_type(self) -> Mapping[str, tuple[str, ...]]:
        """Entity type name → names of the sets of exactly that type, in document order."""
        by_type: dict[str, list[str]] = {}
        for s in self.entity_sets.values():
            by_type.setdefault(s.type, []).append(s.name)
        return {name: tuple(sets) for name, sets in by_type.items()}


def short(name: str) -> str:
    """Return the last part of a qualified name: ``Microsoft.Dynamics.DataEntities.NoYes`` → ``NoYes``."""
    return name.rpartition(".")[2]
