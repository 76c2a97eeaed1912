"""Binds the arguments of a mutation to what it writes.

Pure: everything that can be wrong with the arguments is found before anything is sent.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from typing import Any

from gateway.dimensions.formats import EnvironmentFormats
from gateway.errors import BadArgument, BudgetExceeded, SettingsError
from gateway.odata.dialect import Dialect
from gateway.odata.entity_id import key_of_address
from gateway.odata.literals import parse_value
from gateway.odata.query import KeyPart, Literal, Query, Resource
from gateway.odata.render import render
from gateway.planning.done_checks import find_done_check
from gateway.planning.joins import pairs_of
from schema.catalog.records import (
    Argument,
    Field,
    FieldKind,
    InputRole,
    MutationField,
    ObjectInfo,
    ServiceInfo,
    TypeKind,
    Verb,
)
from schema.model.records import Operation, short
from schema.writes import Writes

from .grants import WriteGrants
from .natural_keys import NaturalKeys
from .plan import (
    CallMutation,
    CallWrite,
    ChildWrites,
    DoneRow,
    Mutation,
    NaturalKey,
    Place,
    RowsMutation,
    RowWrite,
)
from .values import BodyBuilder

MAX_ROWS = 1_000


class Binder:
    """Binds the mutations of one schema; ``max_rows`` is the most rows of one mutation, nested ones included."""

    def __init__(
        self,
        writes: Writes,
        dialect: Dialect,
        *,
        max_rows: int = MAX_ROWS,
        natural_keys: Mapping[str, Sequence[str]] | None = None,
        formats: EnvironmentFormats | None = None,
    ) -> None:
        self.writes = writes
        self.catalog = writes.catalog
        self.dialect = dialect
        self._bodies = BodyBuilder(writes, dialect.title, formats)
        self._max_rows = max_rows
        self.natural_keys = NaturalKeys(writes, dialect, natural_keys or {})

    def bind(
        self,
        field: MutationField,
        arguments: Mapping[str, Any],
        companies: tuple[str, ...] | None,
        grants: WriteGrants | None = None,
    ) -> Mutation:
        """Return what a mutation writes; ``companies`` is the request's scope. Raises GatewayError.

        ``grants`` are what the caller's roles give.
        """
        if field.service is not None:
            return CallMutation(field, self._service(field, arguments, companies))
        if field.operation is not None:
            return CallMutation(field, self._action(field, field.operation, arguments, companies))
        rows = _RowBinder(self, field, companies, grants)
        if field.many:
            items = arguments["input"]
            # Counted before the rows are read, and below once more with the rows below them.
            self.check_count(len(items))
            writes = tuple(rows.bind(item, ("input", str(i))) for i, item in enumerate(items))
        elif field.verb in (Verb.CREATE, Verb.UPSERT):
            writes = (rows.bind(arguments["input"], ("input",)),)
        else:
            writes = (rows.bind(arguments, ()),)
        self.check_count(sum(1 + sum(len(c.rows) for c in w.children) for w in writes))
        bounds = None if grants is None else grants.bounds
        natural_key = self.natural_keys.of(field, arguments, bounds)
        if natural_key is not None and natural_key.is_requested:
            _require_values(natural_key, writes)
        return RowsMutation(field, writes, natural_key)

    def check_count(self, count: int) -> None:
        """Raise BudgetExceeded if one mutation, or one @atomic operation, writes more rows than it may."""
        if count > self._max_rows:
            raise BudgetExceeded(
                f"The mutation writes {count:,} rows; the most is {self._max_rows:,}.",
                hint="Write in several mutations, or raise writes.max_rows.",
            )

    def _service(
        self,
        field: MutationField,
        arguments: Mapping[str, Any],
        companies: tuple[str, ...] | None,
    ) -> CallWrite:
        assert field.service is not None
        body = {p.wire: arguments[p.name] for p in field.service.input if p.name in arguments}
        return CallWrite(
            path=f"/api/services/{field.service.path}",
            body=body,
            has_result=bool(field.service.output),
            names=(field.service.name,),
            done=self._done_row(field.service, arguments, companies),
        )

    def _done_row(
        self,
        service: ServiceInfo,
        arguments: Mapping[str, Any],
        companies: tuple[str, ...] | None,
    ) -> DoneRow | None:
        """Return the row that shows whether a call was done; None if the caller does not see it."""
        check = None
        with suppress(SettingsError):  # of a profile, or of roles, that lack the row or its field
            check = find_done_check(self.catalog, self.dialect, service)
        if check is None:
            return None
        key = self.key(check.key, check.key_values(arguments), companies, ())
        return DoneRow(check, tuple(part.value.value for part in key))

    def _action(
        self,
        field: MutationField,
        operation: Operation,
        arguments: Mapping[str, Any],
        companies: tuple[str, ...] | None,
    ) -> CallWrite:
        parameters = self.writes.inputs_of_field(field)
        body = {
            a.source: self._parameter(a, arguments[a.name], operation)
            for a in parameters
            if a.of is None and a.name in arguments
        }
        key = self._action_key(operation, arguments, companies)
        path = self._action_path(field, operation, key)
        row = None
        if key and field.entity_set is not None and operation.bound_to is not None:
            row = RowWrite(
                verb=Verb.UPDATE,
                entity_set=field.entity_set.name,
                csdl=operation.bound_to.name,
                place=(),
                key=key,
            )
        imported = field.operation_import
        names = (short(operation.name), *(() if imported is None else (imported.name,)))
        has_result = operation.returns is not None
        return CallWrite(path=path, body=body, has_result=has_result, row=row, names=names)

    def _action_key(
        self,
        operation: Operation,
        arguments: Mapping[str, Any],
        companies: tuple[str, ...] | None,
    ) -> tuple[KeyPart, ...]:
        """Return the key of the row that an action is bound to; empty if it is bound to none."""
        if operation.bound_to is None or operation.bound_to.many:
            return ()
        info = self.catalog.object(operation.bound_to.name)
        return self.key(info.key, arguments, companies, ())

    def _parameter(self, argument: Argument, value: Any, operation: Operation) -> Any:
        many = next(p.type.many for p in operation.parameters if p.name == argument.source)
        if argument.value is not None:
            return self._bodies.argument(argument.value, value, argument.name, many=many)
        if value is None:
            return None
        items = value if many else [value]
        bodies = [self._bodies.body(argument.type_name, i, argument.name) for i in items]
        return bodies if many else bodies[0]

    def _action_path(
        self,
        field: MutationField,
        operation: Operation,
        key: tuple[KeyPart, ...],
    ) -> str:
        if field.operation_import is not None:
            return field.operation_import.name
        assert operation.bound_to is not None
        assert field.entity_set is not None
        # With its namespace: OData has no short names of bound operations, unless a service declares default
        # namespaces.
        name = operation.name
        address = render(Query(resource=Resource(field.entity_set.name, key)))
        options = "&".join(f"{option}={value}" for option, value in self.dialect.options)
        return f"{address.url}/{name}" + (f"?{options}" if options else "")

    def key(
        self,
        fields: Sequence[Field],
        values: Mapping[str, Any],
        companies: tuple[str, ...] | None,
        place: Place,
    ) -> tuple[KeyPart, ...]:
        """Return the key that values by GraphQL name make; the company may come from the scope. Raises BadArgument."""
        parts = []
        for f in fields:
            value = values.get(f.name)
            # A client that works in one company names it once, in the header, for reads and writes alike.
            if value is None and f.source == self.dialect.company_property:
                value = one_company(companies, ".".join((*place, f.name)))
            parts.append(self._part(f, value, ".".join((*place, f.name))))
        return tuple(parts)

    def _part(self, field: Field, value: Any, what: str) -> KeyPart:
        assert field.value is not None
        wire = self._bodies.argument(field.value, value, what, many=False)
        if wire is None:
            raise BadArgument(f"{what} is part of the key and cannot be null.")
        return self.key_part(field, wire)

    def key_part(self, field: Field, wire: Any) -> KeyPart:
        """Return the part of a key that a JSON value stands for. Raises TypeError or ValueError."""
        kind = field.value
        assert kind is not None
        value = wire if kind.is_enum else parse_value(kind.edm, wire)
        return KeyPart(field.source, Literal(value, kind.edm, kind.is_enum))

    def key_of_body(self, csdl: str, body: Mapping[str, Any]) -> tuple[KeyPart, ...] | None:
        """Return the key of a new row; None if its body does not hold all of it."""
        fields = self.catalog.object(csdl).key
        if any(body.get(f.source) is None for f in fields):
            return None
        return tuple(self.key_part(f, body[f.source]) for f in fields)

    def key_of_address(self, csdl: str, address: str) -> tuple[KeyPart, ...] | None:
        """Return the key that the address of a row ends in; None if it names none."""
        fields = self.catalog.object(csdl).key
        kinds = [(f.source, f.value) for f in fields]
        columns = [(name, kind.edm, kind.is_enum) for name, kind in kinds if kind is not None]
        return key_of_address(address, columns) if len(columns) == len(fields) > 0 else None

    def joined(self, children: ChildWrites, parent: Mapping[str, Any]) -> tuple[RowWrite, ...]:
        """Return the rows below a new row with the properties that join them to it."""
        filled = {target: parent[source] for source, target in children.join}
        rows = []
        for row in children.rows:
            body = {**filled, **row.body}
            rows.append(replace(row, body=body, key=self.key_of_body(row.csdl, body)))
        return tuple(rows)

    def body(self, type_name: str, values: Mapping[str, Any], what: str) -> dict[str, Any]:
        """Return the JSON body of an input object; ``what`` names it in messages. Raises BadArgument."""
        return self._bodies.body(type_name, values, what)


class _RowBinder:
    """Binds the rows of one mutation."""

    def __init__(
        self,
        binder: Binder,
        field: MutationField,
        companies: tuple[str, ...] | None,
        grants: WriteGrants | None,
    ) -> None:
        assert field.entity_set is not None
        self._binder = binder
        self._field = field
        self._set = field.entity_set.name
        self._companies = companies
        self._grants = grants
        self._info = binder.catalog.object(field.csdl)

    def bind(self, values: Mapping[str, Any], place: Place) -> RowWrite:
        """Return the write of one input object, or of the arguments of an update or delete. Raises GatewayError."""
        verb = self._field.verb
        if verb in (Verb.CREATE, Verb.UPSERT):
            return self._new(values, place)
        return self._existing(values, place)

    def _existing(self, values: Mapping[str, Any], place: Place) -> RowWrite:
        key_place = (*place, "key")
        key = self._binder.key(self._info.key, values["key"], self._companies, key_place)
        body: Mapping[str, Any] = {}
        is_update = self._field.verb is Verb.UPDATE
        if is_update:
            at = (*place, "patch")
            body = self._body(TypeKind.PATCH, values["patch"], at)
            if not body:
                raise BadArgument(
                    f"{'.'.join(at)} changes nothing.", hint="Set at least one field."
                )
        return RowWrite(
            verb=self._field.verb,
            entity_set=self._set,
            csdl=self._field.csdl,
            place=place,
            key=key,
            body=body,
            if_match=_checked_etag(values.get("ifMatch")),
            patched=is_update,
        )

    def _body(self, kind: TypeKind, values: Mapping[str, Any], place: Place) -> dict[str, Any]:
        name = self._binder.writes.name_of(kind, self._field.csdl)
        return self._binder.body(name, values, ".".join(place))

    def _new(self, values: Mapping[str, Any], place: Place) -> RowWrite:
        own = self._body(TypeKind.CREATE_INPUT, values, place)
        body, presets = self._with_presets(own, place)
        key = self._binder.key_of_body(self._field.csdl, body)
        is_upsert = self._field.verb is Verb.UPSERT
        # An upsert is a PATCH of the row's own address (OData 4.0 Protocol, section 11.4.4).
        if is_upsert and key is None:
            names = ", ".join(f.name for f in self._info.key if body.get(f.source) is None)
            raise BadArgument(
                f"{'.'.join(place)} lacks {names}: an upsert needs the whole key.",
                hint="If a number sequence gives the key, create the row instead.",
            )
        children = tuple(self._children(values, place))
        if is_upsert and children:
            raise BadArgument(
                f"{'.'.join(place)} creates rows below an upsert, which is not possible.",
                hint="Create the row, or write the rows below it by themselves.",
            )
        return RowWrite(
            verb=self._field.verb,
            entity_set=self._set,
            csdl=self._field.csdl,
            place=place,
            key=key,
            body=body,
            # With the company of the scope, and with what presets replace.
            own={**{n: v for n, v in body.items() if n not in presets}, **own} if presets else None,
            presets=presets,
            change=self._changeable(own),
            children=children,
        )

    def _with_presets(
        self, own: dict[str, Any], place: Place
    ) -> tuple[dict[str, Any], frozenset[str]]:
        """Return the body of a new row, and which of its values are presets of roles."""
        if self._grants is None:
            return self._with_company(own, place), frozenset()
        is_scoped = self._companies is not None and len(self._companies) == 1
        scoped = self._with_company(own, place) if is_scoped else own
        choice = self._grants.with_presets(self._set, scoped)
        # Presets may name the company that the scope leaves open.
        return self._with_company(dict(choice.body), place), choice.presets

    def _with_company(self, body: dict[str, Any], place: Place) -> dict[str, Any]:
        company = self._binder.dialect.company_property
        if company is None or not self._info.has_company or body.get(company) is not None:
            return body
        field = self._info.by_source(company)
        return {company: one_company(self._companies, ".".join((*place, field.name))), **body}

    def _changeable(self, body: Mapping[str, Any]) -> Mapping[str, Any]:
        key = {f.source for f in self._info.key}
        # An upsert of a row that exists leaves out what AllowEdit forbids: F&O refuses or ignores it in a PATCH.
        fixed = {
            f.source
            for f in self._info.fields.values()
            if f.prop is not None and not f.prop.allow_edit
        }
        return {name: value for name, value in body.items() if name not in key | fixed}

    def _children(self, values: Mapping[str, Any], place: Place) -> Iterable[ChildWrites]:
        inputs = self._binder.writes.inputs_of(
            self._binder.writes.name_of(TypeKind.CREATE_INPUT, self._field.csdl)
        )
        for name, value in values.items():
            of = inputs[name].of
            if inputs[name].role is InputRole.NESTED and of is not None and value is not None:
                yield self._below(of, value["create"], (*place, name, "create"))

    def _below(self, of: Field, rows: Sequence[Mapping[str, Any]], place: Place) -> ChildWrites:
        join = pairs_of(of, self._binder.catalog, self._binder.dialect)
        target = self._binder.catalog.object(of.target)
        numbered = self._binder.writes.rules.given_by_service
        required = {
            f.source
            for f in target.fields.values()
            if f.prop is not None and f.prop.required and f.prop.allow_edit_on_create
            if f.kind is FieldKind.VALUE
            if f"{of.target_set}.{f.source}" not in numbered
        }
        type_name = self._binder.writes.name_of(TypeKind.NESTED_INPUT, of.target)
        filled = {child for _, child in join}
        writes = []
        for number, row in enumerate(rows):
            at = (*place, str(number))
            row_body = self._binder.body(type_name, row, ".".join(at))
            _check_nested(row_body, filled, required, target, at)
            writes.append(
                RowWrite(
                    verb=Verb.CREATE,
                    entity_set=of.target_set or "",
                    csdl=of.target,
                    place=at,
                    body=row_body,
                )
            )
        return ChildWrites(of, join, tuple(writes))


def _require_values(natural_key: NaturalKey, writes: Iterable[RowWrite]) -> None:
    """Raise BadArgument for a row that lacks a part of the natural key that the caller has named."""
    for write in writes:
        if natural_key.values(write) is None:
            raise BadArgument(
                f"{'.'.join(write.place)} does not set all of uniqueBy: {natural_key.describe()}."
            )


def _check_nested(
    body: Mapping[str, Any], filled: set[str], required: set[str], target: ObjectInfo, place: Place
) -> None:
    """Raise BadArgument for a property that the join fills in, or that is required and missing."""
    for f in target.fields.values():
        what = ".".join((*place, f.name))
        if f.source in filled and f.source in body:
            raise BadArgument(
                f"{what} is filled in from the new row above it.", hint="Leave it out."
            )
        if f.source in required - filled and f.source not in body:
            raise BadArgument(f"{what} is required.")


def one_company(companies: tuple[str, ...] | None, what: str) -> str:
    """Return the one company of the scope. Raises BadArgument."""
    if companies is None or len(companies) != 1:
        raise BadArgument(
            f"{what} is missing, and the company scope is not one company.",
            hint="Pass it, or name one company in the header X-D365-Company.",
        )
    return companies[0]


def _checked_etag(etag: str | None) -> str | None:
    """Return an etag. Raises BadArgument for a text that cannot be a header's value."""
    if etag is None:
        return None
    if not etag.isascii() or not etag.isprintable() or not etag.strip():
        raise BadArgument("ifMatch is not an etag.", hint="Pass the `etag` of the row, or `*`.")
    return etag
