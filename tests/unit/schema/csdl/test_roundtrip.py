"""A small CSDL writer, and the reader as its inverse, over random models."""

from __future__ import annotations

from xml.sax.saxutils import quoteattr

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from schema.csdl.parse import parse_csdl
from schema.errors import CsdlSyntaxError
from schema.model.records import (
    ComplexType,
    EntitySet,
    EntityType,
    EnumMember,
    EnumType,
    Model,
    Navigation,
    Property,
    ReferentialConstraint,
    Singleton,
    TypeRef,
)

NAMESPACE = "Test.Näme"
AX = "Microsoft.Dynamics.OData.Core.V1."
CORE = "Org.OData.Core.V1."

names = st.from_regex(r"[A-Za-zßéж名][A-Za-z0-9_éж名]{0,6}", fullmatch=True)
unique = st.lists(names, min_size=1, max_size=4, unique=True)
texts = st.none() | st.text(
    st.characters(codec="utf-8", exclude_categories=["Cc", "Cs", "Cn", "Co", "Z"]), min_size=1
)
sizes = st.none() | st.integers(0, 10**6)


def attribute(name: str, value: object, default: object = None) -> str:
    if value == default:
        return ""
    text = str(value).lower() if isinstance(value, bool) else str(value)
    return f" {name}={quoteattr(text)}"


def annotation(term: str, value: object, default: object = None) -> str:
    kind = "Bool" if isinstance(value, bool) else "String"
    written = attribute(kind, value, default)
    return f"<Annotation Term={quoteattr(term)}{written}/>" if written else ""


def texts_of(record: Property | EnumMember | EnumType | EntityType | EntitySet) -> str:
    return annotation(AX + "LabelId", record.label) + annotation(
        CORE + "Description", record.description
    )


def type_text(ref: TypeRef) -> str:
    return f"Collection({ref.name})" if ref.many else ref.name


def write_property(p: Property) -> str:
    return (
        f"<Property Name={quoteattr(p.name)} Type={quoteattr(type_text(p.type))}"
        + attribute("Nullable", p.nullable, True)
        + attribute("MaxLength", p.max_length)
        + attribute("Precision", p.precision)
        + attribute("Scale", p.scale)
        + ">"
        + texts_of(p)
        + annotation(AX + "AllowEdit", p.allow_edit, True)
        + annotation(AX + "AllowEditOnCreate", p.allow_edit_on_create, True)
        + annotation(AX + "IsRequired", p.required, False)
        + "</Property>"
    )


def write_navigation(n: Navigation) -> str:
    constraints = "".join(
        f"<ReferentialConstraint Property={quoteattr(c.property)}"
        f" ReferencedProperty={quoteattr(c.referenced)}/>"
        for c in n.on
    )
    return (
        f"<NavigationProperty Name={quoteattr(n.name)}"
        f" Type={quoteattr(type_text(TypeRef(n.target, n.many)))}"
        + attribute("Nullable", n.nullable, True)
        + attribute("Partner", n.partner)
        + attribute("ContainsTarget", n.contains_target, False)
        + f">{constraints}</NavigationProperty>"
    )


def write_structured(t: EntityType | ComplexType) -> str:
    tag = "EntityType" if isinstance(t, EntityType) else "ComplexType"
    refs = "".join(f"<PropertyRef Name={quoteattr(k)}/>" for k in getattr(t, "key", ()))
    return (
        f"<{tag} Name={quoteattr(t.name.removeprefix(NAMESPACE + '.'))}"
        + attribute("BaseType", t.base)
        + attribute("Abstract", t.abstract, False)
        + attribute("OpenType", t.open, False)
        + attribute("HasStream", getattr(t, "has_stream", False), False)
        + ">"
        + (f"<Key>{refs}</Key>" if refs else "")
        + "".join(map(write_property, t.properties))
        + "".join(map(write_navigation, t.navigations))
        + f"</{tag}>"
    )


def write_enum(e: EnumType) -> str:
    members = "".join(
        f'<Member Name={quoteattr(m.name)} Value="{m.value}">{texts_of(m)}</Member>'
        for m in e.members
    )
    return (
        f"<EnumType Name={quoteattr(e.name.removeprefix(NAMESPACE + '.'))}"
        + attribute("IsFlags", e.flags, False)
        + f">{members}{texts_of(e)}</EnumType>"
    )


def write_root(tag: str, typed_by: str, root: EntitySet | Singleton) -> str:
    bindings = "".join(
        f"<NavigationPropertyBinding Path={quoteattr(path)} Target={quoteattr(target)}/>"
        for path, target in root.bindings.items()
    )
    return (
        f"<{tag} Name={quoteattr(root.name)} {typed_by}={quoteattr(root.type)}>{bindings}</{tag}>"
    )


