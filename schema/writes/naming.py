"""Names of the types and fields that writing adds, derived from the names for reading, so that none need be kept.

``CustomerV3`` and its by-key field ``customerV3`` give ``createCustomerV3(input: CustomerV3CreateInput!)``, the list
``customersV3`` gives ``createCustomersV3``. A derived name that the schema has already gets a ``2`` at its end.
"""

from __future__ import annotations

from collections.abc import Container, Iterator, Mapping

from schema.fields import TypeKind, Verb

SUFFIXES: Mapping[TypeKind, str] = {
    TypeKind.CREATE_INPUT: "CreateInput",
    TypeKind.PATCH: "Patch",
    TypeKind.KEY: "Key",
    TypeKind.UPDATE_INPUT: "UpdateInput",
    TypeKind.DELETE_INPUT: "DeleteInput",
    TypeKind.NESTED_INPUT: "NestedInput",
    TypeKind.NESTED_CREATE: "NestedCreate",
    TypeKind.VALUE_INPUT: "ValueInput",
    TypeKind.PAYLOAD: "Payload",
    TypeKind.PAYLOADS: "Payloads",
}
"""Kind of a type that writing needs → what stands behind the name of the rows' type."""

FIXED = ("UserError", "FieldConflict")
ROW_VERBS = (Verb.CREATE, Verb.UPDATE, Verb.UPSERT, Verb.DELETE)


def companion(base: str, kind: TypeKind, known: Container[str]) -> str:
    """Name the companion of a type; ``known`` are the names that reading has taken."""
    name = base + SUFFIXES[kind]
    while name in known or name in FIXED:
        name += "2"
    return name


def companions(name: str) -> Iterator[tuple[str, TypeKind]]:
    """Give every (base, kind) that a companion's name may stand for."""
    bare = name.rstrip("2")
    for kind, suffix in SUFFIXES.items():
        if bare.endswith(suffix) and len(bare) > len(suffix):
            yield bare[: -len(suffix)], kind


def mutation_name(verb: Verb, field: str) -> str:
    """``customerV3`` → ``createCustomerV3``."""
    return verb.value + field[:1].upper() + field[1:]


def mutated(name: str) -> Iterator[tuple[Verb, str]]:
    """Give every (verb, field of ``Query``) that a mutation's name may stand for."""
    for verb in ROW_VERBS:
        rest = name.removeprefix(verb.value)
        if rest and rest != name:
            yield verb, rest[:1].lower() + rest[1:]
            yield verb, rest
