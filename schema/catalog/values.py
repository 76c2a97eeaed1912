"""Value types: the GraphQL type of a CSDL property and the conversion of its values."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from msgspec import Struct

from schema.model.edm import edm_type
from schema.model.records import EnumType, Model, Property, TypeRef, short
from schema.operators import WhereOperator

from . import descriptions as describe
from .names import Names, enum_value_name
from .records import Clean, EnumInfo, ValueType

_NEEDS_TYPE = "Edm.DateTimeOffset"


class Cleaning(Struct, frozen=True, kw_only=True):
    """Which upstream conventions are converted into plain GraphQL values (settings ``clean_*``)."""

    no_yes: bool = True
    null_dates: bool = True
    dates: bool = True
    account_numbers: frozenset[str] = frozenset()
    """``Type.Property`` of display values that hold one account number each; their escapes are removed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Abilities:
    """The capabilities of the upstream product that shape the schema; the gateway derives them from its dialect."""

    operators: Mapping[str, tuple[WhereOperator, ...]] = field(hash=False)
    """Kind of value → ``where`` operators that the product supports."""
    filter_to_one: bool = True
    filter_to_many: bool = False
    company_property: str | None = None
    has_nulls: bool = True
    """Whether absent values are null; if not, an absent date is 1900-01-01 and an absent text is empty."""
    display_values: bool = False
    """Whether texts that are called display values hold accounts and dimensions, in segments."""


def is_no_yes(enum: EnumType) -> bool:
    """Return whether an enum is F&O's ``NoYes``, which stands for a Boolean."""
    return short(enum.name) == "NoYes" and [m.name for m in enum.members] == ["No", "Yes"]


def value_type(
    ref: TypeRef, *, model: Model, enum: EnumInfo | None, cleaning: Cleaning, dates: Clean
) -> ValueType:
    """Return the value type of a property, parameter or result. ``dates``: how its date-times are cleaned."""
    if enum is not None:
        return _enum_value(enum, model, cleaning)
    definition = model.type_definitions.get(ref.name)
    edm = edm_type(ref.name if definition is None else definition.underlying)
    if edm.name != _NEEDS_TYPE:
        return ValueType(edm.scalar, edm.name, edm.kind)
    if dates in (Clean.DATE, Clean.KEY_DATE):
        return ValueType("Date", edm.name, "date", dates)
    return ValueType(edm.scalar, edm.name, edm.kind, dates)


def _enum_value(enum: EnumInfo, model: Model, cleaning: Cleaning) -> ValueType:
    if cleaning.no_yes and is_no_yes(model.enum_types[enum.csdl]):
        return ValueType("Boolean", enum.csdl, "boolean", Clean.NO_YES, enum)
    return ValueType(enum.name, enum.csdl, "flags" if enum.flags else "enum", Clean.NONE, enum)


def date_cleaning(
    prop: Property, *, is_key: bool, abilities: Abilities, cleaning: Cleaning
) -> Clean:
    """Return how an Edm.DateTimeOffset is cleaned; only AXType distinguishes dates from date-times.

    Keys and lists have no nulls, so 1900-01-01 stays a date there.
    """
    is_present = is_key or prop.type.many
    if cleaning.dates and prop.ax_type == "Date":
        return Clean.KEY_DATE if is_present else Clean.DATE
    if cleaning.null_dates and not abilities.has_nulls and not is_present:
        return Clean.NULL_DATE
    return Clean.NONE


def enum_info(
    enum: EnumType, name: str, *, labels: Mapping[str, str], renames: Mapping[str, str]
) -> tuple[EnumInfo, list[str]]:
    """Return an enum with its GraphQL value names, and findings about clashes; members of equal value both stay."""
    names = Names((), renames, f" (enum {name})")
    to_graphql: dict[str, str] = {}
    descriptions: dict[str, str] = {}
    owner = short(enum.name)
    for member in enum.members:
        value = names.take(enum_value_name(member.name), f"{owner}.{member.name}")
        to_graphql[member.name] = value
        descriptions[value] = describe.member(member, labels)
    back = {value: member for member, value in to_graphql.items()}
    text = describe.enum(enum, labels)
    return EnumInfo(
        name, enum.name, enum.flags, to_graphql, descriptions, back, text
    ), names.findings
