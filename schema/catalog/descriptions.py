"""GraphQL descriptions of the API for reading: label text, CSDL name, then marks (key, company, read-only)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

from schema.model.records import (
    ComplexType,
    EntityType,
    EnumMember,
    EnumType,
    Model,
    Navigation,
    Parameter,
    Property,
    short,
)

from .records import RootField, RootKind, TypeEntry, TypeKind

NODE = "An object with a global ID."
PAGE_INFO = "Information about a page of a list."
HAS_NEXT = "Whether there are rows after this page."
HAS_PREVIOUS = "Whether there are rows before this page."
START_CURSOR = "Cursor of the first row."
END_CURSOR = "Cursor of the last row."
EDGES = "The rows with their cursors."
NODES = "The rows."
TOTAL_COUNT = (
    "Number of rows in the whole list; the upstream service counts them only if this is selected."
)
CURSOR = "Position of the row in its list, for `after` and `before`."
EDGE_NODE = "The row."
SORT_DIRECTION = "Sort direction."
SORT_DIRECTIONS = {
    "ASC": "Ascending: smallest values first.",
    "DESC": "Descending: largest values first.",
}

NODE_ID = "Opaque global ID, for `node(id:)` and client caches."
ETAG = "Version of the row, for `ifMatch`; null if the upstream service returns none."
NODE_IDS = "Global IDs; the result keeps their order, with null for objects that do not exist."
REST = "Properties of this row that the metadata does not declare."
CUSTOM_FIELDS = "Columns by their upstream names; null for those that this environment lacks."
PARTS = "The parts of a display value of an account or of dimensions."
PARTS_INPUT = (
    "The parts of a display value: an account of the ledger with its dimensions, default dimensions without an account,"
    " or another account as a whole."
)
MAIN_ACCOUNT = (
    "The main account; null for default dimensions, and if it is no account of the ledger."
)
DIMENSIONS = "The dimensions that have a value, in the order of the environment."
WHOLE_ACCOUNT = (
    "The whole value, if it is no account of the ledger but a customer, vendor, bank account or the like by the account"
    " type of the row, or if your role sees it masked; null for accounts of the ledger and default dimensions."
)
DIMENSION_PART = "A financial dimension with its value."
DIMENSION_NAME = "The name of the dimension, such as `CostCenter`."
DIMENSION_VALUE = "Its value, such as `012`."
MAIN_ACCOUNT_INPUT = "The main account, for an account of the ledger."
DIMENSIONS_INPUT = "The dimensions; the others are blank."
WHOLE_ACCOUNT_INPUT = "A customer, vendor, bank account or the like, as its own list has it."
CUSTOM_NAMES = "Names of columns, such as `CreditMax`."
FIRST = "Number of rows from the start of the list, or after `after`."
AFTER = "A cursor: only rows after it."
LAST = "Number of rows from the end of the list, or before `before`."
BEFORE = "A cursor: only rows before it."
WHERE = "Only rows that match these conditions."
ORDER_BY = "Sort order; the key is appended so that the order is total."
GROUP_BY = "Fields whose values make the groups."
COMPANIES = "Companies (legal entities) to read; narrows the default."
AND = "All of these conditions hold."
OR = "At least one of these conditions holds."
NOT = "This condition does not hold."
SOME = "At least one related row matches these conditions."
NO_ROW = "No related row matches these conditions."


def _text(label: str | None, description: str | None, labels: Mapping[str, str]) -> str:
    text = labels.get(label or "", "")
    if not text and label and not label.startswith("@"):
        text = label
    return text or description or ""


class Labelled(Protocol):
    """A record of the metadata that may have a label and a description."""

    @property
    def label(self) -> str | None: ...
    @property
    def description(self) -> str | None: ...


def label_of(declared: Labelled, labels: Mapping[str, str]) -> str:
    """Return the label's text, else the metadata's description; empty if there is neither."""
    return _text(declared.label, declared.description, labels).strip()


def _sentence(text: str, *rest: str) -> str:
    head = text.strip()
    if head and head[-1] not in ".!?":
        head += "."
    return " ".join([part for part in (head, *rest) if part])


def structured(declared: EntityType | ComplexType, model: Model, labels: Mapping[str, str]) -> str:
    """Describe an object type: ``Customers. CSDL: `CustomerV3` (set `CustomersV3`). Read-only.``."""
    text = _text(declared.label, declared.description, labels)
    sets = ", ".join(f"`{s}`" for s in model.sets_of_type.get(declared.name, ()))
    csdl = f"CSDL: `{short(declared.name)}`" + (f" (set {sets})." if sets else ".")
    read_only = isinstance(declared, EntityType) and declared.read_only
    return _sentence(text, csdl, "Read-only." if read_only else "")


def enum(declared: EnumType, labels: Mapping[str, str]) -> str:
    """Describe an enum type."""
    return _sentence(
        _text(declared.label, declared.description, labels), f"CSDL: `{short(declared.name)}`."
    )


def parts(column: str, source: str, *, account_type: str) -> str:
    """Describe the field with the parts of a display value."""
    by = (
        f" By `{account_type}` it may be another account: then `account` has it."
        if account_type
        else ""
    )
    return f"The parts of `{column}`: main account and dimensions. CSDL: `{source}`.{by}"


def prop(
    declared: Property, labels: Mapping[str, str], *, is_key: bool, company: str | None
) -> str:
    """Describe a property: ``Customer account. CSDL: `CustomerAccount`. Key.``."""
    return marked_prop(declared, labels, prop_marks(declared, is_key=is_key, company=company))


def prop_marks(declared: Property, *, is_key: bool, company: str | None) -> str:
    """Return what describes all properties of a kind: ``" Key. Company."``."""
    marks = ""
    if is_key:
        marks += " Key."
    if declared.name == company:
        marks += " Company."
    if not declared.allow_edit and not declared.allow_edit_on_create:
        marks += " Read-only."
    elif not declared.allow_edit and not is_key:
        marks += " Fixed after creation."
    return marks


def marked_prop(declared: Property, labels: Mapping[str, str], marks: str) -> str:
    """Describe a property by its label, its CSDL name and its ``prop_marks``."""
    marks = f"CSDL: `{declared.name}`.{marks}"
    if declared.label is None and declared.description is None:
        return marks
    text = _text(declared.label, declared.description, labels)
    return _sentence(text, marks) if text else marks


def navigation(declared: Navigation, labels: Mapping[str, str]) -> str:
    """Describe a navigation, and the join where it is known."""
    join = ", ".join(f"`{c.property}` = `{c.referenced}`" for c in declared.on)
    origin = "Declared in the settings" if declared.declared else f"CSDL: `{declared.name}`"
    return _sentence(
        _text(declared.label, declared.description, labels),
        f"{origin} ({join})." if join else f"{origin}.",
    )


def member(declared: EnumMember, labels: Mapping[str, str]) -> str:
    """Describe an enum value: ``Fixed assets (`FixedAssets_RU`)``."""
    text = _text(declared.label, declared.description, labels).strip().rstrip(".")
    return f"{text} (`{declared.name}`)" if text else f"`{declared.name}`"


def parameter(declared: Parameter) -> str:
    """Describe a function's parameter."""
    return f"CSDL: `{declared.name}`."


