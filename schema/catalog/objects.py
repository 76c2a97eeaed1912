"""The fields of object and interface types."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Unpack

from msgspec import structs

from schema.model.edm import NOT_IN_ROWS
from schema.model.joins import join_pairs
from schema.model.records import (
    ComplexType,
    EntityType,
    Model,
    Navigation,
    Property,
    TypeRef,
    short,
)

from . import descriptions as describe
from .display_values import PARTS, DisplayValue, display_values
from .names import Names, field_name, field_names
from .records import (
    CUSTOM_FIELDS,
    CUSTOM_NAMES,
    ETAG,
    Argument,
    Clean,
    Field,
    FieldKind,
    ObjectInfo,
    TypeKind,
    ValueType,
)
from .types import CatalogOptions, CatalogTypes
from .values import Abilities

_ETAG = Property(
    name=ETAG, type=TypeRef("Edm.String"), allow_edit=False, allow_edit_on_create=False
)
_OWN: Mapping[str, str] = {"id": "rowId", "etag": "rowEtag"}
"""The gateway's own fields of rows with a global id → the name of a property that would clash with one.

``id`` belongs to Relay and Apollo Federation (GraphQL Global Object Identification), so the property is renamed. It
gets a word instead of a number because whole products have it: Business Central and Microsoft Graph call every key
``id``.
"""
_CUSTOM: Mapping[str, str] = {CUSTOM_FIELDS: "customFieldsColumn"}
"""The same for the field that all entity types have."""
_CUSTOM_FIELD = Field(
    name=CUSTOM_FIELDS, kind=FieldKind.CUSTOM, type_name="JSON", description=describe.CUSTOM_FIELDS
)
CUSTOM_ARGUMENTS = (
    Argument(
        name=CUSTOM_NAMES,
        type_name="String",
        nullable=False,
        many=True,
        description=describe.CUSTOM_NAMES,
    ),
)
"""The arguments of ``customFields``."""
_CLEANED_TO_NULL = frozenset({Clean.DATE, Clean.NULL_DATE})


class _FieldNames(Names):
    """The field names of one type; ``own`` maps the gateway's fields to the names of clashing properties."""

    def __init__(self, own: Mapping[str, str], renames: Mapping[str, str]) -> None:
        super().__init__(own, renames)
        self._own = own

    def of(self, csdl_name: str, owner: str) -> str:
        """Return the name of the field of a property or navigation."""
        name = field_name(csdl_name)
        return self.take(self._own.get(name, name), owner)


