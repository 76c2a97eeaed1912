"""Names of types, keys and values: the lowest layer of the catalogue."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, TypedDict, Unpack

from schema.model.edm import EDM, NOT_IN_ROWS
from schema.model.records import Model, Property, TypeRef, short

from . import descriptions as describe
from .display_values import PARTS_TYPES
from .names import Names, add_prefix, field_name, type_name
from .naming import NO_TABLES, Families, NameTables, Naming
from .records import Clean, EnumInfo, TypeEntry, TypeKind, ValueType
from .values import Abilities, Cleaning, date_cleaning, enum_info, is_no_yes, value_type

SCALARS = ("Decimal", "Long", "DateTime", "Date", "TimeOfDay", "Duration", "UUID", "Base64", "JSON")
RESERVED_TYPES = (
    *("Query", "Mutation", "Subscription", "Node", "PageInfo", "SortDirection"),
    *("UserError", "FieldConflict", "EntityChanged", "ChangeKind"),
    *("Changes", "ChangedRow", "RemovedRow", "RemovalReason", "ChangeSource", "ChangeGuarantee"),
    *("Aggregate", "AggregateGroup", "AggregateFunction", "AggregateHaving", "AggregateOrder"),
    *PARTS_TYPES,
    *("AccountCombination", "AccountCombinationReason"),
    *("_Any", "_Entity", "_Service"),
    *("String", "Int", "Float", "Boolean", "ID", *SCALARS),
)


class CatalogOptions(TypedDict, total=False):
    """The optional arguments of every layer of the catalogue."""

    cleaning: Cleaning | None
    renames: Mapping[str, str] | None
    labels: Mapping[str, str] | None
    naming: Naming | None
    like: NameTables
    """The names of another catalogue, which are shared where they are equal. Only with ``naming``."""
    type_prefix: str
    """Prefix of the names of entities, complex values, enums and their companions, renamed ones included."""


class CatalogTypes:
    """The GraphQL types of a model: their names, their CSDL types, and the value types of properties."""

    def __init__(
        self, model: Model, abilities: Abilities, **options: Unpack[CatalogOptions]
    ) -> None:
        self.model = model
        self.abilities = abilities
        self.cleaning = options.get("cleaning") or Cleaning()
        self.labels = options.get("labels") or {}
        self.renames = dict(options.get("renames") or {})
        self._enums: dict[str, EnumInfo] = {}
        self._values: dict[tuple[str, Clean], ValueType] = {}
        self._property_values: dict[tuple[str, bool, str | None, bool], ValueType] = {}
        """Keyed by all that decides: type, whether it is a list, ``AXType``, whether it is part of the key."""
        self._properties: dict[str, tuple[Property, ...]] = {}
        self._interfaces: dict[str, tuple[str, ...]] = {}
        self._keys: dict[str, tuple[str, ...]] = {}
        self.type_prefix = options.get("type_prefix", "")
        renames = {owner: self._prefixed(name) for owner, name in self.renames.items()}
        self._type_names = Names(RESERVED_TYPES, renames)
        self._field_findings: list[str] = []
        self._families: Families = {}
        naming, like = options.get("naming"), options.get("like", NO_TABLES)
        if naming is None:
            self._name_types()
        else:
            self._take_over(naming, like)
        # In the order of the schema: each entity, then each enum, with its companions.
        self._entries: Mapping[str, TypeEntry] = (
            like.entries
            if self._families is like.families
            else {e.name: e for f in self._families.values() for e in f.values()}
        )

    def forget(self) -> None:
        """Drop the records of single types, which are recomputed on demand; names and values stay."""
        self._properties = {}

    def tables(self) -> Iterator[dict[Any, Any]]:
        """Yield the tables that hold most memory, to be cleared after retirement; they refill on demand."""
        yield from (self._properties, self._enums)

    # Names

    def _name_types(self) -> None:
        """Name every type: entity and complex types first, so that they keep the names of the document."""
        model = self.model
        served = [n for n in (*model.entity_types, *model.complex_types) if self._has_fields(n)]
        for csdl in served:
            kind = TypeKind.INTERFACE if model.derived.get(csdl) else TypeKind.OBJECT
            self._take(kind, csdl, self._prefixed(type_name(short(csdl))), self._owner(csdl))
        types = frozenset(e.name for f in self._families.values() for e in f.values())
        for csdl, enum in model.enum_types.items():
            if enum.members:
                requested = self._prefixed(type_name(short(csdl)))
                # Says more than the suffix ``_2`` that a clash would add.
                requested = f"{requested}Enum" if requested in types else requested
                self._take(TypeKind.ENUM, csdl, requested, self._owner(csdl))
        for csdl in served:
            self._name_companions(csdl)
        for scalar in dict.fromkeys(row.scalar for row in EDM.values()):
            self._take(TypeKind.FILTER, scalar, f"{scalar}Filter", f"{scalar} filter")
        for csdl, enum in model.enum_types.items():
            if enum.members:
                name = self.name_of(TypeKind.ENUM, csdl)
                self._take(TypeKind.FILTER, csdl, f"{name}Filter", f"{short(csdl)} filter")

    def _take_over(self, naming: Naming, like: NameTables) -> None:
        self._families = naming.entries(like)
        self._type_names.findings.extend(naming.type_findings)

    def _name_companions(self, csdl: str) -> None:
        model, name, owner = self.model, self.reference_name(csdl), short(csdl)
        if model.derived.get(csdl) and not model.structured(csdl).abstract:
            self._take(TypeKind.OBJECT, csdl, f"{name}Object", f"{owner} object")
        if csdl in model.complex_types:
            return
        self._take(TypeKind.CONNECTION, csdl, f"{name}Connection", f"{owner} connection")
        self._take(TypeKind.EDGE, csdl, f"{name}Edge", f"{owner} edge")
        self._take(TypeKind.WHERE, csdl, f"{name}Where", f"{owner} where")
        if self.abilities.filter_to_many:
            requested = f"{name}CollectionWhere"
            self._take(TypeKind.COLLECTION_WHERE, csdl, requested, f"{owner} collection where")
        self._take(TypeKind.ORDER_BY, csdl, f"{name}OrderBy", f"{owner} order")

    def _take(self, kind: TypeKind, csdl: str, requested: str, owner: str) -> None:
        name = self._type_names.take(requested, owner)
        self._families.setdefault(csdl, {})[kind] = TypeEntry(name, kind, csdl)

    def _prefixed(self, name: str) -> str:
        return add_prefix(self.type_prefix, name)

    def _owner(self, csdl: str) -> str:
        """Return the key of a type's rename: its short name, or the qualified one if two types share the short name."""
        return csdl if csdl in self.renames else short(csdl)

    def _has_fields(self, csdl: str) -> bool:
        """Return whether a type has any field; GraphQL has no empty types (section 3.6)."""
        lineage = tuple(self.model.lineage(csdl))
        if any(_shows_values(t) or t.open for t in lineage):
            return True
        targets = (n.target for t in lineage for n in t.navigations)
        return any(
            target in self.model.entity_types
            and any(_shows_values(t) for t in self.model.lineage(target))
            for target in targets
        )

    def name_of(self, kind: TypeKind, csdl: str) -> str:
        """Return the GraphQL name of a type family's member. Raises KeyError if there is none."""
        return self._families[csdl][kind].name

    def generated_name(self, kind: TypeKind, csdl: str) -> str | None:
        """Return the GraphQL name of a type family's member, or None."""
        family = self._families.get(csdl)
        entry = None if family is None else family.get(kind)
        return None if entry is None else entry.name

    def reference_name(self, csdl: str) -> str:
        """Return the type name that fields use for a structured type: its interface if it has derived types."""
        interface = self.generated_name(TypeKind.INTERFACE, csdl)
        return self.name_of(TypeKind.OBJECT, csdl) if interface is None else interface

    def row_name(self, csdl: str) -> str:
        """Return the name that fields use for a row of a type, whatever the prefix of types: ``customerV3``."""
        return field_name(self.reference_name(csdl).removeprefix(self.type_prefix))

    def concrete_name(self, csdl: str) -> str | None:
        """Return the object type of rows of exactly that CSDL type; None if it is abstract or unknown."""
        return self.generated_name(TypeKind.OBJECT, csdl)

    def is_served(self, csdl: str) -> bool:
        """Return whether the structured type is a GraphQL type."""
        names = self._families.get(csdl, {})
        return TypeKind.OBJECT in names or TypeKind.INTERFACE in names

    def possible_types(self, csdl: str) -> tuple[str, ...]:
        """Return the CSDL types whose rows a field of the type may return, itself included."""
        return tuple(
            n
            for n in self.model.family(csdl)
            if self.generated_name(TypeKind.OBJECT, n) is not None
        )

    def known_names(self) -> Mapping[str, TypeEntry]:
        """Return every generated name with its entry, reachable or not, without reading the model."""
        return self._entries

    # Keys

    def key_of(self, csdl: str) -> tuple[str, ...]:
        """Return the key properties of an entity type; none if a part of the key is not a plain value."""
        key = self._keys.get(csdl)
        if key is None:
            key = self._keys[csdl] = self._key_of(csdl)
        return key

    def _key_of(self, csdl: str) -> tuple[str, ...]:
        # Key parts become arguments and parts of a global id, so complex values and lists do not qualify.
        key = self.model.key_of(csdl) if csdl in self.model.entity_types else ()
        missing = set(key)
        for declared in self.model.lineage(csdl) if key else ():
            for prop in declared.properties:
                if prop.name in missing and self._is_plain(prop):
                    missing.remove(prop.name)
                    if not missing:
                        return key
        return ()

    def _is_plain(self, prop: Property) -> bool:
        return not prop.type.many and prop.type.name not in self.model.complex_types

    def set_for(self, csdl: str) -> str | None:
        """Return the entity set in which ``node`` finds rows of a type: its own, or that of the nearest base type."""
        sets = self.model.sets_of_type
        if csdl in sets:
            return sets[csdl][0]
        for declared in reversed(tuple(self.model.lineage(csdl))):
            if declared.name in sets:
                return sets[declared.name][0]
        return None

    def is_node(self, csdl: str) -> bool:
        """Return whether rows of the type have a global ``id``: they need a key and an entity set."""
        return bool(self.key_of(csdl)) and self.set_for(csdl) is not None

    def interfaces(self, csdl: str) -> tuple[str, ...]:
        """Return the interfaces of a structured type, with its own if it has derived types."""
        interfaces = self._interfaces.get(csdl)
        if interfaces is None:
            interfaces = self._interfaces[csdl] = self._interfaces_of(csdl)
        return interfaces

    def _interfaces_of(self, csdl: str) -> tuple[str, ...]:
        lineage = (
            self.generated_name(TypeKind.INTERFACE, t.name) for t in self.model.lineage(csdl)
        )
        node = ("Node",) if self.is_node(csdl) else ()
        return (*node, *(name for name in lineage if name is not None))

    # Values

    def properties_of(self, csdl: str) -> tuple[Property, ...]:
        """Return the properties of rows, inherited ones first; a redeclared one counts once."""
        properties = self._properties.get(csdl)
        if properties is None:
            declared = self.model.properties_of(csdl)
            by_name = {p.name: p for p in reversed(declared) if p.type.name not in NOT_IN_ROWS}
            properties = declared
            if len(by_name) < len(declared):
                properties = tuple(reversed(by_name.values()))
            self._properties[csdl] = properties
        return properties

    def enum(self, csdl: str) -> EnumInfo:
        """Return an enum with its value names. Raises KeyError if there is none."""
        info = self._enums.get(csdl)
        if info is None:
            name = self.name_of(TypeKind.ENUM, csdl)
            info, findings = enum_info(
                self.model.enum_types[csdl], name, labels=self.labels, renames=self.renames
            )
            self._enums[csdl] = info
            self._field_findings.extend(findings)
        return info

    def displayed_enum(self, csdl: str) -> str | None:
        """Return the enum type of values of a CSDL type, its members unnamed; None if they appear otherwise."""
        name = self.generated_name(TypeKind.ENUM, csdl)
        if name is None or (self.cleaning.no_yes and is_no_yes(self.model.enum_types[csdl])):
            return None
        return name

    def value(self, prop: Property, *, is_key: bool) -> ValueType:
        """Return the value type of a property that is not complex."""
        decided_by = (prop.type.name, prop.type.many, prop.ax_type, is_key)
        shown = self._property_values.get(decided_by)
        if shown is None:
            shown = self._property_values[decided_by] = self._value(prop, is_key=is_key)
        return shown

    def _value(self, prop: Property, *, is_key: bool) -> ValueType:
        dates = date_cleaning(prop, is_key=is_key, abilities=self.abilities, cleaning=self.cleaning)
        return self.value_of(prop.type, dates)

    def value_of(self, ref: TypeRef, dates: Clean = Clean.NONE) -> ValueType:
        """Return the value type of a parameter or a result.

        A list of flags would be a list of lists, which these records cannot express: its items are JSON, each in
        OData's notation.
        """
        shown = self._values.get((ref.name, dates))
        if shown is None:
            enum = (
                self.enum(ref.name)
                if self.generated_name(TypeKind.ENUM, ref.name) is not None
                else None
            )
            shown = self._values[ref.name, dates] = value_type(
                ref, model=self.model, enum=enum, cleaning=self.cleaning, dates=dates
            )
        return ValueType("JSON", shown.edm, "other") if ref.many and shown.many else shown

    def type_description(self, csdl: str) -> str:
        """Describe a structured type."""
        return describe.structured(self.model.structured(csdl), self.model, self.labels)


def _shows_values(declared: object) -> bool:
    properties: tuple[Property, ...] = getattr(declared, "properties", ())
    return any(p.type.name not in NOT_IN_ROWS for p in properties)
