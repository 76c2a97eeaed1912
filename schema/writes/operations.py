"""Determines which actions are mutations, and their names.

An action that is bound to one entity is named after the by-key field, one bound to a collection after the list,
an unbound one as it is imported. Parameters may be plain, enum or complex values; an action that takes entities is
not offered.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from functools import cached_property

from schema.catalog import Catalog
from schema.catalog.names import Names, add_prefix, field_name, type_name
from schema.catalog.records import MutationField, RootKind, Verb
from schema.model.records import EntitySet, Operation, OperationImport, OperationKind, short

from .allowed import AllowedWrites
from .rules import WriteRules


class Actions(Mapping[str, MutationField]):
    """The actions and custom services of a catalogue by the names of their mutations, in document order."""

    def __init__(
        self,
        catalog: Catalog,
        rules: WriteRules,
        offers: AllowedWrites,
        is_taken: Callable[[str], bool],
    ) -> None:
        self._catalog = catalog
        self._rules = rules
        self._offers = offers
        self._is_taken = is_taken

    def __getitem__(self, name: str) -> MutationField:
        return self._fields[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._fields)

    def __len__(self) -> int:
        return len(self._fields)

    @cached_property
    def findings(self) -> tuple[str, ...]:
        """Findings about the names, one sentence each."""
        return tuple(self._names.findings)

    @cached_property
    def _names(self) -> Names:
        return Names(place=" in Mutation", prefix=self._catalog.prefix)

    @cached_property
    def _fields(self) -> Mapping[str, MutationField]:
        fields = (*self._bound(), *self._unbound(), *self._services())
        return {field.name: field for field in fields}

    def _take(self, wanted: str, owner: str) -> str:
        while self._is_taken(add_prefix(self._catalog.prefix, wanted)):
            wanted += "Action"
        return self._names.take(wanted, owner)

    def _services(self) -> Iterator[MutationField]:
        for service in self._rules.services:
            name = self._take(service.name, f"service {service.path}")
            yield MutationField(name=name, verb=Verb.SERVICE, service=service)

    def _bound(self) -> Iterator[MutationField]:
        offered = [(o, o.bound_to) for o in self._offered if o.bound_to is not None]
        prefix = self._catalog.prefix
        roots = {
            (kind, s): name.removeprefix(prefix)
            for kind, s, name in self._catalog.set_roots()
            if offered
        }
        for operation, bound in offered:
            sets = self._catalog.model.sets_of_type.get(bound.name, ())
            wanted = RootKind.LIST if bound.many else RootKind.BY_KEY
            root = roots.get((wanted, sets[0])) if sets else None
            if root is not None:
                owner = f"Mutation.{short(bound.name)}.{short(operation.name)}"
                name = self._take(root + type_name(short(operation.name)), owner)
                of_set = self._catalog.model.entity_sets[sets[0]]
                yield self._field(name, operation, entity_set=of_set)

    def _unbound(self) -> Iterator[MutationField]:
        unbound = {o.name: o for o in reversed(self._offered) if o.bound_to is None}
        for imported in self._catalog.model.imports.values():
            operation = unbound.get(imported.operation)
            if imported.kind is OperationKind.ACTION and operation is not None:
                name = self._take(field_name(imported.name), f"Mutation.{imported.name}")
                yield self._field(name, operation, imported=imported)

    def _field(
        self,
        name: str,
        operation: Operation,
        *,
        entity_set: EntitySet | None = None,
        imported: OperationImport | None = None,
    ) -> MutationField:
        returns = operation.returns
        is_row = returns is not None and self._catalog.is_served(returns.name)
        return MutationField(
            name=name,
            verb=Verb.ACTION,
            entity_set=entity_set,
            csdl=returns.name if returns is not None and is_row else "",
            operation=operation,
            operation_import=imported,
        )

    @cached_property
    def _offered(self) -> tuple[Operation, ...]:
        return tuple(o for o in self._catalog.model.operations if self._is_offered(o))

    def _is_offered(self, operation: Operation) -> bool:
        if operation.kind is not OperationKind.ACTION:
            return False
        if not self._rules.allow(Verb.ACTION, short(operation.name)):
            return False
        returns = operation.returns
        return all(self._has_type(p.type.name, is_input=True) for p in operation.parameters) and (
            returns is None or self._has_type(returns.name, is_input=False)
        )

    def _has_type(self, csdl: str, *, is_input: bool) -> bool:
        """Return whether values of a type can be returned, or passed."""
        model = self._catalog.model
        if csdl in model.entity_types:
            return not is_input and self._catalog.is_served(csdl)
        if csdl in model.complex_types:
            is_served = self._catalog.is_served(csdl)
            return is_served and (not is_input or self._offers.has_values(csdl))
        return csdl != "Edm.Stream"


class GrantedActions(Mapping[str, MutationField]):
    """The actions and custom services of the whole that exist in a view of roles."""

    def __init__(self, catalog: Catalog, whole: Mapping[str, MutationField]) -> None:
        self._catalog = catalog
        self._whole = whole

    @cached_property
    def _shown(self) -> Mapping[str, MutationField]:
        if not self._catalog.calls_any:
            return {}
        return {n: f for n, f in self._whole.items() if self._catalog.shows_call(f)}

    def __getitem__(self, name: str) -> MutationField:
        return self._shown[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._shown)

    def __len__(self) -> int:
        return len(self._shown)