class CatalogObjects(CatalogTypes):
    """The object types, each computed on first use."""

    def __init__(
        self, model: Model, abilities: Abilities, **options: Unpack[CatalogOptions]
    ) -> None:
        super().__init__(model, abilities, **options)
        self._objects: dict[str, ObjectInfo] = {}
        self._plain: dict[str, Mapping[str, str] | None] = {}
        self._accounts = self.cleaning.account_numbers
        self._renamed = frozenset(owner.partition(".")[0] for owner in self.renames)

    def forget(self) -> None:
        """Drop the records of single types."""
        super().forget()
        self._objects = {}
        self._plain = {}

    def tables(self) -> Iterator[dict[Any, Any]]:
        """Yield the tables that hold most memory."""
        yield from super().tables()
        yield from (self._objects, self._plain)

    def object(self, csdl: str) -> ObjectInfo:
        """Return the fields of a structured CSDL type. Raises KeyError if there is none."""
        info = self._objects.get(csdl)
        if info is None:
            info = self._objects[csdl] = self._object(csdl)
        return info

    def each_field(self, csdl: str) -> Iterator[Field]:
        """Yield the fields of a structured type lazily."""
        info = self._objects.get(csdl)
        return self._object_fields(csdl) if info is None else iter(info.fields.values())

    def _object(self, csdl: str) -> ObjectInfo:
        fields = {f.name: f for f in self._object_fields(csdl)}
        by_source = {f.source: f for f in fields.values() if f.kind is FieldKind.VALUE}
        return ObjectInfo(
            name=self.reference_name(csdl),
            csdl=csdl,
            fields=fields,
            key=tuple(by_source[k] for k in self.key_of(csdl)),
            interfaces=self.interfaces(csdl),
            description=self.type_description(csdl),
            is_open=self.model.is_open(csdl),
            has_company=self.abilities.company_property in by_source,
        )

    def _object_fields(self, csdl: str) -> Iterator[Field]:
        """Yield the fields, those of base types first: a type and its interfaces must agree on every name."""
        names = _FieldNames(self._own_names(csdl), self.renames)
        yield from self.own_fields(csdl)
        seen: set[str] = set()
        has_rest = False
        for declaring in self.model.lineage(csdl):
            yield from self._declared_fields(declaring, csdl, names, seen)
            if declaring.open and not has_rest:
                has_rest = True
                name = names.take("additionalProperties", f"{short(declaring.name)} rest")
                yield Field(
                    name=name, kind=FieldKind.REST, type_name="JSON", description=describe.REST
                )
        self._field_findings.extend(names.findings)

    def _own_names(self, csdl: str) -> Mapping[str, str]:
        """Return the gateway's own fields → the names of properties that would clash with them."""
        if csdl not in self.model.entity_types:
            return {}
        own = {**_OWN, **_CUSTOM} if self._family_has_id(csdl) else _CUSTOM
        names = [value.parts_name for value in self.display_values(csdl)]
        return {**own, **{name: f"{name}Column" for name in names}} if names else own

    def display_values(self, csdl: str) -> Iterator[DisplayValue]:
        """Yield the columns of rows with display values of accounts and dimensions."""
        if not self.abilities.display_values:
            return
        for declaring in self.model.lineage(csdl):
            if isinstance(declaring, EntityType):
                yield from display_values(declaring, self.model.enum_types)

    def own_fields(self, csdl: str) -> Iterator[Field]:
        """Yield the gateway's own fields of rows."""
        if self.is_node(csdl):
            yield Field(
                name="id",
                kind=FieldKind.ID,
                type_name="ID",
                nullable=False,
                description=describe.NODE_ID,
            )
            yield self._etag(csdl)
        if csdl in self.model.entity_types:
            yield _CUSTOM_FIELD
            yield from map(_parts, self.display_values(csdl))

    def _etag(self, csdl: str) -> Field:
        """Return the version field; the whole family shares it, so that interfaces and their types agree."""
        return Field(
            name="etag",
            kind=FieldKind.ETAG,
            type_name="String",
            source=ETAG,
            declared_by=next(self.model.lineage(csdl)).name,
            value=ValueType("String", "Edm.String", "string"),
            prop=_ETAG,
            description=describe.ETAG,
        )

    def _declared_fields(
        self, declaring: EntityType | ComplexType, csdl: str, names: _FieldNames, seen: set[str]
    ) -> Iterator[Field]:
        key = self.key_of(csdl)
        for prop in declaring.properties:
            if prop.name not in seen and prop.type.name not in NOT_IN_ROWS:
                seen.add(prop.name)
                name = names.of(prop.name, f"{short(declaring.name)}.{prop.name}")
                yield self.property_field(prop, declaring.name, name, is_key=prop.name in key)
        for navigation in declaring.navigations:
            if navigation.name not in seen and self._is_followed(navigation):
                seen.add(navigation.name)
                owner = f"{short(declaring.name)}.{navigation.name}"
                name = names.of(navigation.name, owner)
                yield self._navigation(navigation, declaring.name, csdl, name)

    # Types whose field names do not depend on each other

    def plain_names(self, csdl: str) -> Mapping[str, str] | None:
        """Return CSDL name → field name of a type whose field names are independent of each other.

        None for families and complex types, and if there is a clash or a rename; then ``object`` computes them.
        """
        if csdl not in self._plain:
            self._plain[csdl] = self._plain_names(csdl)
        return self._plain[csdl]

    def _plain_names(self, csdl: str) -> Mapping[str, str] | None:
        declared = self.model.entity_types.get(csdl)
        if declared is None or declared.open or declared.base or csdl in self.model.derived:
            return None
        members = [p.name for p in declared.properties if p.type.name not in NOT_IN_ROWS]
        members += [n.name for n in declared.navigations if self._is_followed(n)]
        names = dict(zip(members, field_names(members), strict=True))
        distinct = set(names.values())
        own = self._own_names(csdl)
        if not distinct.isdisjoint(own):
            names = {member: own.get(name, name) for member, name in names.items()}
            distinct = set(names.values())
        is_free = len(distinct) == len(members)
        return names if is_free and short(csdl) not in self._renamed else None

    def plain_navigations(self, csdl: str) -> Iterator[Field]:
        """Return the navigation fields of a type that has ``plain_names``. Raises KeyError for any other."""
        names = self.plain_names(csdl) or {}
        for navigation in self.model.entity_types[csdl].navigations:
            if self._is_followed(navigation):
                yield self._navigation(navigation, csdl, csdl, names[navigation.name])

    def key_fields(self, csdl: str) -> tuple[Field, ...]:
        """Return the fields of the key. Raises KeyError if there is none."""
        names = None if csdl in self._objects else self.plain_names(csdl)
        if names is None:
            return self.object(csdl).key
        properties = {p.name: p for p in self.model.entity_types[csdl].properties}
        return tuple(
            self.property_field(properties[k], csdl, names[k], is_key=True)
            for k in self.key_of(csdl)
        )

    # Navigations

    def navigations_of(self, csdl: str) -> Iterator[Navigation]:
        """Return the navigations that are fields, inherited ones first."""
        return (navigation for navigation, _ in self._navigations(csdl))

    def _navigations(self, csdl: str) -> Iterator[tuple[Navigation, str]]:
        """Yield the navigations that are fields, with the types that declare them."""
        lineage = tuple(self.model.lineage(csdl))
        if not any(declaring.navigations for declaring in lineage):
            return
        seen = {p.name for p in self.properties_of(csdl)}
        for declaring in lineage:
            for navigation in declaring.navigations:
                if navigation.name not in seen and self._is_followed(navigation):
                    seen.add(navigation.name)
                    yield navigation, declaring.name

    def joined_below(self, csdl: str) -> Iterator[tuple[Navigation, str]]:
        """Yield the to-many navigations with a known join, with the entity sets of their rows."""
        for navigation, declaring in self._navigations(csdl):
            if navigation.many and join_pairs(navigation, self.model):
                of_set = navigation.target_set or self._bound_set(navigation, declaring, csdl)
                entity_set = self.model.entity_sets.get(of_set or "")
                if entity_set is not None and entity_set.type == navigation.target:
                    yield navigation, entity_set.name

    def _is_followed(self, navigation: Navigation) -> bool:
        """Return whether a navigation leads to an entity type of the API."""
        return navigation.target in self.model.entity_types and self.is_served(navigation.target)

    def _family_has_id(self, csdl: str) -> bool:
        """Return whether the type, or a relative that shares its fields, has a global id."""
        first = next(self.model.lineage(csdl))
        return any(self.is_node(member) for member in self.model.family(first.name))

    def property_field(self, prop: Property, declaring: str, name: str, *, is_key: bool) -> Field:
        """Return the field of a property."""
        text = describe.prop(
            prop, self.labels, is_key=is_key, company=self.abilities.company_property
        )
        if prop.type.name in self.model.complex_types:
            return self._complex(prop, declaring, name, text)
        value = self.value(prop, is_key=is_key)
        if value.edm == "Edm.String" and f"{short(declaring)}.{prop.name}" in self._accounts:
            value = structs.replace(value, clean=Clean.ACCOUNT)
        can_be_null = prop.nullable or value.clean in _CLEANED_TO_NULL
        return Field(
            name=name,
            kind=FieldKind.VALUE,
            type_name=value.scalar,
            source=prop.name,
            declared_by=declaring,
            nullable=not is_key and can_be_null,
            many=prop.type.many or value.many,
            value=value,
            prop=prop,
            description=text,
        )

    def _complex(self, prop: Property, declaring: str, name: str, text: str) -> Field:
        target = prop.type.name
        return Field(
            name=name,
            kind=FieldKind.COMPLEX,
            type_name=self.reference_name(target) if self.is_served(target) else "JSON",
            source=prop.name,
            declared_by=declaring,
            nullable=prop.nullable,
            many=prop.type.many,
            prop=prop,
            target=target,
            description=text,
        )

    def _navigation(self, navigation: Navigation, declaring: str, csdl: str, name: str) -> Field:
        """Return a navigation's field. Lists are nullable too: a failure to load one keeps its row and siblings."""
        target = navigation.target
        connection = TypeKind.CONNECTION
        return Field(
            name=name,
            kind=FieldKind.TO_MANY if navigation.many else FieldKind.TO_ONE,
            type_name=self.name_of(connection, target)
            if navigation.many
            else self.reference_name(target),
            source=navigation.name,
            declared_by=declaring,
            navigation=navigation,
            target=target,
            target_set=navigation.target_set or self._bound_set(navigation, declaring, csdl),
            description=describe.navigation(navigation, self.labels),
        )

    def _bound_set(self, navigation: Navigation, declaring: str, csdl: str) -> str | None:
        """Return the target set of a navigation: by the bindings of the type's sets, else its target's only set."""
        model = self.model
        paths = (navigation.name, f"{declaring}/{navigation.name}")
        for owner in reversed(tuple(model.lineage(csdl))):
            for set_name in model.sets_of_type.get(owner.name, ()):
                bindings = model.entity_sets[set_name].bindings
                for path in paths:
                    if path in bindings:
                        return bindings[path]
        if navigation.contains_target:
            return None
        sets = model.sets_of_type.get(navigation.target, ())
        return sets[0] if len(sets) == 1 else None


def _parts(value: DisplayValue) -> Field:
    """Return the field with the parts of a display value."""
    column = value.column.name
    account_type = field_name(value.account_type) if value.account_type else ""
    return Field(
        name=value.parts_name,
        kind=FieldKind.PARTS,
        type_name=PARTS,
        parts=value,
        description=describe.parts(field_name(column), column, account_type=account_type),
    )