def connection(csdl: str) -> str:
    """Describe a connection type."""
    return f"A page of `{short(csdl)}` rows."


def edge(csdl: str) -> str:
    """Describe an edge type."""
    return f"A `{short(csdl)}` row and its cursor."


def input_type(entry: TypeEntry) -> str:
    """Describe an input type."""
    name = short(entry.csdl)
    if entry.kind is TypeKind.WHERE:
        return f"Conditions on `{name}` rows; all of them must hold."
    if entry.kind is TypeKind.COLLECTION_WHERE:
        return f"Conditions on related `{name}` rows; all of them must hold."
    if entry.kind is TypeKind.ORDER_BY:
        return f"One field to sort `{name}` rows by."
    return f"Conditions on a `{name}` value; all of them must hold."


def root(declared: RootField, labels: Mapping[str, str]) -> str:
    """Describe a field of ``Query``."""
    if declared.kind is RootKind.AGGREGATE and declared.entity_set is not None:
        return aggregate(declared.entity_set.name)
    text = _ROOT_TEXTS[declared.kind]
    source = declared.entity_set or declared.singleton or declared.operation
    if source is None:
        return text
    named = declared.operation_import or source
    label = _text(source.label, source.description, labels)
    return _sentence(label, text.format(short(named.name)))


def aggregate(of_set: str) -> str:
    """Describe the aggregates of a list: without its label, which the list itself has."""
    return f"Aggregates of the rows of `{of_set}`."


_ROOT_TEXTS = {
    RootKind.LIST: "The rows of `{}`.",
    RootKind.BY_KEY: "One row of `{}`, by its key.",
    RootKind.SINGLETON: "The singleton `{}`.",
    RootKind.FUNCTION: "Calls the function `{}`.",
    RootKind.NODE: "The object with this global ID.",
    RootKind.NODES: "The objects with these global IDs.",
}
