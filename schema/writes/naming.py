"""Derives the names of mutations and their types from the names for reading, so that none need be stored.

``CustomerV3`` and its by-key field ``customerV3`` give ``createCustomerV3(input: CustomerV3CreateInput!)``, the list
``customersV3`` gives ``createCustomersV3``. A derived name that the schema already has gets the suffix ``2``.
"""

from __future__ import annotations

import re
from collections.abc import Container, Iterable, Iterator, Mapping

from schema.catalog import Catalog
from schema.catalog.names import add_prefix
from schema.catalog.records import TypeKind, Verb

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
"""Kind of a type for mutations → suffix of the row type's name; no suffix is the end of another."""
_KINDS = {suffix: kind for kind, suffix in SUFFIXES.items()}
_COMPANION = re.compile(f"(.+)({'|'.join(_KINDS)})2*")

ROW_VERBS = (Verb.CREATE, Verb.UPDATE, Verb.UPSERT, Verb.DELETE)


def companion_name(catalog: Catalog, kind: TypeKind, csdl: str) -> str:
    """Return the name of a structured type's companion: ``CustomerV3`` → ``CustomerV3Patch``."""
    return next(name for _, name in companion_names(catalog, (kind,), csdl))


def companion_names(
    catalog: Catalog, kinds: Iterable[TypeKind], csdl: str
) -> Iterator[tuple[TypeKind, str]]:
    """Yield the names of several companions of a type, each with its kind."""
    base, names = "", catalog.known_names()
    for kind in kinds:
        base = base or catalog.reference_name(csdl)  # types without companions may have none
        name = base + SUFFIXES[kind]
        while name in names:
            name += "2"
        yield kind, name


def parse_companion_name(name: str) -> tuple[str, TypeKind] | None:
    """Return the (base, kind) that a companion's name may stand for; None if it has no such suffix."""
    match = _COMPANION.fullmatch(name)
    return None if match is None else (match[1], _KINDS[match[2]])


def mutation_name(verb: Verb, field: str, roots: Container[str], prefix: str = "") -> str:
    """Return ``createCustomerV3`` for ``customerV3``; a name that differs in its first letter only gets a ``2``.

    With the prefix ``erp``: ``erpCustomerV3`` → ``erpCreateCustomerV3``.
    """
    if prefix:
        return add_prefix(prefix, verb.value) + field.removeprefix(prefix)
    name = _capital(field)
    if field[0].isupper():
        while _is_another(name, field, roots):
            name += "2"
    return verb + name


def mutation_names(
    verbs: Container[Verb], field: str, roots: Container[str], prefix: str = ""
) -> Iterator[tuple[Verb, str]]:
    """Yield the mutations of a field of ``Query``, each with its name."""
    is_usual = not prefix and not field[0].isupper()
    name = _capital(field)
    for verb in ROW_VERBS:
        if verb in verbs:
            yield verb, verb + name if is_usual else mutation_name(verb, field, roots, prefix)


def _is_another(name: str, field: str, roots: Container[str]) -> bool:
    """Return whether another field's mutation has the name."""
    return _small(name) in roots or (name != field and name in roots)


def mutation_candidates(name: str, prefix: str = "") -> Iterator[tuple[Verb, str]]:
    """Yield every (verb, field of ``Query``) that a mutation's name may be derived from."""
    for verb in ROW_VERBS:
        if prefix:
            start = add_prefix(prefix, verb.value)
            if name.startswith(start):
                yield verb, prefix + name.removeprefix(start)
            continue
        rest = name.removeprefix(verb.value)
        if rest and rest != name:
            yield verb, _small(rest)
            yield verb, rest
            while rest.endswith("2"):
                rest = rest[:-1]
                if rest:
                    yield verb, rest


def _capital(name: str) -> str:
    return name[:1].upper() + name[1:]


def _small(name: str) -> str:
    return name[:1].lower() + name[1:]
