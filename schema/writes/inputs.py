"""The input types of mutations: the writable fields, by the metadata and the settings.

Absent is not null: a field that the caller omits is missing from the planner's dict and is not sent. Read-only and
computed fields have no input (``AllowEdit``, ``AllowEditOnCreate``, ``IsReadOnly``). Fields that the metadata requires
on creation are non-null, except the company, which may come from the scope, and fields that a number sequence fills
(setting ``writes.numbered``).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from operator import attrgetter
from typing import NamedTuple

from schema.catalog import Catalog
from schema.catalog.display_values import PARTS_INPUT
from schema.catalog.records import (
    Field,
    FieldKind,
    InputField,
    InputRole,
    TypeEntry,
    TypeKind,
    Verb,
)
from schema.model.joins import join_pairs
from schema.model.records import Property

from . import descriptions as texts
from .allowed import AllowedWrites
from .naming import companion_name
from .rules import WriteRules

_REST, _COMPLEX = FieldKind.REST, FieldKind.COMPLEX
_CREATED: Callable[[Property], bool] = attrgetter("allow_edit_on_create")
_CHANGED: Callable[[Property], bool] = attrgetter("allow_edit")
_Takes = Callable[[Field], bool]
_Give = Callable[[Field], "InputSpec"]
_OF_ROWS = frozenset(
    {TypeKind.CREATE_INPUT, TypeKind.PATCH, TypeKind.NESTED_INPUT, TypeKind.VALUE_INPUT}
)


class InputSpec(NamedTuple):
    """How a field of a row appears in an input type."""

    role: InputRole
    type_name: str
    nullable: bool
    description: str


class _RowFields(Mapping[str, InputField]):
    """The fields of an input type of rows, created on lookup: values first, then nested rows."""

    def __init__(self, fields: Mapping[str, Field], takes: _Takes, give: _Give) -> None:
        self._fields = fields
        self._takes = takes
        self._give = give
        self._made: dict[str, InputField] = {}

    def __getitem__(self, name: str) -> InputField:
        input_field = self._made.get(name)
        if input_field is None:
            field = self._fields[name]
            if not self._takes(field):
                raise KeyError(name)
            spec = self._give(field)
            input_field = self._made[name] = InputField(
                name=name,
                role=spec.role,
                type_name=spec.type_name,
                nullable=spec.nullable,
                many=field.many,
                of=field,
                description=spec.description,
            )
        return input_field

    def __iter__(self) -> Iterator[str]:
        return (field.name for field in self.selected())

    def selected(self) -> Iterator[Field]:
        """Yield the fields of the row that are part of the input type, in order."""
        selected = list(filter(self._takes, self._fields.values()))
        yield from (f for f in selected if f.navigation is None)
        yield from (f for f in selected if f.navigation is not None)

    def __len__(self) -> int:
        return sum(map(self._takes, self._fields.values()))


class WriteInputs:
    """The fields of the input types of mutations."""

    def __init__(self, catalog: Catalog, rules: WriteRules, offers: AllowedWrites) -> None:
        self._catalog = catalog
        self._rules = rules
        self._offers = offers

    def fields(self, entry: TypeEntry) -> Mapping[str, InputField]:
        """Return the fields of an input type by name. Raises KeyError for another kind of type."""
        csdl = entry.csdl
        if entry.kind in _OF_ROWS:
            return _RowFields(
                self._catalog.object(csdl).fields, *self.field_rules(entry.kind, entry.csdl)
            )
        match entry.kind:
            case TypeKind.KEY:
                fields_ = self._key(csdl)
            case TypeKind.UPDATE_INPUT | TypeKind.DELETE_INPUT:
                fields_ = self._item(entry)
            case TypeKind.NESTED_CREATE:
                fields_ = self._nested_rows(csdl)
            case _:
                raise KeyError(entry.name)
        return {f.name: f for f in fields_}

    def of_row(self, entry: TypeEntry) -> Iterator[tuple[Field, InputSpec]] | None:
        """Return the fields of an input type of rows without input fields; None for another kind of type."""
        if entry.kind not in _OF_ROWS:
            return None
        takes, give = self.field_rules(entry.kind, entry.csdl)
        fields = _RowFields(self._catalog.object(entry.csdl).fields, takes, give)
        return ((field, give(field)) for field in fields.selected())

    def required(self, entry: TypeEntry) -> tuple[str, ...]:
        """Return the names of the required fields."""
        if entry.kind is TypeKind.CREATE_INPUT:
            takes = self._takes(_CREATED)
            fields = self._catalog.object(entry.csdl).fields.values()
            return tuple(f.name for f in fields if self.is_required(f, entry.csdl) and takes(f))
        if entry.kind in _OF_ROWS:
            return ()
        return tuple(f.name for f in self.fields(entry).values() if not f.nullable)

    def field_rules(self, kind: TypeKind, csdl: str) -> tuple[_Takes, _Give]:
        """Return which fields of a row an input type has (a test), and how they appear in it (a function)."""
        if kind is TypeKind.PATCH:
            key = self._catalog.key_of(csdl)
            takes = self._takes(_CHANGED)
            return lambda f: takes(f) and _column(f) not in key, self._written
        takes = self._takes(_CREATED)
        if kind is not TypeKind.CREATE_INPUT:
            return takes, self._written
        return (
            lambda f: self.is_nested(f) if f.navigation else takes(f),
            lambda f: (
                self._nested(f)
                if f.navigation
                else self._written(f, required=self.is_required(f, csdl))
            ),
        )

    def _takes(self, is_given: Callable[[Property], bool]) -> _Takes:
        """Return a test of fields: ``is_given`` reads the metadata; the property also needs an input type."""
        has_input = self._offers.has_input

        def takes(field: Field) -> bool:
            prop, kind = field.prop, field.kind
            if prop is None:
                parts = field.parts
                if parts is None:
                    return kind is _REST
                # What a create must set must be there as it is.
                return is_given(parts.column) and not parts.column.required
            return is_given(prop) and (kind is not _COMPLEX or has_input(prop))

        return takes

    def is_nested(self, field: Field) -> bool:
        """Return whether the rows of a to-many field can be created together with a new row."""
        # Of the whole: a view of roles may hide the navigation back, which states the join.
        navigation, model = field.navigation, self._catalog.whole.model
        if field.kind is not FieldKind.TO_MANY or navigation is None or field.target_set is None:
            return False
        of_set = model.entity_sets.get(field.target_set)
        if of_set is None or of_set.type != field.target or not join_pairs(navigation, model):
            return False
        return Verb.CREATE in self._offers.of_set(of_set.name)

    def is_required(self, field: Field, csdl: str) -> bool:
        """Return whether a create must set the field."""
        return field.prop is not None and self.is_required_property(field.prop, csdl)

    def is_required_property(self, prop: Property, csdl: str) -> bool:
        """Return whether a create must set the property."""
        if not prop.required or prop.name == self._company:
            return False
        sets = self._catalog.model.sets_of_type.get(csdl, ())
        return not any(f"{s}.{prop.name}" in self._rules.given_by_service for s in sets)

    @property
    def _company(self) -> str | None:
        return self._catalog.abilities.company_property

    def _nested(self, field: Field) -> InputSpec:
        type_name = self._name_of(TypeKind.NESTED_CREATE, field.target)
        return InputSpec(InputRole.NESTED, type_name, True, texts.NESTED)

    def _nested_rows(self, csdl: str) -> Iterator[InputField]:
        yield InputField(
            name="create",
            role=InputRole.CREATE,
            type_name=self._name_of(TypeKind.NESTED_INPUT, csdl),
            nullable=False,
            many=True,
            description=texts.NESTED_CREATE,
        )

    def _written(self, field: Field, *, required: bool = False) -> InputSpec:
        type_name = field.type_name
        if field.parts is not None:
            return InputSpec(InputRole.PARTS, PARTS_INPUT, True, field.description)
        if field.kind is _COMPLEX and self._catalog.is_served(field.target):
            type_name = self._name_of(TypeKind.VALUE_INPUT, field.target)
        return InputSpec(InputRole.WRITE, type_name, not required, field.description)

    def _key(self, csdl: str) -> Iterator[InputField]:
        for field in self._catalog.key_fields(csdl):
            yield InputField(
                name=field.name,
                role=InputRole.WRITE,
                type_name=field.type_name,
                nullable=field.source == self._company,
                many=field.many,
                of=field,
                description=field.description,
            )

    def _item(self, entry: TypeEntry) -> Iterator[InputField]:
        csdl = entry.csdl
        yield InputField(
            name="key",
            role=InputRole.KEY,
            type_name=self._name_of(TypeKind.KEY, csdl),
            nullable=False,
            description=texts.KEY,
        )
        if entry.kind is TypeKind.UPDATE_INPUT:
            yield InputField(
                name="patch",
                role=InputRole.PATCH,
                type_name=self._name_of(TypeKind.PATCH, csdl),
                nullable=False,
                description=texts.PATCH,
            )
        yield InputField(
            name="ifMatch",
            role=InputRole.IF_MATCH,
            type_name="String",
            nullable=not self._rules.if_match_required,
            description=texts.IF_MATCH,
        )

    def _name_of(self, kind: TypeKind, csdl: str) -> str:
        return companion_name(self._catalog, kind, csdl)


def _column(field: Field) -> str:
    return field.source if field.parts is None else field.parts.column.name
