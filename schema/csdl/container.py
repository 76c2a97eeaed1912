"""``<EntityContainer>`` → drafts of entity sets, singletons and imports.

CSDL XML 4.01, section 13:
https://docs.oasis-open.org/odata/odata-csdl-xml/v4.01/odata-csdl-xml-v4.01.html#sec_EntityContainer
"""

from __future__ import annotations

from sys import intern

from schema.model.records import Capabilities, EntitySet, OperationImport, OperationKind, Singleton

from .annotations import ENTITY_SET_TERMS, TEXT_FACTS, TEXT_TERMS
from .draft import Draft
from .xml import Element


def read_container(element: Element, namespace: str, draft: Draft) -> None:
    name = f"{namespace}.{element.need('Name')}"
    if draft.container:
        draft.findings.append(
            f"Container {name} is left out: {draft.container} is already the service's container."
        )
        return
    if "Extends" in element.attributes:
        draft.findings.append(
            f"Container {name} extends {element.attributes['Extends']}, whose own content is not read."
        )
    draft.container = name
    draft.namespace = namespace
    for child in element.children:
        _read_child(child, draft)


def _read_child(child: Element, draft: Draft) -> None:
    match child.tag:
        case "EntitySet":
            _read_entity_set(child, draft)
        case "Singleton":
            _read_singleton(child, draft)
        case "ActionImport":
            _read_import(child, OperationKind.ACTION, "Action", draft)
        case "FunctionImport":
            _read_import(child, OperationKind.FUNCTION, "Function", draft)
        case _:
            pass


def _read_entity_set(element: Element, draft: Draft) -> None:
    name = intern(element.need("Name"))
    facts = draft.facts(element, ENTITY_SET_TERMS, draft.container, name)
    entity_set = EntitySet(
        name=name,
        type=intern(element.need("EntityType")),
        bindings=_bindings(element),
        can=Capabilities(**{fact: facts[fact] for fact in facts if fact not in TEXT_FACTS}),
        **{fact: facts[fact] for fact in facts if fact in TEXT_FACTS},
    )
    draft.add(draft.entity_sets, name, entity_set)


def _read_singleton(element: Element, draft: Draft) -> None:
    name = intern(element.need("Name"))
    singleton = Singleton(
        name=name,
        type=intern(element.need("Type")),
        bindings=_bindings(element),
        **draft.facts(element, TEXT_TERMS, draft.container, name),
    )
    draft.add(draft.singletons, name, singleton)


def _bindings(element: Element) -> dict[str, str]:
    return {
        intern(child.need("Path")): intern(child.need("Target"))
        for child in element.children
        if child.tag == "NavigationPropertyBinding"
    }


def _read_import(element: Element, kind: OperationKind, attribute: str, draft: Draft) -> None:
    name = element.need("Name")
    operation = OperationImport(
        name=name,
        kind=kind,
        operation=element.need(attribute),
        entity_set=element.attributes.get("EntitySet"),
    )
    draft.add(draft.imports, name, operation)
