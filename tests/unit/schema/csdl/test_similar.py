"""Properties that are made after the likeness of others, and the XML reader as the oracle."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from unittest import mock

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from schema.csdl.parse import parse_csdl
from schema.csdl.similar import MOST_KINDS, SimilarProperties
from schema.csdl.xml import Reader
from schema.errors import CsdlSyntaxError
from schema.model.records import Model
from tests.support.metadata_documents import CUSTOMERS, content_of
from tests.support.soak import bounded

AX = "Microsoft.Dynamics.OData.Core.V1."
CORE = "Org.OData.Core.V1."
EDM = "http://docs.oasis-open.org/odata/ns/edm"
EDMX = 'Version="4.0" xmlns:edmx="http://docs.oasis-open.org/odata/ns/edmx"'

NAMES = ["A", "B", "Ä1", "", "A-B", "A B", "A&amp;B", "A\tB", 'A" Alias="B']
TYPES = ["Edm.String", "N.E", " Collection( N.E ) ", "N.Absent", "Al.E", "Edm.&quot;", "", "a<b"]
TEXTS = [
    "@SYS1",
    " two  words\t",
    "",
    "true",
    "Date",
    "&amp;",
    "&#10;",
    "a\nb",
    "é\u2028",
    "a>b",
    "▢2",
    "--",
    "'",
]
ATTRIBUTES = [
    "",
    ' Nullable="false"',
    ' Nullable="no"',
    ' MaxLength="max"',
    ' Precision="x"',
    " x='1'",
]
TERMS = [
    *(AX + term for term in ("LabelId", "HelpTextId", "AXType", "IsRequired", "AllowEdit")),
    *(CORE + term for term in ("Description", "LongDescription", "Computed")),
    *("Core.Description", "Late.Description", "Absent.Description"),
]
ANNOTATIONS = [
    f'<Annotation Term="{AX}AXType"><EnumMember>{AX}AXType/Date</EnumMember></Annotation>',
    f'<Annotation Term="{AX}AllowEdit" Bool="false" />',
    f'<Annotation Term="{AX}LabelId" Qualifier="q" String="qualified" />',
    f'<Annotation Term="{AX}LabelId"><String>String="inside"</String></Annotation>',
    f'<Annotation Term="{CORE}Description"><String>a<![CDATA[ String="b"]]></String></Annotation>',
    f'<Annotation Term="{CORE}Description"><Path>P</Path></Annotation>',
    f'<Annotation Term="{AX}LabelId"><String>▢2</String></Annotation>',
    '<!-- String="inside" -->',
    "<? String=\"inside\" ?>",
    "<Annotation Term='Core.Description' Note=' String=\"x\"'/>",
    ' String="stray"',
    "\n\t",
    "&absent;",
    "\x01",
    "</Property>",
]  # fmt: skip
BETWEEN = [
    *("", "\n      ", "\r\n  ", "stray", "]]>", "&absent;", "\x01"),
    '<Key><PropertyRef Name="A" /></Key>',
    '<NavigationProperty Name="B" Type="N.T" />',
    f'<Annotation Term="{CORE}Description" String="of the type" />',
    '<!-- <Property Name="C" Type="Edm.String" /> -->',
    '<![CDATA[ <Property Name="C" Type="Edm.String" /> ]]>',
    "<Other><Property Name='C' Type='N.E' />",
    "</Other>",
    '</EntityType>\n<EntityType Name="U">',
    '</EntityType><ComplexType Name="U">',
    '<Property Name="D" Type="Edm.String" xmlns="urn:other" />',
    '<EntityType Name="Inner"><Property Name="E" Type="Edm.String" /></EntityType>',
    '<x xmlns="urn:other"><Property Name="F" Type="Edm.String" /></x>',
]
SCHEMAS = [
    *[f'<Schema Namespace="N" xmlns="{EDM}">'] * 3,
    f'<Schema Namespace="N" xmlns="{EDM}" Alias="Al">',
    '<Schema Namespace="N">',
    f'<Schema Namespace="N" xmlns="{EDM}"><!-- ',
]
PREFIXED = (
    '<e:EntityType Name="P" xmlns:e="http://docs.oasis-open.org/odata/ns/edm" xmlns="urn:other">'
    '<Property Name="A" Type="Edm.String" /><!-- </EntityType> --></e:EntityType>'
)
DECLARATIONS = [*[""] * 3, '<?xml version="1.0" encoding="ISO-8859-1"?>']


def annotation(term: str, text: str) -> str:
    return f'<Annotation Term="{term}" String="{text}" />'


def property_text(name: str, type_: str, attributes: str = "", inner: Sequence[str] = ()) -> str:
    start = f'<Property Name="{name}" Type="{type_}"{attributes}'
    return f"{start}>{''.join(inner)}</Property>" if inner else f"{start} />"


inner_parts = st.sampled_from(ANNOTATIONS) | st.builds(
    annotation, st.sampled_from(TERMS), st.sampled_from(TEXTS)
)
properties = st.builds(
    property_text,
    st.sampled_from(NAMES[:2]) | st.sampled_from(NAMES),
    st.sampled_from(TYPES[:2]) | st.sampled_from(TYPES),
    st.sampled_from(ATTRIBUTES[:2]) | st.sampled_from(ATTRIBUTES),
    st.lists(inner_parts, max_size=3),
)
contents = st.lists(st.tuples(st.sampled_from(BETWEEN[:3]) | st.sampled_from(BETWEEN), properties))


def document(content: str, schema: str = SCHEMAS[0], declaration: str = "") -> bytes:
    return (
        f"{declaration}<edmx:Edmx {EDMX}><edmx:Reference Uri='x'><edmx:Include"
        f' Namespace="{CORE[:-1]}" Alias="Core" /></edmx:Reference><edmx:DataServices>\n{schema}'
        f'<EnumType Name="E" /><EntityType Name="T">{content}</EntityType>'
        '<EntityContainer Name="C"><EntitySet Name="Ts" EntityType="N.T" /></EntityContainer>'
        f"</Schema></edmx:DataServices><edmx:Reference Uri='x'><edmx:Include"
        f' Namespace="{CORE[:-1]}" Alias="Late" /></edmx:Reference></edmx:Edmx>'
    ).encode()


def outcome(content: bytes, chunk: int = 1 << 18) -> Model | tuple[object, ...]:
    pieces = (content[at : at + chunk] for at in range(0, len(content), chunk))
    try:
        return parse_csdl(pieces)
    except CsdlSyntaxError as error:
        return (error.reason, error.line, error.column)


def read_as_xml(content: bytes) -> Model | tuple[object, ...]:
    with mock.patch.object(SimilarProperties, "make", return_value=None):
        return outcome(content)


LIKE = property_text("Z", "Edm.String", inner=[annotation(TERMS[0], "@Z")])
TEXTUAL = [term for term in TERMS if term.endswith(("LabelId", "Description"))]
ONE_BY_ONE: dict[str, list[str]] = {
    "a name": [property_text(name, "N.E") for name in NAMES],
    "a type": [property_text("A", type_) for type_ in TYPES],
    "an attribute": [property_text("A", "N.E", attributes) for attributes in ATTRIBUTES],
    "a text": [
        property_text("A", "N.E", inner=[annotation(term, text)])
        for term in TERMS
        for text in TEXTS
    ],
    "two texts": [
        property_text("A", "N.E", inner=[annotation(one, text), annotation(other, "")])
        for one in TEXTUAL
        for other in TEXTUAL
        for text in ("x", "")
    ],
    "an annotation": [
        property_text("A", "N.E", inner=[annotation(TERMS[1], "help"), inner])
        for inner in ANNOTATIONS
    ],
    "what comes between": [
        f"{between}{LIKE}"
        for between in (*BETWEEN, f"</EntityType>{PREFIXED}<EntityType Name='V'>")
    ],
}


@pytest.mark.parametrize("what", ONE_BY_ONE)
def test_one_that_is_special_is_as_the_xml_reader_would_read_it(what: str) -> None:
    for special in ONE_BY_ONE[what]:
        content = document(f"{LIKE}{special}{LIKE}{special}")
        assert outcome(content) == read_as_xml(content), special


@pytest.mark.parametrize("schema", SCHEMAS[2:])
@pytest.mark.parametrize("declaration", DECLARATIONS[2:])
def test_whatever_the_schema_and_the_encoding(schema: str, declaration: str) -> None:
    inner = [annotation(TERMS[0], "é")]
    content = document(property_text("Ä", "N.E", inner=inner), schema, declaration)
    assert outcome(content) == read_as_xml(content)


@settings(deadline=None, max_examples=bounded(30, 3_000))
@given(
    contents,
    st.sampled_from(SCHEMAS),
    st.sampled_from(DECLARATIONS),
    st.sampled_from([13, 1 << 18]),
)
def test_they_are_as_the_xml_reader_would_read_them(
    parts: list[tuple[str, str]], schema: str, declaration: str, chunk: int
) -> None:
    content = document("".join(map("".join, parts)), schema, declaration)

    assert outcome(content, chunk) == read_as_xml(content)


@pytest.mark.parametrize("newline", ["\n", ""])
def test_places_in_errors_are_those_of_the_document(newline: str) -> None:
    regular = f'{newline}<Property Name="A" Type="Edm.String" />{newline} ' * 3
    content = document(f'{regular}<Property Name="B" Type="N.E" Nullable="perhaps" />')

    assert outcome(content) == read_as_xml(content)
    assert not isinstance(outcome(content), Model)


@pytest.fixture
def properties_read(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Return the tags of all elements that come to the XML reader as properties."""
    read: list[str] = []
    start: Callable[..., None] = Reader._start

    def counted(self: Reader, tag: str, attributes: dict[str, str]) -> None:
        if tag.endswith(" Property"):
            read.append(tag)
        start(self, tag, attributes)

    monkeypatch.setattr(Reader, "_start", counted)
    return read


