"""What a change of metadata means for clients: the changes of the schema, and which registered operations it breaks.

The comparison runs in a thread beside requests and takes a second of its own for a second of theirs: it rests after
every few types, because a thread that computes makes the event loop wait.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import NamedTuple, TypeAlias

from graphql import GraphQLError, parse, validate
from msgspec import Struct

from gateway.config.settings import Settings
from gateway.metadata.api_schema import build_api_schema
from gateway.metadata.model_builder import dialect_of, find_model, make_catalog
from gateway.runtime.assembly import Gateway
from schema.compare import Comparison, Level, ServedSource, compare
from schema.compare.shapes import Shape
from schema.types.build import ODataSchema
from schema.types.resolvers import NEVER_EXECUTED

MAX_CHANGES = 1_000
"""Changes that are stored of one document, the worst first; all of them are counted."""
MAX_ERRORS = 5
"""Errors that are stored of one operation."""
_EVERY = 4
_REST = 0.001
"""Seconds of rest after so many types, which take less than that."""


class RegisteredOperation(NamedTuple):
    """An operation that clients use, by which drift is judged."""

    id: str
    document: str


OperationsOf: TypeAlias = Callable[[Settings], Iterable[RegisteredOperation]]
"""Returns the operations that are registered for an environment with these settings."""


def registered_operations(_settings: Settings) -> Iterable[RegisteredOperation]:
    """Return the registered operations of an environment: none without trusted documents."""
    return ()


class StoredChange(Struct, frozen=True):
    """A change of the schema."""

    level: str
    kind: str
    place: str
    description: str


class BrokenOperation(Struct, frozen=True):
    """A registered operation that was valid, and no longer is."""

    id: str
    errors: tuple[str, ...]


class SchemaDrift(Struct, frozen=True, kw_only=True):
    """What a change of metadata means for clients."""

    breaking: int
    dangerous: int
    safe: int
    changes: tuple[StoredChange, ...]
    """The worst first; as many as are stored."""
    operations: tuple[BrokenOperation, ...] = ()


def schema_to_compare(gateway: Gateway) -> ODataSchema:
    """Return a copy of a gateway's schema that outlives the gateway, without what a subgraph has besides."""
    schema = gateway.schema
    return schema.copy_for(schema.catalog.fresh_copy(), federated=False)


def schema_of_snapshot(settings: Settings, digest: str) -> ODataSchema | None:
    """Return the schema of an earlier document under the same settings; None if there is no snapshot of it."""
    loaded = find_model(settings, digest)
    if loaded is None:
        return None
    dialect = dialect_of(settings, loaded.model)
    catalog = make_catalog(settings, loaded.model, dialect, {}, loaded.naming)
    return build_api_schema(settings, catalog, NEVER_EXECUTED, subgraph=False)


def compare_schemas(
    old: ODataSchema, new: ODataSchema, operations: Iterable[RegisteredOperation] = ()
) -> SchemaDrift:
    """Return the changes from one schema to another. Blocks for up to a minute; for a thread beside requests."""
    comparison = compare(_Resting(old), _Resting(new))
    broken = tuple(_broken(old, new, operations))
    return _drift(comparison, broken)


class _Resting(ServedSource):
    """A schema whose description leaves room for requests."""

    def __init__(self, schema: ODataSchema) -> None:
        super().__init__(schema)
        self._described = 0

    def shape(self, name: str) -> Shape:
        """Return a type, sometimes after a rest."""
        self._described += 1
        if self._described % _EVERY == 0:
            time.sleep(_REST)
        return super().shape(name)


def _drift(comparison: Comparison, broken: Sequence[BrokenOperation]) -> SchemaDrift:
    counts: Mapping[Level, int] = comparison.counts
    return SchemaDrift(
        breaking=counts[Level.BREAKING],
        dangerous=counts[Level.DANGEROUS],
        safe=counts[Level.SAFE],
        changes=tuple(
            StoredChange(change.level.value, change.kind, change.place, change.description)
            for change in comparison.changes[:MAX_CHANGES]
        ),
        operations=tuple(broken),
    )


def _broken(
    old: ODataSchema, new: ODataSchema, operations: Iterable[RegisteredOperation]
) -> Iterable[BrokenOperation]:
    for operation in operations:
        errors = _errors(new, operation.document)
        # One that was wrong before is no matter of the change.
        if errors and not _errors(old, operation.document):
            yield BrokenOperation(operation.id, tuple(errors[:MAX_ERRORS]))


def _errors(schema: ODataSchema, document: str) -> list[str]:
    try:
        return [error.message for error in validate(schema.core, parse(document))]
    except GraphQLError as error:
        return [error.message]
