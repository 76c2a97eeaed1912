"""Binds unified types to a catalogue: what the mapping names becomes fields of rows, or is noted as missing.

A join is a navigation of the metadata where there is one. Else it is a declared relation that only the mapping knows:
it is read by key batches and is no field of the API. Everything is looked up in what the callers of the catalogue may
see, so a column that is hidden from them is null here, and one that is masked for them cannot be filtered by.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from msgspec import structs

from schema.catalog import Catalog
from schema.catalog.display_values import DIMENSION
from schema.catalog.records import Field, FieldKind, TypeKind
from schema.model.joins import join_pairs
from schema.model.records import Navigation, ReferentialConstraint

from .convert import CONVERSIONS
from .fields import SCALARS
from .filters import filter_of
from .lookups import MissingError, check_type, column_of, operand_of, where_input, wire_of
from .records import ConditionSpec, FieldSpec, ItemSpec, JoinSpec, TypeSpec
from .views import Column, Condition, Item, Step, Steps, UnifiedField, UnifiedType, ViewKind

SOURCE = "UnifiedSource"
OBJECT = "UnifiedObject"
_HIDDEN = "the environment lacks it, or your roles do not show it"


class Binder:
    """Binds the types of one model to a catalogue."""

    def __init__(
        self,
        catalog: Catalog,
        specs: Mapping[str, TypeSpec],
        enums: Mapping[str, Any],
        prefix: str,
    ) -> None:
        self._catalog = catalog
        self._specs = specs
        self._enums = enums
        self.prefix = prefix

    def type_name(self, short: str) -> str:
        """Return the GraphQL name of a type, enum or scalar of a mapping."""
        if short in SCALARS:
            return short
        return f"{self.prefix}Unified{short}"

    def set_of(self, spec: TypeSpec) -> str | None:
        """Return the first set of a type that the catalogue has."""
        sets = self._catalog.model.entity_sets
        return next(
            (s for s in spec.sets if s in sets and self._catalog.is_served(sets[s].type)), None
        )

    def can_list(self, spec: TypeSpec) -> bool:
        """Return whether the rows of a type can be listed, under its conditions."""
        set_name = self.set_of(spec)
        if set_name is None:
            return False
        try:
            self._conditions(self._catalog.model.entity_sets[set_name].type, spec.where)
        except MissingError:
            return False
        return True

    def type(self, spec: TypeSpec) -> UnifiedType:
        """Return a bound type."""
        name, set_name = self.type_name(spec.name), self.set_of(spec)
        if not spec.sets:
            parts = {f.name: self._part(f) for f in spec.fields.values()}
            return UnifiedType(
                short=spec.name, name=name, fields=parts, description=spec.description
            )
        missing: tuple[str, ...] = ()
        where: tuple[Condition, ...] = ()
        csdl = "" if set_name is None else self._catalog.model.entity_sets[set_name].type
        if set_name is None:
            missing = (self.reason(MissingError(f"no entity set {' or '.join(spec.sets)}")),)
        else:
            try:
                where = self._conditions(csdl, spec.where)
            except MissingError as lack:
                csdl, set_name, missing = "", None, (self.reason(lack),)
        rows = _Rows(self, self._catalog, spec, csdl, set_name or "")
        fields = {f.name: rows.field(f) for f in spec.fields.values()}
        if set_name is not None:
            fields.update(self._own_fields(csdl, set_name))
        return UnifiedType(
            short=spec.name,
            name=name,
            csdl=csdl,
            set_name=set_name or "",
            where=where,
            fields=fields,
            description=spec.description,
            missing=missing,
        )

    def _own_fields(self, csdl: str, set_name: str) -> Iterator[tuple[str, UnifiedField]]:
        raw = UnifiedField(
            name="raw",
            kind=ViewKind.RAW,
            type_name=self._catalog.reference_name(csdl),
            nullable=False,
            description=f"The row of {set_name} behind it, with all its fields and relations.",
        )
        sources = UnifiedField(
            name="sources",
            kind=ViewKind.SOURCES,
            type_name=f"{self.prefix}{SOURCE}",
            nullable=False,
            many=True,
            description="Which entity set and column each field comes from.",
        )
        yield "raw", raw
        yield "sources", sources

    def _part(self, spec: FieldSpec) -> UnifiedField:
        return UnifiedField(
            name=spec.name,
            kind=ViewKind.PART,
            type_name=self.type_name(spec.type),
            table={key: value or None for key, value in spec.values.items()} or None,
            convert=CONVERSIONS[spec.convert] if spec.convert else None,
            description=spec.description,
        )

    def reason(self, lack: MissingError) -> str:
        """Return what is missing, in words; a view of roles does not name what it hides."""
        return str(lack) if self._catalog.whole is self._catalog else _HIDDEN

    def field_type(self, spec: FieldSpec) -> tuple[bool, str]:
        """Return whether a field has objects, and its type's name."""
        return spec.type in self._specs, self.type_name(spec.type)

    def target(self, spec: FieldSpec) -> TypeSpec:
        """Return the type of a field with objects."""
        return self._specs[spec.type]

    def _conditions(self, csdl: str, specs: tuple[ConditionSpec, ...]) -> tuple[Condition, ...]:
        return tuple(self.condition(csdl, spec) for spec in specs)

    def condition(self, csdl: str, spec: ConditionSpec) -> Condition:
        """Return a condition on rows of a type. Raises MissingError."""
        column = column_of(self._catalog, csdl, spec.column)
        # A caller who may not filter by a column must not learn from a list what it holds.
        if where_input(self._catalog, csdl, column) is None:
            raise MissingError(f"{spec.column} cannot be filtered by")
        assert column.value is not None
        values = spec.value if isinstance(spec.value, tuple) else (spec.value,)
        operands = tuple(operand_of(column.value, value) for value in values)
        many = isinstance(spec.value, tuple)
        return Condition(column, spec.operator, list(operands) if many else operands[0])


