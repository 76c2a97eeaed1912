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
from typing import Any, Final, NamedTuple

from .xml import Element, Note

Facts = dict[str, Any]
Read = Callable[[Facts, str], None]
"""Adds what a constant states."""
ReadRecord = Callable[[Facts, Element], None]
"""Adds what the record inside an annotation states."""

_AX: Final = "Microsoft.Dynamics.OData.Core.V1."
_CORE: Final = "Org.OData.Core.V1."
_CAPABILITIES: Final = "Org.OData.Capabilities.V1."


class Terms(NamedTuple):
    """The terms that say something of one kind of target, by their full names."""

    constants: Mapping[str, Read]
    records: Mapping[str, ReadRecord] = {}


def _text(fact: str) -> Read:
    def read(facts: Facts, value: str) -> None:
        if value:
            facts[fact] = intern(value)

    return read


def _flag(fact: str) -> Read:
    def read(facts: Facts, value: str) -> None:
        facts[fact] = value.lower() in {"true", "1"}

    return read


def _deny(*denied: str, when: str) -> Read:
    """Make a reader that only ever takes a permission away, so that the order of several terms does not matter."""

    def read(facts: Facts, value: str) -> None:
        if value.lower() == when:
            facts.update(dict.fromkeys(denied, False))

    return read


def _permissions(facts: Facts, value: str) -> None:
    """``Permission/Read``: the service alone writes it. The value may list several members."""
    if not any(word.endswith("Write") for word in value.split()):
        facts.update(allow_edit=False, allow_edit_on_create=False)


def _ax_type(facts: Facts, value: str) -> None:
    """``Microsoft.Dynamics.OData.Core.V1.AXType/Date`` → ``Date``."""
    if value:
        # The only sign by which F&O's dates differ from its points in time: both are Edm.DateTimeOffset.
        facts["ax_type"] = intern(value.rpartition("/")[2])


def _restrictions(fact: str, property_: str, paths: str = "") -> ReadRecord:
    """Make a reader of a record like ``{Filterable: false, NonFilterableProperties: […]}``."""

    def read(facts: Facts, annotation: Element) -> None:
        for value in _record(annotation):
            name = value.attributes.get("Property")
            if name == property_ and (value.constant() or "").lower() == "false":
                facts[fact] = False
            elif paths and name == paths:
                facts["non_" + fact] = tuple(_paths(value))

    return read


def _change_tracking(facts: Facts, annotation: Element) -> None:
    """``{Supported: true, FilterableProperties: […]}``; without Supported, the vocabulary says true."""
    facts["tracked"] = True
    for value in _record(annotation):
        match value.attributes.get("Property"):
            case "Supported" if (value.constant() or "").lower() == "false":
                facts["tracked"] = False
            case "FilterableProperties":
                facts["tracked_filters"] = tuple(_paths(value))


def _record(annotation: Element) -> Iterator[Element]:
    for record in annotation.children:
        if record.tag == "Record":
            yield from (value for value in record.children if value.tag == "PropertyValue")


def _paths(value: Element) -> Iterator[str]:
    for collection in value.children:
        yield from (intern(path.text.strip()) for path in collection.children if path.text.strip())


_TEXTS: Final[Mapping[str, Read]] = {
    _AX + "LabelId": _text("label"),
    _CORE + "Description": _text("description"),
    _CORE + "LongDescription": _text("long_description"),
}
TEXT_TERMS: Final = Terms(_TEXTS)
PROPERTY_TERMS: Final = Terms(
    {
        **_TEXTS,
        _AX + "IsRequired": _flag("required"),
        _AX + "AllowEdit": _deny("allow_edit", when="false"),
        _AX + "AllowEditOnCreate": _deny("allow_edit_on_create", when="false"),
        _AX + "AXType": _ax_type,
        _CORE + "Computed": _deny("allow_edit", "allow_edit_on_create", when="true"),
        _CORE + "Immutable": _deny("allow_edit", when="true"),
        _CORE + "Permissions": _permissions,
    }
)
ENTITY_TYPE_TERMS: Final = Terms({**_TEXTS, _AX + "IsReadOnly": _flag("read_only")})
ENTITY_SET_TERMS: Final = Terms(
    {
        **_TEXTS,
        _CAPABILITIES + "TopSupported": _deny("top", when="false"),
        _CAPABILITIES + "SkipSupported": _deny("skip", when="false"),
    },
    {
        _CAPABILITIES + "FilterRestrictions": _restrictions(
            "filterable", "Filterable", "NonFilterableProperties"
        ),
        _CAPABILITIES + "SortRestrictions": _restrictions(
            "sortable", "Sortable", "NonSortableProperties"
        ),
        _CAPABILITIES + "ExpandRestrictions": _restrictions(
            "expandable", "Expandable", "NonExpandableProperties"
        ),
        _CAPABILITIES + "ChangeTracking": _change_tracking,
        _CAPABILITIES + "CountRestrictions": _restrictions("countable", "Countable"),
        _CAPABILITIES + "InsertRestrictions": _restrictions("insertable", "Insertable"),
        _CAPABILITIES + "UpdateRestrictions": _restrictions("updatable", "Updatable"),
        _CAPABILITIES + "DeleteRestrictions": _restrictions("deletable", "Deletable"),
    },
)
TEXT_FACTS: Final = frozenset({"label", "description"})
"""The facts of ``TEXT_TERMS``; what else is stated of an entity set belongs to its ``Capabilities``."""
TERMS: Final = frozenset(
    term.rpartition(".")[2]
    for terms in (PROPERTY_TERMS, ENTITY_TYPE_TERMS, ENTITY_SET_TERMS)
    for table in terms
    for term in table
)
"""Short names of all terms: what the XML reader needs to keep."""


def facts_of(notes: Iterable[Note], terms: Terms, full: Mapping[str, str]) -> Facts:
    """Gather what is annotated; ``full`` gives the term's name without an alias.

    A long description stands in where there is no short one.
    """
    facts: Facts = {}
    constants, records = terms
    for term, value in notes:
        name = full[term]
        if isinstance(value, str):
            if (read := constants.get(name)) is not None:
                read(facts, value)
        elif (read_record := records.get(name)) is not None:
            read_record(facts, value)
    if "long_description" in facts:
        # In the end, because the two terms may come in either order.
        facts.setdefault("description", facts.pop("long_description"))
    return facts
