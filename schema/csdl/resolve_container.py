"""The container's part of ``csdl_resolve``: sets, singletons, imports, and the operations they lead to."""

from __future__ import annotations

from collections.abc import Mapping

from msgspec.structs import replace

from schema.model.records import (
    EntitySet,
    Operation,
    OperationImport,
    Parameter,
    Singleton,
    TypeRef,
)

from .annotations import ENTITY_SET_TERMS, TEXT_FACTS, TEXT_TERMS
from .draft import Draft
from .names import Names

Container = tuple[dict[str, EntitySet], dict[str, Singleton], dict[str, OperationImport]]


def resolve_container(draft: Draft, names: Names, operations: tuple[Operation, ...]) -> Container:
    sets = {s.name: s for s in draft.entity_sets.values() if _is_typed(s, draft, names)}
    singletons = [s for s in draft.singletons.values() if _is_typed(s, draft, names)]
    return (
        {name: _entity_set(s, sets, draft, names) for name, s in sets.items()},
        {s.name: _singleton(s, sets, draft, names) for s in singletons},
        dict(_imports(draft, names, operations, sets)),
    )


def _is_typed(child: EntitySet | Singleton, draft: Draft, names: Names) -> bool:
    type_ = names.full(child.type)
    if type_ in names.entity_types:
        return True
    draft.findings.append(
        f"{child.name} is left out: its type {type_} is not defined in the document."
    )
    return False


def _entity_set(
    entity_set: EntitySet, sets: Mapping[str, EntitySet], draft: Draft, names: Names
) -> EntitySet:
    facts = names.facts(draft.container, entity_set.name, ENTITY_SET_TERMS)
    text = {fact: facts.pop(fact) for fact in TEXT_FACTS if fact in facts}
    return replace(
        entity_set,
        type=names.full(entity_set.type),
        bindings=_bindings(entity_set, sets, draft, names),
        can=replace(entity_set.can, **facts),
        **text,
    )


def _singleton(
    singleton: Singleton, sets: Mapping[str, EntitySet], draft: Draft, names: Names
) -> Singleton:
    return replace(
        singleton,
        type=names.full(singleton.type),
        bindings=_bindings(singleton, sets, draft, names),
        **names.facts(draft.container, singleton.name, TEXT_TERMS),
    )


def _bindings(
    child: EntitySet | Singleton, sets: Mapping[str, EntitySet], draft: Draft, names: Names
) -> dict[str, str]:
    bindings: dict[str, str] = {}
    for path, target in child.bindings.items():
        name = names.in_container(target)
        if name in sets:
            bindings[names.path(path)] = sets[name].name
        else:
            draft.findings.append(
                f"The binding of {child.name}/{path} is left out: there is no entity set {target}."
            )
    return bindings


def _imports(
    draft: Draft, names: Names, operations: tuple[Operation, ...], sets: Mapping[str, EntitySet]
) -> list[tuple[str, OperationImport]]:
    unbound = {(o.kind, o.name) for o in operations if o.bound_to is None}
    imports = []
    for name, import_ in draft.imports.items():
        operation = names.full(import_.operation)
        if (import_.kind, operation) not in unbound:
            draft.findings.append(
                f"{name} is left out: there is no unbound {import_.kind.value} {operation}."
            )
            continue
        # Without its set an import can still be called; only its rows have no address.
        target = None if import_.entity_set is None else names.in_container(import_.entity_set)
        entity_set = target if target in sets else None
        imports.append((name, replace(import_, operation=operation, entity_set=entity_set)))
    return imports


def resolve_operations(draft: Draft, names: Names) -> tuple[Operation, ...]:
    operations = (_operation(operation, draft, names) for operation in draft.operations)
    return tuple(operation for operation in operations if operation is not None)


def _operation(operation: Operation, draft: Draft, names: Names) -> Operation | None:
    """Return the operation with its names in full; None, and a finding, where one of them is not defined."""
    refs = [ref for ref in (operation.bound_to, operation.returns) if ref is not None]
    refs += [parameter.type for parameter in operation.parameters]
    full = {ref: names.any_type(ref) for ref in refs}
    known = {ref: type_ for ref, type_ in full.items() if type_ is not None}
    if len(known) < len(full):
        missing = ", ".join(names.full(ref.name) for ref in full if ref not in known)
        draft.findings.append(
            f"{operation.kind.value.capitalize()} {operation.name} is left out: "
            f"{missing} is not defined in the document."
        )
        return None
    return replace(
        operation,
        bound_to=_optional(operation.bound_to, known),
        parameters=tuple(
            Parameter(name=p.name, type=known[p.type], nullable=p.nullable)
            for p in operation.parameters
        ),
        returns=_optional(operation.returns, known),
        **names.facts(operation.name, "", TEXT_TERMS),
    )


def _optional(ref: TypeRef | None, known: Mapping[TypeRef, TypeRef]) -> TypeRef | None:
    return None if ref is None else known[ref]
