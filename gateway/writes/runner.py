"""Runs a mutation operation: one mutation after the other, or with ``@atomic`` all in one changeset.

    fields of the operation ──FieldBinder──▶ Mutation ──ChangesetWriter──▶ outcomes ──PayloadBuilder──▶ Payload
                                                      └─CallRunner────────────────────────────────────▶ Payload

The GraphQL specification wants mutations one after the other (section 6.2.2): each is bound, sent and read before the
next, so that the next may use its row (``references``). With ``@atomic`` everything is bound before anything is sent.
"""

from __future__ import annotations

from collections.abc import Mapping

from graphql import OperationDefinitionNode
from msgspec import Struct, field

from gateway.documents.collect_fields import Nodes
from gateway.errors import (
    AuditUnavailable,
    GatewayError,
    UnsupportedQuery,
    to_gateway_error,
)
from gateway.execution.field_attribution import set_fields

from .calls import CallRunner
from .field_binder import FieldBinder
from .grants import WriteGrants
from .keyed_mutations import KeyedMutations
from .natural_key_writer import NaturalKeyWriter
from .outcome import NOT_SENT, UserError
from .payload import Payload
from .payload_builder import PayloadBuilder
from .payload_selection import PayloadSelector
from .plan import CallMutation, Mutation, RowsMutation
from .reference_values import ReferenceValues
from .references import check_order


class MutationRun(Struct):
    """One operation under way."""

    operation: OperationDefinitionNode
    mutations: Mapping[str, Nodes]
    """Response key → fields of the document."""
    references: ReferenceValues
    companies: tuple[str, ...] | None
    grants: WriteGrants | None = None
    """What the roles of the caller give; None without roles."""
    keyed: KeyedMutations | None = None
    """The mutations with idempotency keys; None if keys have no effect."""
    payloads: dict[str, Payload | GatewayError] = field(default_factory=dict)
    bound: dict[str, Mutation] = field(default_factory=dict)
    """What each mutation writes; those that could not be bound are missing."""


class MutationRunner:
    """Runs one operation."""

    def __init__(
        self,
        binder: FieldBinder,
        writer: NaturalKeyWriter,
        calls: CallRunner,
        selector: PayloadSelector,
        payloads: PayloadBuilder,
    ) -> None:
        self._binder = binder
        self._writer = writer
        self._calls = calls
        self._selector = selector
        self._payloads = payloads

    async def run(self, run: MutationRun, *, atomic: bool) -> None:
        """Fill in the payloads of a run. Raises GatewayError if the operation as a whole cannot be done."""
        check_order(run.references.references, run.mutations)
        if atomic:
            await self._run_atomic(run)
        else:
            for key, nodes in run.mutations.items():
                await self._run_one(run, key, nodes)

    async def _run_one(self, run: MutationRun, key: str, nodes: Nodes) -> None:
        set_fields((key,))
        missing = run.references.missing(nodes)
        if missing is not None:
            message = (
                f"Nothing was sent: {missing.key} wrote no row whose {missing.field} could be used."
            )
            run.payloads[key] = Payload(errors=(UserError(code=NOT_SENT, message=message),))
            return
        try:
            run.payloads[key] = await self._write_once(run, key, nodes)
        except Exception as error:
            # Nothing was done yet, so the operation fails as a whole.
            if isinstance(error, AuditUnavailable) and not run.payloads:
                raise
            # Whatever goes wrong here, the caller learns what became of the other mutations.
            run.payloads[key] = to_gateway_error(error)

    async def _write_once(self, run: MutationRun, key: str, nodes: Nodes) -> Payload:
        keyed = run.keyed
        if keyed is None:
            return await self._write(run, key, nodes)
        if await keyed.replays(key, nodes, run.references):
            # The stored one is put in its place when the operation is completed.
            return Payload()
        try:
            return await self._write(run, key, nodes)
        finally:
            keyed.ended(key)

    async def _write(self, run: MutationRun, key: str, nodes: Nodes) -> Payload:
        mutation = run.bound[key] = self._bind(run, nodes)
        selection = self._selector.selection(key, nodes, mutation.field)
        if isinstance(mutation, CallMutation):
            return await self._calls.call(mutation, selection)
        fields = run.references.fields_of(key, mutation)
        outcomes = await self._writer.write(mutation, fields)
        run.references.record(key, mutation, outcomes)
        return await self._payloads.build(mutation, selection, outcomes)

    def _bind(self, run: MutationRun, nodes: Nodes) -> Mutation:
        variables = run.references.variables
        return self._binder.bind(nodes[0], run.operation, variables, run.companies, run.grants)

    async def _run_atomic(self, run: MutationRun) -> None:
        if run.keyed is not None:
            run.keyed.require_none(run.mutations, run.references)
        mutations: dict[str, RowsMutation] = {}
        for key, nodes in run.mutations.items():
            mutation = _require_rows(key, self._bind(run, nodes))
            mutations[key] = run.bound[key] = mutation
            run.references.record_planned(key, mutation)
        set_fields(mutations)
        outcomes = await self._writer.write_atomic(mutations)
        for (key, mutation), own in zip(mutations.items(), outcomes, strict=True):
            set_fields((key,))
            selection = self._selector.selection(key, run.mutations[key], mutation.field)
            try:
                run.payloads[key] = await self._payloads.build(
                    mutation, selection, own, mutations.values()
                )
            except Exception as error:
                # The changeset is written: a payload that cannot be read must not hide the others.
                run.payloads[key] = to_gateway_error(error)


def _require_rows(key: str, mutation: Mutation) -> RowsMutation:
    if not isinstance(mutation, RowsMutation):
        raise UnsupportedQuery(
            f"{key} cannot join the changeset: it is a call, and a changeset holds only writes of rows.",
            hint="Put the call into an operation of its own, after this one.",
        )
    return mutation
