"""The input types of mutations: what may be written, as far as the metadata and the settings say.

Absent is not null: a field that the caller leaves out is not in the dict that the planner gets, and is not sent.
Read-only and computed fields are not there at all (``AllowEdit``, ``AllowEditOnCreate``, ``IsReadOnly``); what the
metadata requires on creation is non-null, but for the company, which may come from the scope, and for what a number
sequence gives (setting ``given_by_service``).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import chain

from schema.catalog import Catalog
from schema.fields import Field, FieldKind, InputField, InputRole, TypeEntry, TypeKind
from schema.joins import join_pairs
from schema.model import Model

from . import texts
from .rules import WriteRules

NameOf = Callable[[TypeKind, str], str]


class WriteInputs:
    """Gives the fields of the input types that writing adds."""

    def __init__(
        self,
        catalog: Catalog,
        rules: WriteRules,
        name_of: NameOf,
        is_creatable: Callable[[str], bool],
    ) -> None:
        self._catalog = catalog
        self._rules = rules
        self._name_of = name_of
        self._is_creatable = is_creatable

    def fields(self, entry: TypeEntry) -> Iterator[InputField]:
        """Give the fields of an input type; raises KeyError for another kind."""
        csdl = entry.csdl
        match entry.kind:
            case TypeKind.CREATE_INPUT:
                return chain(self._created(csdl, nested=False), self._nested(csdl))
            case TypeKind.NESTED_INPUT:
                return self._created(csdl, nested=True)
            case TypeKind.PATCH:
                return self._changed(csdl)
            case TypeKind.KEY:
                return self._key(csdl)
            case TypeKind.UPDATE_INPUT | TypeKind.DELETE_INPUT:
                return self._item(entry)
            case TypeKind.NESTED_CREATE:
                return self._nested_rows(csdl)
            case TypeKind.VALUE_INPUT:
                return self._created(csdl, nested=True)
            case _:
                raise KeyError(entry.name)

    def can_create(self, csdl: str) -> bool:
        """Whether a new row of the type has any field to give."""
        return any(_is_given_on_create(f) for f in self._catalog.object(csdl).fields.values())

    def can_change(self, csdl: str) -> bool:
        """Whether a row of the type has any field to change."""
        return any(True for _ in self._changed(csdl))

    def complex_types(self, csdl: str) -> Iterator[str]:
        """Give the complex types that a row of the type is written with."""
        for field in self._catalog.object(csdl).fields.values():
            if field.kind is FieldKind.COMPLEX and self._catalog.is_served(field.target):
                yield field.target

    def nested_of(self, csdl: str) -> Iterator[Field]:
        """Give the to-many fields whose rows can be created together with a row of the type."""
        for field in self._catalog.object(csdl).fields.values():
            if self._is_nested(field):
                yield field

    def _is_nested(self, field: Field) -> bool:
        navigation = field.navigation
        if field.kind is not FieldKind.TO_MANY or navigation is None or field.target_set is None:
            return False
        return self._is_creatable(field.target_set) and is_joined(field, self._catalog.model)

    def _created(self, csdl: str, *, nested: bool) -> Iterator[InputField]:
        for field in self._catalog.object(csdl).fields.values():
            if _is_given_on_create(field):
                yield self._written(field, required=not nested and self._is_required(field, csdl))

    def _is_required(self, field: Field, csdl: str) -> bool:
        prop = field.prop
        if prop is None or not prop.required or field.source == self._company:
            return False
        sets = self._catalog.model.sets_of_type.get(csdl, ())
        return not any(f"{s}.{prop.name}" in self._rules.given_by_service for s in sets)

    @property
    def _company(self) -> str | None:
        return self._catalog.abilities.company_property

    def _nested(self, csdl: str) -> Iterator[InputField]:
        for field in self.nested_of(csdl):
            yield InputField(
                name=field.name,
                role=InputRole.NESTED,
                type_name=self._name_of(TypeKind.NESTED_CREATE, field.target),
                of=field,
                description=texts.NESTED,
            )

    def _nested_rows(self, csdl: str) -> Iterator[InputField]:
        yield InputField(
            name="create",
            role=InputRole.CREATE,
            type_name=self._name_of(TypeKind.NESTED_INPUT, csdl),
            nullable=False,
            many=True,
            description=texts.NESTED_CREATE,
        )

    def _changed(self, csdl: str) -> Iterator[InputField]:
        info = self._catalog.object(csdl)
        key = {f.source for f in info.key}
        for field in info.fields.values():
            if field.source not in key and _is_given_on_change(field):
                yield self._written(field)

    def _written(self, field: Field, *, required: bool = False) -> InputField:
        type_name = field.type_name
        if field.kind is FieldKind.COMPLEX and self._catalog.is_served(field.target):
            type_name = self._name_of(TypeKind.VALUE_INPUT, field.target)
        return InputField(
            name=field.name,
            role=InputRole.WRITE,
            type_name=type_name,
            nullable=not required,
            many=field.many,
            of=field,
            description=field.description,
        )

    def _key(self, csdl: str) -> Iterator[InputField]:
        for field in self._catalog.object(csdl).key:
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


def is_joined(field: Field, model: Model) -> bool:
    """Whether it is known which fields join the rows of a navigation to their parent."""
    return field.navigation is not None and bool(join_pairs(field.navigation, model))


def _is_given_on_create(field: Field) -> bool:
    if field.kind is FieldKind.REST:
        return True
    return field.prop is not None and field.prop.allow_edit_on_create


def _is_given_on_change(field: Field) -> bool:
    if field.kind is FieldKind.REST:
        return True
    return field.prop is not None and field.prop.allow_edit
