"""Writes the ``$metadata`` document of a model in F&O's layout (section 7).

One schema, types and enums first, then actions and the container; no facets; annotations in
``Microsoft.Dynamics.OData.Core.V1``. Written as text: the layout is fixed, so a tree would bring nothing.
"""

from __future__ import annotations

from collections.abc import Iterator
from xml.sax.saxutils import quoteattr

from schema.model.records import (
    EntitySet,
    EntityType,
    EnumType,
    Model,
    Navigation,
    Operation,
    Parameter,
    Property,
    TypeRef,
    short,
)

TERMS = "Microsoft.Dynamics.OData.Core.V1"
_AX_TYPES = (
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
)


def write_edmx(model: Model) -> bytes:
    """Return the document of a model, with a byte order mark as F&O sends it."""
    return b"\xef\xbb\xbf" + "\n".join(_document(model)).encode()


def _document(model: Model) -> Iterator[str]:
    yield '<?xml version="1.0" encoding="utf-8"?>'
    yield '<edmx:Edmx Version="4.0" xmlns:edmx="http://docs.oasis-open.org/odata/ns/edmx">'
    yield "  <edmx:DataServices>"
    yield f'    <Schema Namespace={quoteattr(model.namespace)} xmlns="http://docs.oasis-open.org/odata/ns/edm">'
    for enum in model.enum_types.values():
        yield from _enum(enum)
    for entity_type in model.entity_types.values():
        yield from _entity_type(entity_type)
    for action in model.operations:
        yield from _action(action)
    yield '      <EntityContainer Name="Resources">'
    for entity_set in model.entity_sets.values():
        yield from _entity_set(entity_set)
    yield "      </EntityContainer>"
    yield "    </Schema>"
    yield from _terms()
    yield "  </edmx:DataServices>"
    yield "</edmx:Edmx>"


def _enum(enum: EnumType) -> Iterator[str]:
    name = quoteattr(enum.name.rpartition(".")[2])
    yield f"      <EnumType Name={name}>"
    for member in enum.members:
        yield f'        <Member Name={quoteattr(member.name)} Value="{member.value}">'
        yield from _text("LabelId", member.label, 10)
        yield "        </Member>"
    yield from _text("LabelId", enum.label, 8)
    yield "      </EnumType>"


def _entity_type(entity_type: EntityType) -> Iterator[str]:
    yield f"      <EntityType Name={quoteattr(entity_type.name.rpartition('.')[2])}>"
    yield "        <Key>"
    for key in entity_type.key:
        yield f"          <PropertyRef Name={quoteattr(key)} />"
    yield "        </Key>"
    for prop in entity_type.properties:
        yield from _property(prop)
    for navigation in entity_type.navigations:
        yield from _navigation(navigation)
    yield from _text("LabelId", entity_type.label, 8)
    if entity_type.read_only:
        yield from _flag("IsReadOnly", value=True, indent=8)
    yield "      </EntityType>"


def _property(prop: Property) -> Iterator[str]:
    nullable = "" if prop.nullable else ' Nullable="false"'
    yield f"        <Property Name={quoteattr(prop.name)} Type={quoteattr(_type_text(prop.type))}{nullable}>"
    yield from _text("LabelId", prop.label, 10)
    if not prop.allow_edit:
        yield from _flag("AllowEdit", value=False)
    if not prop.allow_edit_on_create:
        yield from _flag("AllowEditOnCreate", value=False)
    if prop.required:
        yield from _flag("IsRequired", value=True)
    if prop.ax_type is not None:
        yield f'          <Annotation Term="{TERMS}.AXType">'
        yield f"            <EnumMember>{TERMS}.AXType/{prop.ax_type}</EnumMember>"
        yield "          </Annotation>"
    yield "        </Property>"


def _navigation(navigation: Navigation) -> Iterator[str]:
    type_text = _type_text(TypeRef(navigation.target, navigation.many))
    partner = "" if navigation.partner is None else f" Partner={quoteattr(navigation.partner)}"
    head = f"        <NavigationProperty Name={quoteattr(navigation.name)} Type={quoteattr(type_text)}{partner}"
    if not navigation.on:
        yield f"{head} />"
        return
    yield f"{head}>"
    for pair in navigation.on:
        own, theirs = quoteattr(pair.property), quoteattr(pair.referenced)
        yield f"          <ReferentialConstraint Property={own} ReferencedProperty={theirs} />"
    yield "        </NavigationProperty>"


def _action(action: Operation) -> Iterator[str]:
    """Yield the lines of an action; its binding parameter has the name of the type."""
    assert action.bound_to is not None
    yield f'      <Action Name={quoteattr(short(action.name))} IsBound="true">'
    binding = Parameter(name=short(action.bound_to.name), type=action.bound_to)
    for parameter in (binding, *action.parameters):
        type_text = quoteattr(_type_text(parameter.type))
        yield f"        <Parameter Name={quoteattr(parameter.name)} Type={type_text} />"
    if action.returns is not None:
        yield f"        <ReturnType Type={quoteattr(_type_text(action.returns))} />"
    yield "      </Action>"


def _entity_set(entity_set: EntitySet) -> Iterator[str]:
    head = f"        <EntitySet Name={quoteattr(entity_set.name)} EntityType={quoteattr(entity_set.type)}"
    if not entity_set.bindings:
        yield f"{head} />"
        return
    yield f"{head}>"
    for path, target in entity_set.bindings.items():
        yield f"          <NavigationPropertyBinding Path={quoteattr(path)} Target={quoteattr(target)} />"
    yield "        </EntitySet>"


def _terms() -> Iterator[str]:
    yield f'    <Schema Namespace="{TERMS}" xmlns="http://docs.oasis-open.org/odata/ns/edm">'
    yield '      <EnumType Name="AXType">'
    for value, name in enumerate(_AX_TYPES):
        yield f'        <Member Name="{name}" Value="{value}" />'
    yield "      </EnumType>"
    yield "    </Schema>"


def _text(term: str, text: str | None, indent: int) -> Iterator[str]:
    if text is not None:
        yield f'{" " * indent}<Annotation Term="{TERMS}.{term}" String={quoteattr(text)} />'


def _flag(term: str, *, value: bool, indent: int = 10) -> Iterator[str]:
    yield f'{" " * indent}<Annotation Term="{TERMS}.{term}" Bool="{str(value).lower()}" />'


def _type_text(ref: TypeRef) -> str:
    return f"Collection({ref.name})" if ref.many else ref.name
