"""The annotation terms the gateway uses, as tables: term → the facts it states of a record.

A fact is a keyword argument of the record's class, so an annotation inside an element and one
through ``<Annotations Target=…>`` are applied by the same table: the one when the record is made,
the other by ``msgspec.structs.replace``. There is a table for each kind of target because a term says
something only where it belongs. A term not listed here is never even read (``TERMS``), and so is an
annotation whose value is an expression to be evaluated (``Path``, ``If``…) instead of a constant.

Vocabularies: https://github.com/oasis-tcs/odata-vocabularies (Core, Capabilities) and
https://learn.microsoft.com/dynamics365/fin-ops-core/dev-itpro/data-entities/odata
(``Microsoft.Dynamics.OData.Core.V1``).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from sys import intern
from typing import Any, Final

from .csdl_xml import CONSTANTS, Element

Facts = dict[str, Any]
Read = Callable[[Element], Facts]

_AX: Final = "Microsoft.Dynamics.OData.Core.V1."
_CORE: Final = "Org.OData.Core.V1."
_CAPABILITIES: Final = "Org.OData.Capabilities.V1."


def constant(annotation: Element) -> str | None:
    """Give the constant value as text; a term without any value is a tag and true; None for other expressions.

    Serves an ``Annotation`` and a ``PropertyValue`` alike: each has one naming attribute and one for the value.
    """
    attributes = annotation.attributes
    for kind in CONSTANTS:
        if kind in attributes:
            return attributes[kind].strip()
    values = [child for child in annotation.children if child.tag != "Annotation"]
    if len(values) == 1 and values[0].tag in CONSTANTS:
        return values[0].text.strip()
    is_tag = not values and len(attributes) == 1
    return "true" if is_tag else None


def _text(fact: str) -> Read:
    def read(annotation: Element) -> Facts:
        value = constant(annotation)
        return {fact: intern(value)} if value else {}

    return read


def _flag(fact: str) -> Read:
    def read(annotation: Element) -> Facts:
        value = constant(annotation)
        return {} if value is None else {fact: value.lower() in {"true", "1"}}

    return read


def _deny(*facts: str, when: str) -> Read:
    """Make a reader that only ever takes a permission away, so that the order of several terms does not matter."""

    def read(annotation: Element) -> Facts:
        value = constant(annotation)
        return dict.fromkeys(facts, False) if value is not None and value.lower() == when else {}

    return read


def _permissions(annotation: Element) -> Facts:
    """``Permission/Read``: the service alone writes it. The value may list several members."""
    value = constant(annotation)
    if value is None or any(word.endswith("Write") for word in value.split()):
        return {}
    return {"allow_edit": False, "allow_edit_on_create": False}


def _ax_type(annotation: Element) -> Facts:
    """``Microsoft.Dynamics.OData.Core.V1.AXType/Date`` → ``Date``."""
    value = constant(annotation)
    return {"ax_type": intern(value.rpartition("/")[2])} if value else {}


def _restrictions(fact: str, property_: str, paths: str = "") -> Read:
    """Make a reader of a record like ``{Filterable: false, NonFilterableProperties: […]}``."""

    def read(annotation: Element) -> Facts:
        found: Facts = {}
        for value in _record(annotation):
            name = value.attributes.get("Property")
            if name == property_ and (constant(value) or "").lower() == "false":
                found[fact] = False
            elif paths and name == paths:
                found["non_" + fact] = tuple(_paths(value))
        return found

    return read


def _record(annotation: Element) -> Iterator[Element]:
    for record in annotation.children:
        if record.tag == "Record":
            yield from (value for value in record.children if value.tag == "PropertyValue")


def _paths(value: Element) -> Iterator[str]:
    for collection in value.children:
        yield from (intern(path.text.strip()) for path in collection.children if path.text.strip())


TEXT_TERMS: Final[Mapping[str, Read]] = {
    _AX + "LabelId": _text("label"),
    _CORE + "Description": _text("description"),
    _CORE + "LongDescription": _text("long_description"),
}
PROPERTY_TERMS: Final[Mapping[str, Read]] = {
    **TEXT_TERMS,
    _AX + "IsRequired": _flag("required"),
    _AX + "AllowEdit": _deny("allow_edit", when="false"),
    _AX + "AllowEditOnCreate": _deny("allow_edit_on_create", when="false"),
    _AX + "AXType": _ax_type,
    _CORE + "Computed": _deny("allow_edit", "allow_edit_on_create", when="true"),
    _CORE + "Immutable": _deny("allow_edit", when="true"),
    _CORE + "Permissions": _permissions,
}
ENTITY_TYPE_TERMS: Final[Mapping[str, Read]] = {
    **TEXT_TERMS,
    _AX + "IsReadOnly": _flag("read_only"),
}
ENTITY_SET_TERMS: Final[Mapping[str, Read]] = {
    **TEXT_TERMS,
    _CAPABILITIES + "FilterRestrictions": _restrictions(
        "filterable", "Filterable", "NonFilterableProperties"
    ),
    _CAPABILITIES + "SortRestrictions": _restrictions(
        "sortable", "Sortable", "NonSortableProperties"
    ),
    _CAPABILITIES + "ExpandRestrictions": _restrictions(
        "expandable", "Expandable", "NonExpandableProperties"
    ),
    _CAPABILITIES + "CountRestrictions": _restrictions("countable", "Countable"),
    _CAPABILITIES + "TopSupported": _deny("top", when="false"),
    _CAPABILITIES + "SkipSupported": _deny("skip", when="false"),
    _CAPABILITIES + "InsertRestrictions": _restrictions("insertable", "Insertable"),
    _CAPABILITIES + "UpdateRestrictions": _restrictions("updatable", "Updatable"),
    _CAPABILITIES + "DeleteRestrictions": _restrictions("deletable", "Deletable"),
}
TEXT_FACTS: Final = frozenset({"label", "description"})
"""The facts of ``TEXT_TERMS``; what else is stated of an entity set belongs to its ``Capabilities``."""
TERMS: Final = frozenset(
    term.rpartition(".")[2]
    for table in (PROPERTY_TERMS, ENTITY_TYPE_TERMS, ENTITY_SET_TERMS)
    for term in table
)
"""Short names of all terms: what the XML reader needs to keep."""


def facts_of(
    annotations: Iterable[Element], terms: Mapping[str, Read], full: Mapping[str, str]
) -> Facts:
    """Gather what the annotations state; ``full`` gives the term's name without an alias.

    A long description stands in where there is no short one.
    """
    facts: Facts = {}
    for annotation in annotations:
        read = terms.get(full[annotation.attributes["Term"]])
        if read is not None:
            facts.update(read(annotation))
    if "long_description" in facts:
        facts.setdefault("description", facts.pop("long_description"))
    return facts
