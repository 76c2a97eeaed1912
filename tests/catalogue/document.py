"""A model as ``$metadata`` in the layout of Finance & Operations: two schemas, no facets, many annotations.

Written without the gateway's or the sandbox's code, and with annotations that they do not read. ``CountryRegionCodes``,
``ConfigurationKeyEnabled``, ``HelpTextId`` and ``LookupGroup`` are sprinkled in by chance, as often as they are there.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import zip_longest
from xml.sax.saxutils import quoteattr

from schema.model.records import (
    EntitySet,
    EntityType,
    EnumType,
    Model,
    Navigation,
    Operation,
    Property,
    TypeRef,
)
from tests.catalogue.dice import Dice
from tests.catalogue.records import plain
from tests.catalogue.words import LABEL_FILES, REGIONS

TERM = "Microsoft.Dynamics.OData.Core.V1"
AX_TYPES = [
    "Container",
    "Date",
    "Enum",
    "Guid",
    "Int32",
    "Int64",
    "Real",
    "Record",
    "String",
    "Time",
    "UtcDateTime",
    "Void",
]
HEAD = """\ufeff<?xml version="1.0" encoding="utf-8"?>
<edmx:Edmx Version="4.0" xmlns:edmx="http://docs.oasis-open.org/odata/ns/edmx">
  <edmx:DataServices>
    <Schema Namespace="%s" xmlns="http://docs.oasis-open.org/odata/ns/edm">"""
TAIL = f"""      </EntityContainer>
    </Schema>
    <Schema Namespace="{TERM}" xmlns="http://docs.oasis-open.org/odata/ns/edm">
      <EnumType Name="AXType">
%s
      </EnumType>
    </Schema>
  </edmx:DataServices>