def write(model: Model) -> bytes:
    types = "".join(map(write_enum, model.enum_types.values()))
    types += "".join(map(write_structured, model.complex_types.values()))
    types += "".join(map(write_structured, model.entity_types.values()))
    roots = "".join(write_root("EntitySet", "EntityType", s) for s in model.entity_sets.values())
    roots += "".join(write_root("Singleton", "Type", s) for s in model.singletons.values())
    return (
        '<edmx:Edmx Version="4.0" xmlns:edmx="http://docs.oasis-open.org/odata/ns/edmx">'
        '<edmx:DataServices><Schema xmlns="http://docs.oasis-open.org/odata/ns/edm"'
        f' Namespace="{model.namespace}">{types}'
        f'<EntityContainer Name="Container">{roots}</EntityContainer>'
        "</Schema></edmx:DataServices></edmx:Edmx>"
    ).encode()


@st.composite
def members(draw: st.DrawFn) -> tuple[EnumMember, ...]:
    return tuple(
        EnumMember(
            name=name,
            value=draw(st.integers(-(2**63), 2**63 - 1)),
            label=draw(texts),
            description=draw(texts),
        )
        for name in draw(unique)
    )


@st.composite
def properties(draw: st.DrawFn, taken: list[str], types: list[str]) -> tuple[Property, ...]:
    return tuple(
        Property(
            name=name,
            type=TypeRef(draw(st.sampled_from(types)), draw(st.booleans())),
            nullable=draw(st.booleans()),
            max_length=draw(sizes),
            precision=draw(sizes),
            scale=draw(sizes),
            label=draw(texts),
            description=draw(texts),
            allow_edit=draw(st.booleans()),
            allow_edit_on_create=draw(st.booleans()),
            required=draw(st.booleans()),
        )
        for name in taken
    )


@st.composite
def entity_types(draw: st.DrawFn, qualified: list[str], values: list[str]) -> list[EntityType]:
    items: list[EntityType] = []
    for name in qualified:
        parts = draw(unique)
        cut = draw(st.integers(1, len(parts)))
        own = parts[:cut]
        items.append(
            EntityType(
                name=name,
                key=tuple(own[: draw(st.integers(0, cut))]),
                properties=draw(properties(own, values)),
                navigations=tuple(
                    Navigation(
                        name=navigation,
                        target=name,
                        many=draw(st.booleans()),
                        nullable=draw(st.booleans()),
                        partner=draw(st.none() | names),
                        on=(ReferentialConstraint(own[0], own[-1]),) * draw(st.integers(0, 2)),
                        contains_target=draw(st.booleans()),
                    )
                    for navigation in parts[cut:]
                ),
                base=draw(st.sampled_from([None, *(t.name for t in items)])),
                abstract=draw(st.booleans()),
                open=draw(st.booleans()),
                has_stream=draw(st.booleans()),
            )
        )
    return items


@st.composite
def models(draw: st.DrawFn) -> Model:
    enums = [f"{NAMESPACE}.{name}" for name in draw(unique)]
    complexes = [
        f"{NAMESPACE}.{name}" for name in draw(unique) if f"{NAMESPACE}.{name}" not in enums
    ]
    primitives = ["Edm.String", "Edm.Decimal", "Edm.GeographyPoint"]
    values = [*primitives, *enums, *complexes]
    entities = draw(entity_types([f"{NAMESPACE}.{name}" for name in draw(unique)], values))
    roots = draw(unique)
    cut = draw(st.integers(0, len(roots)))
    types = st.sampled_from([t.name for t in entities])
    bindings = st.dictionaries(names, st.sampled_from(roots[:cut])) if cut else st.just({})
    return Model(
        namespace=NAMESPACE,
        enum_types={
            name: EnumType(name=name, members=draw(members()), flags=draw(st.booleans()))
            for name in enums
        },
        complex_types={
            name: ComplexType(name=name, properties=draw(properties(draw(unique), primitives)))
            for name in complexes
        },
        entity_types={t.name: t for t in entities},
        entity_sets={
            name: EntitySet(name=name, type=draw(types), bindings=draw(bindings))
            for name in roots[:cut]
        },
        singletons={
            name: Singleton(name=name, type=draw(types), bindings=draw(bindings))
            for name in roots[cut:]
        },
    )


@pytest.mark.heavy
@settings(max_examples=60, deadline=None)
@given(models())
def test_reading_undoes_writing(model: Model) -> None:
    assert parse_csdl(write(model)) == model


@settings(deadline=None)
@given(st.binary(max_size=200))
def test_random_bytes_are_refused_with_our_own_error(content: bytes) -> None:
    with pytest.raises(CsdlSyntaxError):
        parse_csdl(content)


@pytest.mark.heavy
@settings(max_examples=60, deadline=None)
@given(models(), st.data())
def test_a_document_cut_anywhere_is_refused(model: Model, data: st.DataObject) -> None:
    content = write(model)
    cut = content[: data.draw(st.integers(0, len(content) - 1))]

    with pytest.raises(CsdlSyntaxError):
        parse_csdl(cut)
