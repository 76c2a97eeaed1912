"""Running a mutation operation: one mutation after the other, or with ``@atomic`` all in one changeset.

    fields of the operation ──bind──▶ plan ──groups──▶ outcomes ──reading──▶ Payload by response key

The GraphQL specification wants mutations one after the other (section 6.2.2): each is bound, sent and read before the
next, so that the next may use its row (``references``). With ``@atomic`` everything is bound before anything is sent.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any

from graphql import GraphQLError, GraphQLSchema, OperationDefinitionNode, get_argument_values
from graphql.execution.values import VariableValues, get_variable_values
from msgspec import Struct, field

from gateway.documents.collect_fields import Nodes, Selection
from gateway.errors import BadArgument, GatewayError, UnsupportedQuery, to_gateway_error
from gateway.execution.field_attribution import set_fields
from gateway.operations.shapes import RowRequirements, Shaper
from gateway.operations.value_conversion import from_upstream
from schema.catalog.records import MutationField, PayloadRole, TypeKind
from schema.writes import Writes

from .binder import Binder
from .calls import Calls
from .changesets import Groups
from .outcome import NOT_SENT, Outcome, UserError, missing
from .payload import Payload, list_payload, row_payload, with_conflicts
from .payload_rows import PayloadSelection, Reading
from .plan import CallMutation, Mutation, RowsMutation, RowWrite
from .references import Reference, check_order, uses
from .success import json_object_of

Given = Mapping[str, Any]
"""Values of variables as the request gives them."""


class Running(Struct):
    """One operation under way."""

    operation: OperationDefinitionNode
    mutations: Mapping[str, Nodes]
    references: tuple[Reference, ...]
    companies: tuple[str, ...] | None
    variables: dict[str, Any]
    """Values of variables; those of references come in while the operation runs."""
    done: dict[str, Payload | GatewayError] = field(default_factory=dict)
    bound: dict[str, Mutation] = field(default_factory=dict)


class Mutator:
    """Runs operations with the parts that were made for one of them."""

    def __init__(
        self,
        core: GraphQLSchema,
        writes: Writes,
        binder: Binder,
        groups: Groups,
        calls: Calls,
        reading: Reading,
        shaper: Shaper,
    ) -> None:
        self._core = core
        self._writes = writes
        self._binder = binder
        self._groups = groups
        self._calls = calls
        self._reading = reading
        self._shaper = shaper

    async def run(self, running: Running, *, atomic: bool) -> dict[str, Payload | GatewayError]:
        """Perform the mutations. Raises GatewayError where the operation as a whole cannot be done."""
        check_order(running.references, running.mutations)
        if atomic:
            await self._atomic(running)
        else:
            for key, nodes in running.mutations.items():
                await self._one(running, key, nodes)
        return running.done

    # One after the other

    async def _one(self, running: Running, key: str, nodes: Nodes) -> None:
        set_fields((key,))
        lacking = self._lacking(running, nodes)
        if lacking is not None:
            told = (
                f"Nothing was sent: {lacking.key} wrote no row whose {lacking.field} could be used."
            )
            running.done[key] = Payload(errors=(UserError(code=NOT_SENT, message=told),))
            return
        try:
            running.done[key] = await self._performed(running, key, nodes)
        except Exception as error:
            # Whatever goes wrong here, the caller is told what became of the other mutations.
            running.done[key] = to_gateway_error(error)

    async def _performed(self, running: Running, key: str, nodes: Nodes) -> Payload:
        mutation = running.bound[key] = self._bound(running, nodes)
        asked = self._asked(key, nodes, mutation.field)
        if isinstance(mutation, CallMutation):
            return await self._calls.call(mutation, asked)
        outcomes = await self._groups.mutation(mutation)
        self._remember(running, key, mutation, outcomes)
        return await self._payload(mutation, asked, outcomes)

    def _lacking(self, running: Running, nodes: Nodes) -> Reference | None:
        """Return a reference that the field uses and that has no value."""
        for reference in running.references:
            if reference.variable not in running.variables and uses(nodes[0], reference.variable):
                return reference
        return None

    def _bound(self, running: Running, nodes: Nodes) -> Mutation:
        found = self._writes[nodes[0].name.value]
        mutation_type = self._core.mutation_type
        assert mutation_type is not None
        try:
            variables = self._coerced(running)
            arguments = get_argument_values(mutation_type.fields[found.name], nodes[0], variables)
        except GraphQLError as error:
            raise BadArgument(error.message) from error
        return self._binder.bind(found, arguments, running.companies)

    def _coerced(self, running: Running) -> VariableValues:
        definitions = running.operation.variable_definitions or ()
        variables = get_variable_values(self._core, definitions, running.variables, max_errors=1)
        if isinstance(variables, list):
            raise variables[0]
        return variables

    def _remember(
        self, running: Running, key: str, mutation: RowsMutation, outcomes: Sequence[Outcome]
    ) -> None:
        """Return their values to the variables that refer to this row."""
        if mutation.field.many or not outcomes[0].is_done:
            return
        answered = json_object_of(outcomes[0].response) or {}
        for reference in running.references:
            if reference.key == key:
                value = self._written(outcomes[0].write, reference.field, answered)
                if value is not None:
                    running.variables[reference.variable] = value

    def _written(self, write: RowWrite, name: str, answered: Given) -> Any:
        """Return a field of a row as a variable's value: as it was given, else as the upstream sent it back."""
        found = self._writes.catalog.object(write.csdl).fields.get(name)
        if found is None or found.value is None:
            return None
        keys = {part.name: part.value.value for part in write.key or ()}
        places = (write.body, answered, keys)
        raw = next((p[found.source] for p in places if p.get(found.source) is not None), None)
        try:
            value = from_upstream(found.value, raw)
        except GatewayError:
            return None  # what the upstream sent is of no use; the row is written all the same
        is_text = isinstance(value, Decimal) or found.value.scalar == "Long"
        return str(value) if is_text and value is not None else value

    # All or nothing

    async def _atomic(self, running: Running) -> None:
        bound: dict[str, RowsMutation] = {}
        for key, nodes in running.mutations.items():
            bound[key] = running.bound[key] = _joinable(key, self._bound(running, nodes))
            self._refer(running, key, bound[key])
        set_fields(bound)
        outcomes = await self._groups.atomic(bound)
        for (key, mutation), found in zip(bound.items(), outcomes, strict=True):
            set_fields((key,))
            asked = self._asked(key, running.mutations[key], mutation.field)
            try:
                running.done[key] = await self._payload(mutation, asked, found)
            except Exception as error:
                running.done[key] = to_gateway_error(error)

    def _refer(self, running: Running, key: str, mutation: RowsMutation) -> None:
        for reference in running.references:
            if reference.key != key:
                continue
            of = None if mutation.field.many else mutation.writes[0]
            value = None if of is None else self._written(of, reference.field, {})
            if value is None:
                raise UnsupportedQuery(
                    f"${reference.variable}: {key} does not give {reference.field}, and in an @atomic"
                    " operation nothing is written before everything is sent.",
                    hint=f"Give {reference.field} in {key} (a number sequence must be manual then),"
                    " or leave out @atomic.",
                )
            running.variables[reference.variable] = value

    # Payloads

    async def _payload(
        self, mutation: RowsMutation, asked: PayloadSelection, outcomes: Sequence[Outcome]
    ) -> Payload:
        outcomes = [await self._explained(outcome) for outcome in outcomes]
        reads = await self._reading.rows(asked, outcomes)
        if mutation.field.many:
            return list_payload(outcomes, reads)
        return row_payload(outcomes[0], reads[0])

    async def _explained(self, outcome: Outcome) -> Outcome:
        if not outcome.is_conflict:
            return outcome
        differences = await self._reading.differences(outcome.write)
        if differences is None:
            return missing(outcome)
        return with_conflicts(outcome, differences)

    def _asked(self, key: str, nodes: Nodes, of: MutationField) -> PayloadSelection:
        """Return what the payload's selection asks of its rows."""
        set_name = "" if of.entity_set is None else of.entity_set.name
        result = self._writes.result(of)
        level = self._shaper.level(of.csdl) if of.csdl else None
        wanted = level is not None and self._collect(nodes, result.type_name, level)
        return PayloadSelection(key, nodes, set_name, level if wanted else None)

    def _collect(self, nodes: Nodes, type_name: str, level: RowRequirements) -> bool:
        """Add the needs of a payload's rows to their level; say whether anything of a row is asked for."""
        fields = self._writes.payload_of(type_name)
        selection: Selection = self._shaper.selection
        wanted = False
        for found in selection.subfields(nodes, frozenset((type_name,))).values():
            asked = fields.get(found[0].name.value)
            if asked is None:
                continue
            if asked.role is PayloadRole.RESULTS:
                inner = self._writes.name_of(TypeKind.PAYLOAD, level.info.csdl)
                wanted |= self._collect(found, inner, level)
            elif asked.role in (PayloadRole.ROW, PayloadRole.RESULT):
                self._shaper.objects(found, level)
                wanted = True
            elif asked.role is PayloadRole.ETAG:
                wanted = True
                self._need_etag(level)
        return wanted

    def _need_etag(self, level: RowRequirements) -> None:
        etag = level.info.etag
        if etag is not None:
            self._shaper.need(level, etag)


def _joinable(key: str, mutation: Mutation) -> RowsMutation:
    if not isinstance(mutation, RowsMutation):
        raise UnsupportedQuery(
            f"{key} cannot join the changeset: it is a call, and a changeset holds only writes of rows.",
            hint="Put the call into an operation of its own, after this one.",
        )
    return mutation
