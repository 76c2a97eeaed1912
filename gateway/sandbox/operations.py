"""Runs actions and functions, which are found by name, binding and parameters (section 5.1).

The few operations of the built-in catalogue do what they do in F&O. Those of other metadata return a value of the right
type: rows of the set, the bound row itself, or an invented value.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any
from urllib.parse import unquote_plus

from schema.model.records import Operation, OperationKind, Property, TypeRef, short

from .catalogue import NAMESPACE
from .exchange import Incoming
from .generate import invented_json
from .payload import BodyRules, json_object, read_value
from .reading import Source
from .refusal import Refusal, not_found
from .store import ID, Store
from .urls import parse_arguments
from .values import Field, Stored, field_of, plain
from .world import World

_VERSIONS = {
    "GetApplicationVersion": "10.0.47.12",
    "GetPlatformBuildVersion": "7.0.7858.44",
    "GetApplicationBuildVersion": "10.0.2428.63",
}


@dataclass(frozen=True, slots=True)
class Binding:
    """What an operation is bound to."""

    source: Source
    many: bool


@dataclass(frozen=True, slots=True)
class RecordedCall:
    """A call of an action or a function, for tests to look at in ``app.state.calls``."""

    operation: str
    """Qualified name."""
    row: Mapping[str, Any] | None
    """The row it was bound to, by property."""
    parameters: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class OperationResult:
    """What an operation returns: rows of a source, or a JSON value."""

    type: TypeRef | None
    """None: nothing at all."""
    source: Source | None = None
    value: Any = None


class Operations:
    """Finds and performs the operations of a world."""

    def __init__(self, world: World, store: Store, reading: BodyRules) -> None:
        self.calls: list[RecordedCall] = []
        self._world = world
        self._store = store
        self._body_rules = reading

    def is_unbound(self, segment: str) -> bool:
        """Return whether the first segment of a path names an operation."""
        return segment.partition("(")[0] in self._unbound

    @cached_property
    def _unbound(self) -> frozenset[str]:
        model = self._world.model
        qualified = (o.name for o in model.operations if o.bound_to is None)
        return frozenset([*model.imports, *qualified])

    def perform(
        self,
        incoming: Incoming,
        segment: str,
        binding: Binding | None,
        row: Mapping[str, Any] | None,
    ) -> OperationResult:
        """Return the result of the operation that a segment names. Raises Refusal 404 or 400 if there is none."""
        name, _, text = segment.partition("(")
        kind = OperationKind.FUNCTION if incoming.method == "GET" else OperationKind.ACTION
        overloads = [o for o in self._named(name) if o.kind is kind and self._binds(o, binding)]
        if not overloads or incoming.method not in ("GET", "POST"):
            raise not_found(f"There is no operation '{name}' for {incoming.method} here.")
        if kind is OperationKind.FUNCTION:
            operation, given = self._function(overloads, text.removesuffix(")"), incoming)
        else:
            operation, given = overloads[0], self._body(overloads[0], json_object(incoming))
        fields = self._fields(operation)
        shown = {n: plain(fields[n], value) for n, value in given.items()}
        self.calls.append(RecordedCall(operation.name, self._shown(binding, row), shown))
        special = _SPECIAL.get(operation.name) if self._world.catalogue.facts else None
        if special is not None:
            return special(self._store, operation, row)
        return self._invented_result(operation, binding)

    def _shown(
        self, binding: Binding | None, row: Mapping[str, Any] | None
    ) -> Mapping[str, Any] | None:
        if row is None or binding is None:
            return None
        own = self._world.fields_of(binding.source.type_name)
        return {name: plain(field, row[name]) for name, field in own.items()}

    def _named(self, name: str) -> list[Operation]:
        model = self._world.model
        imported = model.imports.get(name)
        wanted = name if imported is None else imported.operation
        return [o for o in model.operations if o.name == wanted]

    def _binds(self, operation: Operation, binding: Binding | None) -> bool:
        bound = operation.bound_to
        if bound is None or binding is None:
            return bound is None and binding is None
        lineage = [t.name for t in self._world.model.lineage(binding.source.type_name)]
        return bound.name in lineage and bound.many == binding.many

    def _fields(self, operation: Operation) -> dict[str, Field]:
        return {
            p.name: field_of(
                self._world.model,
                Property(name=p.name, type=p.type, nullable=p.nullable),
                has_nulls=True,
            )
            for p in operation.parameters
        }

    def _body(self, operation: Operation, body: Mapping[str, Any]) -> dict[str, Stored]:
        """Return the parameters in the body of an action. Raises Refusal if a required one is missing."""
        fields = self._fields(operation)
        unknown = [name for name in body if name not in fields and not name.startswith("@")]
        if unknown:
            raise Refusal(
                400,
                f"The parameter '{unknown[0]}' in the request payload is not a valid parameter for"
                f" the operation '{short(operation.name)}'.",
            )
        missing = [n for n, f in fields.items() if n not in body and not f.declared.nullable]
        if missing:
            raise Refusal(400, f"The parameter '{missing[0]}' is missing in the request payload.")
        return {n: read_value(f, body[n], self._body_rules) for n, f in fields.items() if n in body}

    def _function(
        self, overloads: list[Operation], text: str, incoming: Incoming
    ) -> tuple[Operation, dict[str, Stored]]:
        """Return the overload that has these parameters, and their values."""
        aliases = _aliases(incoming.query)
        for overload in overloads:
            fields = self._fields(overload)
            try:
                given = parse_arguments(text, fields, aliases)
            except Refusal:
                if len(overloads) == 1:
                    raise
                continue
            if set(given) == {
                n for n, f in fields.items() if n in given or not f.declared.nullable
            }:
                return overload, given
        raise not_found("No overload of the function has these parameters.")

    def _invented_result(self, operation: Operation, binding: Binding | None) -> OperationResult:
        returns = operation.returns
        if returns is None:
            return OperationResult(None)
        if returns.name not in self._world.model.entity_types:
            salt = zlib.crc32(operation.name.encode())
            return OperationResult(returns, value=invented_json(self._world.model, returns, salt))
        if binding is None or binding.source.type_name != returns.name:
            return OperationResult(returns, source=self._any_source(returns.name))
        widened = returns.many and not binding.many
        source = self._any_source(returns.name) if widened else binding.source
        return OperationResult(returns, source=source)

    def _any_source(self, type_name: str) -> Source:
        entity_set = self._world.any_set(type_name)
        storage = f"~{type_name}" if entity_set is None else self._world.storage_of_set(entity_set)
        return Source(self._store.storage(storage), type_name, entity_set)


def _aliases(query: str) -> dict[str, str]:
    pairs = (part.partition("=") for part in query.split("&"))
    named = ((unquote_plus(name), unquote_plus(value)) for name, _, value in pairs)
    return {name: value for name, value in named if name.startswith("@")}


def _version(_: Store, operation: Operation, __: Mapping[str, Any] | None) -> OperationResult:
    return OperationResult(operation.returns, value=_VERSIONS[short(operation.name)])


def _submit(store: Store, _: Operation, row: Mapping[str, Any] | None) -> OperationResult:
    """Submit a leave request to workflow [D: S9]. Raises Refusal, as failing actions do, if it is no draft."""
    assert row is not None
    storage = store.storage("MyLeaveRequests")
    status = storage.fields["Status"]
    if status.to_json(row["Status"]) != "Draft":
        raise Refusal(
            500,
            "Exception occurred while executing action submit on Entity MyLeaveRequest: The request"
            f" {row['RequestId']} was submitted before.",
            kind="System.InvalidOperationException",
        )
    store.change(storage, row[ID], {"Status": status.to_stored("InReview")})
    return OperationResult(None)


_SPECIAL: dict[str, Callable[[Store, Operation, Mapping[str, Any] | None], OperationResult]] = {
    **{f"{NAMESPACE}.{name}": _version for name in _VERSIONS},
    f"{NAMESPACE}.submit": _submit,
}