def test_the_xml_reader_reads_one_of_each_kind(properties_read: list[str]) -> None:
    pair = (
        f'<Property Name="A%d" Type="N.T%d"><Annotation Term="{AX}LabelId" String="@A%d" />'
        f'<Annotation Term="{AX}HelpTextId" String="help %d" /></Property>'
        '<Property Name="B%d" Type="Edm.String" Nullable="false" />'
    )
    outcome(document("".join(pair.replace("%d", str(n)) for n in range(50))))

    assert len(properties_read) == 2


def test_properties_of_the_product_are_of_some_kinds(properties_read: list[str]) -> None:
    model = parse_csdl(content_of(CUSTOMERS))

    count = sum(len(t.properties) for t in model.entity_types.values())
    assert 0 < len(properties_read) < count / 4


def test_a_document_of_nothing_but_kinds_is_read_as_xml(
    properties_read: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("schema.csdl.similar.MOST_KINDS", 3)
    many = "".join(f'<Property Name="A{n}" Type="N.E" MaxLength="{n}" />' for n in range(9))
    model = outcome(document(many))

    assert isinstance(model, Model)
    assert [p.max_length for p in model.entity_types["N.T"].properties] == list(range(9))
    assert len(properties_read) == 3 + 6
    assert MOST_KINDS > 3