class _Rows:
    """The fields of one type, over the rows of a set."""

    def __init__(
        self, binder: Binder, catalog: Catalog, spec: TypeSpec, csdl: str, set_name: str
    ) -> None:
        self._binder = binder
        self._catalog = catalog
        self._spec = spec
        self._csdl = csdl
        self._set = set_name
        self._steps: dict[str, Steps | MissingError] = {}

    def field(self, spec: FieldSpec) -> UnifiedField:
        """Return a bound field; null if the environment lacks what it needs."""
        is_object, type_name = self._binder.field_type(spec)
        if not self._csdl:
            return self._null(spec, type_name, ())
        if spec.name == "id":
            return self._id(spec, type_name)
        if spec.absent:
            return self._null(spec, type_name, (spec.absent,))
        if spec.constant is not None:
            return UnifiedField(
                name=spec.name,
                kind=ViewKind.CONSTANT,
                type_name=type_name,
                constant=spec.constant,
                description=spec.description,
            )
        try:
            if spec.collect:
                return self._collected(spec, type_name)
            if is_object:
                return self._objects(spec, type_name)
            if spec.part:
                return self._display_part(spec)
            if spec.file:
                return self._file(spec, type_name)
            return self._value(spec, type_name)
        except MissingError as lack:
            return self._null(spec, type_name, (self._binder.reason(lack),))

    def _null(self, spec: FieldSpec, type_name: str, missing: tuple[str, ...]) -> UnifiedField:
        is_list = spec.many or bool(spec.collect) or bool(spec.highest)
        if spec.part == "dimensions" and self._catalog.abilities.display_values:
            type_name, is_list = DIMENSION, True
        return UnifiedField(
            name=spec.name,
            kind=ViewKind.CONSTANT,
            type_name=f"{type_name}Connection" if spec.paged else type_name,
            many=is_list and not spec.paged,
            missing=missing,
            description=_described(spec.description, missing),
        )

    def _id(self, spec: FieldSpec, type_name: str) -> UnifiedField:
        if not self._catalog.is_node(self._csdl):
            return self._null(spec, type_name, (f"rows of {self._set} have no id",))
        return UnifiedField(
            name="id",
            kind=ViewKind.ID,
            type_name="ID",
            nullable=False,
            description=spec.description
            or "Opaque global id, the one of the row behind it: `node(id:)` returns that row.",
        )

    def _file(self, spec: FieldSpec, type_name: str) -> UnifiedField:
        field, where = column_of(self._catalog, self._csdl, spec.file), f"{self._set}.{spec.file}"
        assert field.value is not None
        check_type(field.value, "Base64", where)
        if not self._catalog.is_node(self._csdl):
            raise MissingError(f"rows of {self._set} have no id")
        return UnifiedField(
            name=spec.name,
            kind=ViewKind.FILE,
            type_name=type_name,
            columns=(Column((), field, where),),
            description=spec.description,
        )

    def _value(self, spec: FieldSpec, type_name: str) -> UnifiedField:
        columns: list[Column] = []
        missing: list[str] = []
        for path in (*spec.paths, spec.minus) if spec.minus else spec.paths:
            try:
                columns.append(self._column(path, spec, type_name))
            except MissingError as lack:
                missing.append(self._binder.reason(lack))
        if not columns or (spec.minus and missing):
            raise MissingError("; ".join(dict.fromkeys(missing)))
        is_list = bool(spec.highest) or spec.many
        self._check_lists(columns, is_list=is_list or spec.sum)
        table: Mapping[Any, str | None] | None = None
        if spec.values or spec.otherwise:
            first = columns[0].field.value
            assert first is not None
            table = {wire_of(first, key): value or None for key, value in spec.values.items()}
        return UnifiedField(
            name=spec.name,
            kind=ViewKind.HIGHEST if spec.highest else ViewKind.VALUE,
            type_name=type_name,
            many=is_list,
            columns=tuple(columns),
            minus=bool(spec.minus),
            sum=spec.sum,
            table=table,
            otherwise=spec.otherwise,
            empty=spec.empty,
            convert=CONVERSIONS[spec.convert] if spec.convert else None,
            highest=spec.highest,
            filter=None
            if is_list or spec.sum
            else filter_of(
                self._catalog, spec, columns, self._csdl, type_name, self._binder.prefix
            ),
            missing=tuple(missing),
            description=_described(spec.description, tuple(missing)),
        )

    def _display_part(self, spec: FieldSpec) -> UnifiedField:
        """Return a part of a display value. Raises MissingError."""
        (path,) = spec.paths
        join, _, name = path.rpartition(".")
        steps = self._way(join)
        if any(step.many for step in steps):
            raise MissingError(f"{path} is a list")
        csdl = steps[-1].field.target if steps else self._csdl
        set_name = (steps[-1].field.target_set or "") if steps else self._set
        whole = column_of(self._catalog, csdl, name)
        fields = self._catalog.object(csdl).fields.values()
        parts = next((f for f in fields if f.parts and f.parts.column.name == name), None)
        if parts is None or parts.parts is None:
            raise MissingError(f"{set_name}.{name} is no display value whose parts can be seen")
        columns = [Column(steps, whole, f"{set_name}.{name}")]
        if account_type := parts.parts.account_type:
            field = column_of(self._catalog, csdl, account_type)
            columns.append(Column(steps, field, f"{set_name}.{account_type}"))
        is_list = spec.part == "dimensions"
        return UnifiedField(
            name=spec.name,
            kind=ViewKind.DISPLAY_PART,
            type_name=DIMENSION if is_list else "String",
            many=is_list,
            columns=tuple(columns),
            parts=parts,
            part=spec.part,
            description=spec.description,
        )

    def _check_lists(self, columns: list[Column], *, is_list: bool) -> None:
        for column in columns:
            if any(step.many for step in column.steps) is not is_list:
                raise MissingError(
                    f"{column.where} is {'one value' if is_list else 'a list'}: see `many` of its join"
                )

    def _column(self, path: str, spec: FieldSpec, type_name: str) -> Column:
        join, _, name = path.rpartition(".")
        steps = self._way(join)
        csdl = steps[-1].field.target if steps else self._csdl
        field = column_of(self._catalog, csdl, name)
        set_name = (steps[-1].field.target_set or "") if steps else self._set
        assert field.value is not None
        if not (spec.values or spec.otherwise) and spec.type in SCALARS:
            check_type(field.value, type_name, f"{set_name}.{name}")
        if spec.convert and field.value.edm != "Edm.String":
            raise MissingError(f"{set_name}.{name} is no text")
        return Column(steps, field, f"{set_name}.{name}")

    def _objects(self, spec: FieldSpec, type_name: str) -> UnifiedField:
        steps = self._way(spec.join)
        target = self._binder.target(spec)
        reached = (steps[-1].field.target_set or "") if steps else self._set
        own = self._binder.set_of(target)
        if own is None:
            raise MissingError(f"no entity set {' or '.join(target.sets)}")
        if own != reached:
            raise MissingError(f"{target.name} is read from {own}, not from {reached}")
        is_list = any(step.many for step in steps)
        if spec.paged and not (is_list and steps[-1].many and len(steps) == 1):
            raise MissingError("a paged list needs one join with many = true")
        kind = ViewKind.LIST if is_list else ViewKind.OBJECT
        return UnifiedField(
            name=spec.name,
            kind=ViewKind.CONNECTION if spec.paged else kind,
            type_name=f"{type_name}Connection" if spec.paged else type_name,
            many=is_list and not spec.paged,
            steps=steps,
            of=spec.type,
            description=spec.description,
        )

    def _collected(self, spec: FieldSpec, type_name: str) -> UnifiedField:
        items: list[Item] = []
        missing: list[str] = []
        for item in spec.collect:
            try:
                items.append(self._item(item, self._binder.target(spec)))
            except MissingError as lack:
                missing.append(self._binder.reason(lack))
        lacking = tuple(dict.fromkeys(missing))
        if not items:
            raise MissingError("; ".join(lacking))
        return UnifiedField(
            name=spec.name,
            kind=ViewKind.COLLECTED,
            type_name=type_name,
            many=True,
            of=spec.type,
            items=tuple(items),
            distinct=spec.distinct,
            missing=lacking,
            description=_described(spec.description, lacking),
        )

    def _item(self, item: ItemSpec, of: TypeSpec) -> Item:
        columns = {
            name: self._column(path, of.fields[name], self._binder.type_name(of.fields[name].type))
            for name, path in item.values.items()
        }
        lists = [column.steps for column in columns.values() if any(s.many for s in column.steps)]
        if not lists:
            return Item(columns, item.constants)
        way = min(lists, key=len)
        if any(column.steps[: len(way)] != way for column in columns.values()):
            raise MissingError("the columns of one item are in rows of different lists")
        below = {
            name: structs.replace(column, steps=column.steps[len(way) :])
            for name, column in columns.items()
        }
        self._check_lists(list(below.values()), is_list=False)
        return Item(below, item.constants, way)

    def _way(self, join: str) -> Steps:
        """Return the steps to a join. Raises MissingError."""
        if not join:
            return ()
        way = self._steps.get(join)
        if way is None:
            try:
                way = self._new_way(self._spec.joins[join])
            except MissingError as lack:
                way = lack
            self._steps[join] = way
        if isinstance(way, MissingError):
            raise way
        return way

    def _new_way(self, join: JoinSpec) -> Steps:
        before = self._way(join.after)
        csdl = before[-1].field.target if before else self._csdl
        model = self._catalog.model
        entity_set = model.entity_sets.get(join.set)
        if entity_set is None or not self._catalog.is_served(entity_set.type):
            raise MissingError(f"no entity set {join.set}")
        where = tuple(self._binder.condition(entity_set.type, c) for c in join.where)
        field = self._navigation(csdl, join, entity_set.type) or self._join(
            csdl, join, entity_set.type
        )
        return (*before, Step(field, where))

    def _navigation(self, csdl: str, join: JoinSpec, target: str) -> Field | None:
        """Return the navigation of the metadata that the join names, if it leads to the same rows."""
        if not join.via:
            return None
        for field in self._catalog.object(csdl).fields.values():
            navigation = field.navigation
            if navigation is None or navigation.name != join.via or field.target != target:
                continue
            if navigation.many is join.many and join_pairs(navigation, self._catalog.model):
                return field
        return None

    def _join(self, csdl: str, join: JoinSpec, target: str) -> Field:
        """Return the field of a join that only the mapping knows. Raises MissingError."""
        if not join.on:
            raise MissingError(f"no navigation {join.via} to {join.set}")
        for own, theirs in join.on:
            first, second = (
                column_of(self._catalog, csdl, own).value,
                column_of(self._catalog, target, theirs).value,
            )
            assert first is not None
            assert second is not None
            if first.edm != second.edm:
                raise MissingError(f"{own} and {theirs} of {join.set} are of different types")
        name = f"{self._spec.name}.{join.name}"
        navigation = Navigation(
            name=name,
            target=target,
            many=join.many,
            on=tuple(ReferentialConstraint(own, theirs) for own, theirs in join.on),
            target_set=join.set,
            declared=True,
        )
        return Field(
            name=join.name,
            kind=FieldKind.TO_MANY if join.many else FieldKind.TO_ONE,
            type_name=self._catalog.generated_name(TypeKind.CONNECTION, target) or ""
            if join.many
            else self._catalog.reference_name(target),
            source=name,
            declared_by=csdl,
            navigation=navigation,
            target=target,
            target_set=join.set,
        )


def _described(text: str, missing: tuple[str, ...]) -> str:
    if not missing:
        return text
    note = f"Not available here: {'; '.join(dict.fromkeys(missing))}."
    return f"{text}\n\n{note}" if text else note
