"""The descriptions that clients read: label text where it is known, else the CSDL name; then key, company and read-only marks."""

from __future__ import annotations

from collections.abc import Mapping

from .model import ComplexType, EntityType, EnumType, Model, Navigation, Property, short

NODE_ID = "Opaque global id, for `node(id:)` and client caches."
NODE_IDS = "Global ids; the answer keeps their order, with null for what does not exist."
REST = "Properties of this row that the metadata does not declare."
FIRST = "Rows from the start of the list (after `after`)."
AFTER = "A cursor: rows after it."
LAST = "Rows from the end of the list (before `before`)."
BEFORE = "A cursor: rows before it."
WHERE = "Only rows that satisfy this."
ORDER_BY = "Order; the key is appended, so that the order is total."
COMPANIES = "Companies (legal entities) to read; narrows the default."
AND = "All of these hold."
OR = "One of these holds."
NOT = "This does not hold."
SOME = "One related row satisfies this."
NO_ROW = "No related row satisfies this."

OPERATORS = {
    "eq": "Equal.",
    "ne": "Not equal.",
    "gt": "Greater than.",
    "gte": "Greater than or equal.",
    "lt": "Less than.",
    "lte": "Less than or equal.",
    "in": "One of these.",
    "nin": "None of these.",
    "contains": "Contains this text.",
    "startsWith": "Starts with this text.",
    "endsWith": "Ends with this text.",
    "isNull": "Has no value (true), has a value (false).",
}


def _text(label: str | None, description: str | None, labels: Mapping[str, str]) -> str:
    found = labels.get(label or "", "")
    if not found and label and not label.startswith("@"):
        found = label
    return found or description or ""


def _sentence(text: str, *rest: str) -> str:
    head = text.strip()
    if head and head[-1] not in ".!?":
        head += "."
    return " ".join(part for part in (head, *rest) if part)


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


def prop(
    declared: Property, labels: Mapping[str, str], *, is_key: bool, company: str | None
) -> str:
    """Describe a property: ``Customer account. CSDL: `CustomerAccount`. Key.``."""
    marks = [f"CSDL: `{declared.name}`."]
    if is_key:
        marks.append("Key.")
    if declared.name == company:
        marks.append("Company.")
    if not declared.allow_edit and not declared.allow_edit_on_create:
        marks.append("Read-only.")
    elif not declared.allow_edit and not is_key:
        marks.append("Fixed after creation.")
    return _sentence(_text(declared.label, declared.description, labels), *marks)


def navigation(declared: Navigation, labels: Mapping[str, str]) -> str:
    """Describe a navigation, and the join where it is known."""
    join = ", ".join(f"`{c.property}` = `{c.referenced}`" for c in declared.on)
    origin = "Declared in the settings" if declared.declared else f"CSDL: `{declared.name}`"
    return _sentence(
        _text(declared.label, declared.description, labels),
        f"{origin} ({join})." if join else f"{origin}.",
    )
