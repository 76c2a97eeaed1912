"""Presets of roles: values that every row gets that is written by their right, whatever the caller sends.

A preset is a value of the API's own type of the column, or refers to the caller (``$claims.region``). It is set on
creation if the column can be set then, and on each change if it can be changed and is no part of the key.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from typing import Any

from graphql import GraphQLInputType, GraphQLList, GraphQLNonNull, GraphQLSchema

from gateway.documents.input_coercion import coerce_json
from gateway.errors import GatewayError
from gateway.identity.caller import Caller
from gateway.identity.references import MissingValue, Reference, reference_of
from gateway.odata.dialect import Dialect
from gateway.planning.rule_reader import json_of_toml, sample_of
from schema.catalog import Catalog
from schema.catalog.records import Field, FieldKind
from schema.errors import did_you_mean
from schema.policy import Policy, Right, Role, SetGrant
from schema.writes import Writes

from .values import BodyBuilder, is_collection

MAX_PROBLEMS = 20
"""Problems of presets that are reported at once."""
_WRITING = (Right.CREATE, Right.UPDATE)


class Presets:
    """The presets of all grants, for one catalogue: the whole one, with columns that no caller may see."""

    def __init__(self, catalog: Catalog, core: GraphQLSchema, dialect: Dialect) -> None:
        self._catalog = catalog
        self._core = core
        self._bodies = BodyBuilder(Writes(catalog), dialect.title)

    def of(self, grant: SetGrant, set_name: str, right: Right, caller: Caller) -> dict[str, Any]:
        """Return property → JSON value for a row of a set that is created or changed.

        Raises MissingValue if a value refers to something that is not known of the caller, or is not of its type.
        """
        return {
            field.source: self._value(field, grant.presets[field.source], caller)
            for field in self._fields(grant, set_name)
            if self._is_writable(field, set_name, right)
        }

    def _fields(self, grant: SetGrant, set_name: str) -> Iterator[Field]:
        if not grant.presets:
            return
        csdl = self._catalog.model.entity_sets[set_name].type
        for field in self._catalog.object(csdl).fields.values():
            if field.prop is not None and field.source in grant.presets:
                yield field

    def _is_writable(self, field: Field, set_name: str, right: Right) -> bool:
        assert field.prop is not None
        if right is Right.CREATE:
            return field.prop.allow_edit_on_create
        csdl = self._catalog.model.entity_sets[set_name].type
        return field.prop.allow_edit and field.source not in self._catalog.key_of(csdl)

    def _value(self, field: Field, preset: object, caller: Caller) -> Any:
        single = self._type(field)
        try:
            reference = reference_of(preset)
            value = json_of_toml(preset) if reference is None else reference.value(caller)
            return self._converted(field, value, single)
        except (GatewayError, ValueError) as error:
            raise MissingValue from error

    def _converted(self, field: Field, value: object, single: Any) -> Any:
        kind = field.value
        is_list = is_collection(field) or (kind is not None and kind.many)
        expected = GraphQLList(GraphQLNonNull(single)) if is_list else single
        coerced = coerce_json(value, expected, what=field.source)
        return self._bodies.plain(field, coerced, field.source)

    def _type(self, field: Field) -> GraphQLInputType:
        assert field.value is not None
        single: GraphQLInputType = self._core.type_map[field.value.scalar]  # type: ignore[assignment]
        return single

    # At the start

    def problems(self, policy: Policy) -> Iterator[str]:
        """Yield what is wrong with the presets of a policy, one sentence each with its place."""
        for role in policy.roles.values():
            for name, grant in (*role.sets, *((f"@{c}", g) for c, g in role.categories)):
                if grant.presets:
                    place = f'roles.{role.name}.sets."{name}".presets'
                    yield from self._problems_of(role, policy, grant, place)

    def _problems_of(
        self, role: Role, policy: Policy, grant: SetGrant, place: str
    ) -> Iterator[str]:
        model = self._catalog.model
        if grant.rights.isdisjoint(_WRITING):
            yield f"{place}: the role neither creates nor updates these rows."
        if any(role.grant_of(n, policy.categories.get(n)) is grant for n in model.singletons):
            yield f"{place}: a singleton cannot be written."
        applied: set[str] = set()
        columns: set[str] = set()
        for set_name in model.entity_sets:
            if role.grant_of(set_name, policy.categories.get(set_name)) is not grant:
                continue
            columns.update(p.name for p in model.properties_of(model.entity_sets[set_name].type))
            for field in self._fields(grant, set_name):
                yield from self._problem_of(field, grant, place)
                rights = (r for r in _WRITING if r in grant.rights)
                if any(self._is_writable(field, set_name, right) for right in rights):
                    applied.add(field.source)
        for name in grant.presets:
            if name not in columns:
                yield f"{place}: there is no property {name}.{did_you_mean(name, columns)}"
            elif name not in applied:
                yield f"{place}.{name}: the metadata says that it cannot be written."

    def _problem_of(self, field: Field, grant: SetGrant, place: str) -> Iterator[str]:
        where = f"{place}.{field.source}"
        if field.kind is not FieldKind.VALUE or field.value is None:
            yield f"{where}: it is no plain value."
            return
        preset = grant.presets[field.source]
        try:
            reference = reference_of(preset)
            value = self._sample(field, reference) if reference else json_of_toml(preset)
            self._converted(field, value, self._type(field))
        except GatewayError as error:
            yield f"{where}: {error.message.removeprefix(f'{field.source}: ')}"
        except ValueError as error:
            yield f"{where}: {error}."

    def _sample(self, field: Field, reference: Reference) -> Any:
        sample = sample_of(reference, self._type(field))
        assert field.value is not None
        return [sample] if is_collection(field) or field.value.many else sample


def preset_problems(
    policy: Policy, catalog: Catalog, core: GraphQLSchema, dialect: Dialect
) -> list[str]:
    """Return what is wrong with the presets of a policy, one sentence each with its place."""
    # A copy: the check may read the whole metadata, which must not stay in memory.
    problems = Presets(catalog.fresh_copy(), core, dialect).problems(policy)
    return list(islice(dict.fromkeys(problems), MAX_PROBLEMS))
