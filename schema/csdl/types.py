"""Children of ``<Schema>`` → drafts of types and operations.

CSDL XML 4.01, sections 6 to 12:
https://docs.oasis-open.org/odata/odata-csdl-xml/v4.01/odata-csdl-xml-v4.01.html#sec_EntityType
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from sys import intern
from typing import Final

from schema.model.records import (
    ComplexType,
    EntityType,
    EnumMember,
    EnumType,
    Navigation,
    Operation,
    OperationKind,
    Parameter,
    Property,
    ReferentialConstraint,
    TypeDefinition,
    TypeRef,
)

from .annotations import ENTITY_TYPE_TERMS, PROPERTY_TERMS, TEXT_TERMS, Facts
from .draft import Draft
from .xml import BadElement, Element

_UNBOUNDED: Final = frozenset({"max"})
_PLAIN: Final = frozenset({"Name", "Type", "Nullable"})
"""Attributes of a property of Finance & Operations: no others are looked for where there are none."""
_VARIABLE: Final = frozenset({"variable", "floating"})


def read_entity_type(element: Element, namespace: str, draft: Draft) -> None:
    name = intern(f"{namespace}.{element.need('Name')}")
    entity_type = EntityType(
        name=name,
        key=_key(element, name, draft),
        properties=tuple(_properties(element, name, draft)),
        navigations=tuple(_navigations(element, name, draft)),
        base=element.attributes.get("BaseType"),
        abstract=element.flag("Abstract"),
        open=element.flag("OpenType"),
        has_stream=element.flag("HasStream"),
        **draft.facts(element, ENTITY_TYPE_TERMS, name),
    )
    draft.add(draft.entity_types, name, entity_type)


def read_complex_type(element: Element, namespace: str, draft: Draft) -> None:
    name = intern(f"{namespace}.{element.need('Name')}")
    complex_type = ComplexType(
        name=name,
        properties=tuple(_properties(element, name, draft)),
        navigations=tuple(_navigations(element, name, draft)),
        base=element.attributes.get("BaseType"),
        abstract=element.flag("Abstract"),
        open=element.flag("OpenType"),
        **draft.facts(element, TEXT_TERMS, name),
    )
    draft.add(draft.complex_types, name, complex_type)


def read_enum_type(element: Element, namespace: str, draft: Draft) -> None:
    name = intern(f"{namespace}.{element.need('Name')}")
    enum_type = EnumType(
        name=name,
        members=tuple(_members(element, name, draft)),
        flags=element.flag("IsFlags"),
        **draft.facts(element, TEXT_TERMS, name),
    )
    draft.add(draft.enum_types, name, enum_type)


def read_type_definition(element: Element, namespace: str, draft: Draft) -> None:
    name = f"{namespace}.{element.need('Name')}"
    definition = TypeDefinition(name=name, underlying=element.need("UnderlyingType"))
    draft.add(draft.type_definitions, name, definition)


def read_action(element: Element, namespace: str, draft: Draft) -> None:
    _read_operation(element, namespace, OperationKind.ACTION, draft)


def read_function(element: Element, namespace: str, draft: Draft) -> None:
    _read_operation(element, namespace, OperationKind.FUNCTION, draft)


def read_annotations(element: Element, _namespace: str, draft: Draft) -> None:
    """Keep ``<Annotations Target=…>`` for the end: the target may stand further down, or its alias."""
    # A qualified annotation holds under a condition that is agreed upon elsewhere.
    if "Qualifier" not in element.attributes:
        draft.notes.setdefault(element.need("Target"), []).extend(element.notes)


READERS: Final[dict[str, Callable[[Element, str, Draft], None]]] = {
    "EntityType": read_entity_type,
    "ComplexType": read_complex_type,
    "EnumType": read_enum_type,
    "TypeDefinition": read_type_definition,
    "Action": read_action,
    "Function": read_function,
    "Annotations": read_annotations,
}


def _children(element: Element, tag: str) -> list[Element]:
    return [child for child in element.children if child.tag == tag]


def _key(element: Element, owner: str, draft: Draft) -> tuple[str, ...]:
    """Return the key; with a part inside a complex property the type counts as keyless."""
    parts = [ref for key in _children(element, "Key") for ref in _children(key, "PropertyRef")]
    names = tuple(intern(ref.need("Name")) for ref in parts)
    for ref, name in zip(parts, names, strict=True):
        # Rows are looked up by their own columns, and such a part is none of them.
        if "/" in name or "Alias" in ref.attributes:
            draft.findings.append(
                f"{owner} is served without a key: its key part {name} is a path or has an alias."
            )
            return ()
    return names


def _properties(element: Element, owner: str, draft: Draft) -> Iterator[Property]:
    seen: set[str] = set()

    def is_first(name: str) -> bool:
        if name in seen:
            draft.findings.append(f"Property {owner}/{name} is defined twice; the first is used.")
            return False
        seen.add(name)
        return True

    for child in _children(element, "Property"):
        if child.made:
            yield from (made for made in child.made if is_first(made.name))
            continue
        name = intern(child.need("Name"))
        if is_first(name):
            yield property_of(child, name, draft.facts(child, PROPERTY_TERMS, owner, name), draft)


def property_of(element: Element, name: str, facts: Facts, draft: Draft) -> Property:
    """Return the property that an element is. Raises BadElement."""
    return Property(
        name=name,
        type=draft.type_refs[element.need("Type")],
        nullable=element.flag("Nullable", True),
        **({} if _PLAIN.issuperset(element.attributes) else _numbers(element)),
        **facts,
    )


def _numbers(property_: Element) -> Facts:
    return {
        "max_length": property_.number("MaxLength", _UNBOUNDED),
        "precision": property_.number("Precision"),
        "scale": property_.number("Scale", _VARIABLE),
    }


def _navigations(element: Element, owner: str, draft: Draft) -> Iterator[Navigation]:
    seen = {child.attributes.get("Name") for child in _children(element, "Property")}
    seen.update(made.name for child in _children(element, "Property") for made in child.made)
    for child in _children(element, "NavigationProperty"):
        name = intern(child.need("Name"))
        if name in seen:
            draft.findings.append(f"Navigation {owner}/{name} is defined twice; it is left out.")
            continue
        seen.add(name)
        target = draft.type_refs[child.need("Type")]
        yield Navigation(
            name=name,
            target=target.name,
            many=target.many,
            nullable=child.flag("Nullable", True),
            partner=child.attributes.get("Partner"),
            on=tuple(_constraint(c) for c in _children(child, "ReferentialConstraint")),
            contains_target=child.flag("ContainsTarget"),
            **draft.facts(child, TEXT_TERMS, owner, name),
        )


def _constraint(element: Element) -> ReferentialConstraint:
    return ReferentialConstraint(
        intern(element.need("Property")), intern(element.need("ReferencedProperty"))
    )


def _members(element: Element, owner: str, draft: Draft) -> Iterator[EnumMember]:
    """Return the members; one without a value has the value after its predecessor's, CSDL section 10.3."""
    following = 0
    for child in _children(element, "Member"):
        name = intern(child.need("Name"))
        value = child.number("Value")
        value = following if value is None else value
        following = value + 1
        facts = draft.facts(child, TEXT_TERMS, owner, name)
        yield EnumMember(name=name, value=value, **facts)


def _read_operation(element: Element, namespace: str, kind: OperationKind, draft: Draft) -> None:
    name = f"{namespace}.{element.need('Name')}"
    parameters = [_parameter(child, draft) for child in _children(element, "Parameter")]
    bound_to: TypeRef | None = None
    if element.flag("IsBound"):
        if not parameters:
            raise BadElement(element, f"{name} is bound and has no parameter to be bound by")
        # The binding parameter is the first one, whatever its name (section 12.5).
        bound_to = parameters.pop(0).type
    returns = next(iter(_children(element, "ReturnType")), None)
    draft.operations.append(
        Operation(
            name=name,
            kind=kind,
            bound_to=bound_to,
            parameters=tuple(parameters),
            returns=None if returns is None else draft.type_refs[returns.need("Type")],
            returns_nullable=returns is None or returns.flag("Nullable", True),
            composable=element.flag("IsComposable"),
            **draft.facts(element, TEXT_TERMS, name),
        )
    )


def _parameter(element: Element, draft: Draft) -> Parameter:
    return Parameter(
        name=element.need("Name"),
        type=draft.type_refs[element.need("Type")],
        nullable=element.flag("Nullable", True),
    )