</edmx:Edmx>""" % "\n".join(
    f'        <Member Name="{name}" Value="{value}" />' for value, name in enumerate(AX_TYPES)
)
CONFIGURATION_KEY = f'          <Annotation Term="{TERM}.ConfigurationKeyEnabled" Bool="true" />'
FALSE = {
    term: f'          <Annotation Term="{TERM}.{term}" Bool="false" />'
    for term in ("AllowEdit", "AllowEditOnCreate")
}
REQUIRED = f'          <Annotation Term="{TERM}.IsRequired" Bool="true" />'
END_ONE, END_MANY = "        </NavigationProperty>", "        </EntitySet>"


def write(model: Model) -> bytes:
    """Return the document; the same bytes for the same model."""
    return "\n".join(_lines(model)).encode()


def _lines(model: Model) -> Iterator[str]:
    dice = Dice(len(model.entity_types))
    yield HEAD % model.namespace
    # Enumerations stand between the entity types, as they were first needed.
    for entity_type, enum in zip_longest(model.entity_types.values(), model.enum_types.values()):
        if enum is not None:
            yield from _enum(enum)
        if entity_type is not None:
            yield from _entity_type(entity_type, dice)
    for operation in model.operations:
        yield from _action(operation)
    yield '      <EntityContainer Name="Resources">'
    for entity_set in model.entity_sets.values():
        yield from _entity_set(entity_set)
    yield TAIL


def _label(label: str | None, indent: str) -> Iterator[str]:
    if label is not None:
        yield f'{indent}<Annotation Term="{TERM}.LabelId" String={quoteattr(label)} />'


def _enum(enum: EnumType) -> Iterator[str]:
    yield f'      <EnumType Name="{plain(enum.name)}">'
    for member in enum.members:
        yield f'        <Member Name="{member.name}" Value="{member.value}">'
        yield from _label(member.label, "          ")
        yield "        </Member>"
    yield from _label(enum.label, "        ")
    yield "      </EnumType>"


def _entity_type(entity_type: EntityType, dice: Dice) -> Iterator[str]:
    yield f'      <EntityType Name="{plain(entity_type.name)}">'
    if entity_type.key:
        parts = "\n".join(f'          <PropertyRef Name="{name}" />' for name in entity_type.key)
        yield f"        <Key>\n{parts}\n        </Key>"
    for one in entity_type.properties:
        yield from _property(one, dice)
    for navigation in entity_type.navigations:
        yield from _navigation(navigation)
    yield from _label(entity_type.label, "        ")
    if entity_type.read_only:
        yield f'        <Annotation Term="{TERM}.IsReadOnly" Bool="true" />'
    yield "      </EntityType>"


def _property(one: Property, dice: Dice) -> Iterator[str]:
    nullable = "" if one.nullable else ' Nullable="false"'
    yield f'        <Property Name="{one.name}" Type="{one.type.name}"{nullable}>'
    yield from _label(one.label, "          ")
    if dice.chance(0.09):
        file = dice.pick(LABEL_FILES)
        yield f'          <Annotation Term="{TERM}.HelpTextId" String="@{file}:{one.name}Help" />'
    if dice.chance(0.68):
        yield CONFIGURATION_KEY
    if dice.chance(0.095):
        yield _regions(dice)
    if dice.chance(0.019):
        yield f'          <Annotation Term="{TERM}.LookupGroup" String="{one.name}" />'
    if not one.allow_edit:
        yield FALSE["AllowEdit"]
    if not one.allow_edit_on_create:
        yield FALSE["AllowEditOnCreate"]
    if one.required:
        yield REQUIRED
    yield (
        f'          <Annotation Term="{TERM}.AXType">\n'
        f"            <EnumMember>{TERM}.AXType/{one.ax_type}</EnumMember>\n"
        "          </Annotation>\n"
        "        </Property>"
    )


def _regions(dice: Dice) -> str:
    codes = "\n".join(f"              <String>{code}</String>" for code in dice.pick(REGIONS))
    return (
        f'          <Annotation Term="{TERM}.CountryRegionCodes">\n            <Collection>\n'
        f"{codes}\n            </Collection>\n          </Annotation>"
    )


def _navigation(navigation: Navigation) -> Iterator[str]:
    target = _type(TypeRef(navigation.target, navigation.many))
    nullable = "" if navigation.nullable else ' Nullable="false"'
    partner = "" if navigation.partner is None else f' Partner="{navigation.partner}"'
    start = (
        f'        <NavigationProperty Name="{navigation.name}" Type="{target}"{nullable}{partner}'
    )
    if not navigation.on:
        yield f"{start} />"
        return
    yield f"{start}>"
    for pair in navigation.on:
        names = f'Property="{pair.property}" ReferencedProperty="{pair.referenced}"'
        yield f"          <ReferentialConstraint {names} />"
    yield END_ONE


def _action(operation: Operation) -> Iterator[str]:
    name = plain(operation.name)
    yield f'      <Action Name="{name}" IsBound="true">'
    if operation.bound_to is not None:
        binding = plain(operation.bound_to.name)
        yield f'        <Parameter Name="{binding}" Type="{_type(operation.bound_to)}" />'
    for parameter in operation.parameters:
        nullable = "" if parameter.nullable else ' Nullable="false"'
        yield f'        <Parameter Name="{parameter.name}" Type="{_type(parameter.type)}"{nullable} />'
    if operation.returns is not None:
        nullable = "" if operation.returns_nullable else ' Nullable="false"'
        yield f'        <ReturnType Type="{_type(operation.returns)}"{nullable} />'
    yield "      </Action>"


def _entity_set(entity_set: EntitySet) -> Iterator[str]:
    start = f'        <EntitySet Name="{entity_set.name}" EntityType="{entity_set.type}"'
    if not entity_set.bindings:
        yield f"{start} />"
        return
    yield f"{start}>"
    for path, target in entity_set.bindings.items():
        yield f'          <NavigationPropertyBinding Path="{path}" Target="{target}" />'
    yield END_MANY


def _type(reference: TypeRef) -> str:
    return f"Collection({reference.name})" if reference.many else reference.name
