"""Draft → Model: aliases replaced, outside annotations applied, dangling references left out.

Service documents are cut by hand, generated with bugs, or refer to documents that are not here. A
reference that leads nowhere takes only itself away (the property, navigation, binding, set or
operation), and ``Model.findings`` says so in a sentence; the rest is served. A record in which nothing changes is
handed on as it is.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from functools import cache
from operator import attrgetter
from typing import Any, TypeAlias, TypeVar

from msgspec.structs import replace

from schema.model.records import (
    ComplexType,
    EntityType,
    EnumMember,
    EnumType,
    Model,
    Navigation,
    Property,
)

from .annotations import ENTITY_TYPE_TERMS, PROPERTY_TERMS, TEXT_TERMS
from .draft import Draft
from .names import Names
from .resolve_container import resolve_container, resolve_operations

Structured = TypeVar("Structured", EntityType, ComplexType)
Own: TypeAlias = Callable[[str], frozenset[str]]
"""Name of a type → names of its properties."""
_TYPE = attrgetter("type")


def resolve(draft: Draft) -> Model:
    names = Names(draft)
    findings = draft.findings
    operations = resolve_operations(draft, names)
    entity_sets, singletons, imports = resolve_container(draft, names, operations)
    # Keys and joins may name inherited properties, so all types have to be resolved before the first is checked.
    types = Model(
        entity_types=_structured(draft.entity_types, names, findings),
        complex_types=_structured(draft.complex_types, names, findings),
    )

    @cache
    def own(name: str) -> frozenset[str]:
        """Name the properties of a type, inherited ones too."""
        return frozenset(p.name for p in types.properties_of(name))

    return Model(
        namespace=draft.namespace,
        entity_sets=entity_sets,
        singletons=singletons,
        entity_types={
            name: _checked_key(_checked_joins(entity_type, own, findings), own, findings)
            for name, entity_type in types.entity_types.items()
        },
        complex_types={
            name: _checked_joins(complex_type, own, findings)
            for name, complex_type in types.complex_types.items()
        },
        enum_types={name: _enum(enum, names) for name, enum in draft.enum_types.items()},
        type_definitions=draft.type_definitions,
        operations=operations,
        imports=imports,
        findings=tuple(findings),
    )


def _structured(
    drafts: Mapping[str, Structured], names: Names, findings: list[str]
) -> dict[str, Structured]:
    structured: dict[str, Structured] = {}
    for name, draft in drafts.items():
        base = None if draft.base is None else names.full(draft.base)
        if base is not None and base not in drafts:
            findings.append(f"{name} has no base type: {base} is not defined in the document.")
            base = None
        terms = ENTITY_TYPE_TERMS if isinstance(draft, EntityType) else TEXT_TERMS
        changes: dict[str, Any] = {
            "base": base,
            "properties": tuple(_properties(draft, names, findings)),
            "navigations": tuple(_navigations(draft, names, findings)),
            **names.facts(name, "", terms),
        }
        structured[name] = _changed(draft, changes)
    # Anything that follows the bases of a type would go round a ring for ever.
    _cut_cycles(structured, findings)
    return structured


def _changed(record: Structured, changes: dict[str, Any]) -> Structured:
    """Return the record with the changes; the same object where there are none."""
    if all(getattr(record, name) == value for name, value in changes.items()):
        return record
    return replace(record, **changes)


def _properties(
    owner: EntityType | ComplexType, names: Names, findings: list[str]
) -> Iterator[Property]:
    annotated = names.is_annotated(owner.name)
    # One set operation for a type in place of a look at each property: no type of an F&O document needs more.
    if not annotated and names.as_defined.issuperset(map(_TYPE, owner.properties)):
        yield from owner.properties
        return
    for property_ in owner.properties:
        type_ = names.value_type(property_.type)
        if type_ is None:
            findings.append(
                f"Property {owner.name}/{property_.name} is left out: its type "
                f"{names.full(property_.type.name)} is not defined in the document."
            )
            continue
        facts = names.facts(owner.name, property_.name, PROPERTY_TERMS) if annotated else {}
        if type_ is property_.type and not facts:
            yield property_
        else:
            yield replace(property_, type=type_, **facts)


def _navigations(
    owner: EntityType | ComplexType, names: Names, findings: list[str]
) -> Iterator[Navigation]:
    for navigation in owner.navigations:
        target = names.full(navigation.target)
        if target not in names.entity_types:
            findings.append(
                f"Navigation {owner.name}/{navigation.name} is left out: its type "
                f"{target} is not defined in the document."
            )
            continue
        partner = None if navigation.partner is None else names.path(navigation.partner)
        facts = names.facts(owner.name, navigation.name, TEXT_TERMS)
        if target is navigation.target and not facts and partner == navigation.partner:
            yield navigation
        else:
            yield replace(navigation, target=target, partner=partner, **facts)


def _cut_cycles(types: dict[str, Structured], findings: list[str]) -> None:
    """Take the base from one type of each ring of bases. Each type is walked over once."""
    done: set[str] = set()
    for start in types:
        walk: list[str] = []
        on_walk: set[str] = set()
        at: str | None = start
        while at is not None and at not in done and at not in on_walk:
            walk.append(at)
            on_walk.add(at)
            at = types[at].base
        if at in on_walk:
            last = types[walk[-1]]
            findings.append(f"{last.name} has no base type: its bases lead back to itself.")
            types[last.name] = replace(last, base=None)
        done.update(walk)


def _checked_key(entity_type: EntityType, own: Own, findings: list[str]) -> EntityType:
    """Take a key that names no property: half a key would serve wrong data."""
    if not entity_type.key:
        return entity_type
    missing = [name for name in entity_type.key if name not in own(entity_type.name)]
    if not missing:
        return entity_type
    findings.append(
        f"{entity_type.name} is served without a key: it has no property {', '.join(missing)}."
    )
    return replace(entity_type, key=())


def _checked_joins(owner: Structured, own: Own, findings: list[str]) -> Structured:
    """Take the constraints that name no property: half a join would serve wrong data, too."""
    if not any(navigation.on for navigation in owner.navigations):
        return owner
    navigations = tuple(
        _checked_join(owner.name, navigation, own, findings) for navigation in owner.navigations
    )
    return _changed(owner, {"navigations": navigations})


def _checked_join(owner: str, navigation: Navigation, own: Own, findings: list[str]) -> Navigation:
    if not navigation.on:
        return navigation
    here, there = own(owner), own(navigation.target)
    for pair in navigation.on:
        if pair.property not in here or pair.referenced not in there:
            findings.append(
                f"The constraints of navigation {owner}/{navigation.name} are left out: "
                f"{pair.property} = {pair.referenced} names a property that is not there."
            )
            return replace(navigation, on=())
    return navigation


def _enum(enum: EnumType, names: Names) -> EnumType:
    if not names.is_annotated(enum.name):
        return enum
    members: tuple[EnumMember, ...] = tuple(
        replace(member, **names.facts(enum.name, member.name, TEXT_TERMS))
        for member in enum.members
    )
    return replace(enum, members=members, **names.facts(enum.name, "", TEXT_TERMS))
