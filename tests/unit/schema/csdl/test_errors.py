"""What is not CSDL: each gets one clear error that names the place and what to do."""

from __future__ import annotations

import gzip

import pytest

from schema.csdl.parse import parse_csdl
from schema.csdl.xml import MAX_DEPTH, MAX_TEXT
from schema.errors import CsdlSyntaxError, SchemaError

EDMX = 'xmlns:edmx="http://docs.oasis-open.org/odata/ns/edmx"'
EDM = 'xmlns="http://docs.oasis-open.org/odata/ns/edm"'


def document(body: str) -> bytes:
    """Put the body on line 2, into a schema."""
    return (
        f'<edmx:Edmx Version="4.0" {EDMX}><edmx:DataServices><Schema Namespace="N" {EDM}>\n'
        f"{body}\n</Schema></edmx:DataServices></edmx:Edmx>"
    ).encode()


NOT_CSDL = {
    "nothing": (b"", 1, "the document is empty"),
    "only blanks": (b"\xef\xbb\xbf \n ", 2, "the document is empty"),
    "JSON": (b'{"error": {"code": "401"}}', 1, 'this is not XML: it begins with \'{"error"'),
    "plain text": (b"\xef\xbb\xbfService Unavailable", 1, "begins with 'Service Unavailable'"),
    "gzip": (gzip.compress(b"<a/>", mtime=0), 1, "this is gzip"),
    "an HTML page": (b"<!DOCTYPE html>\n<html><body>", 1, "this is an HTML page, not CSDL"),
    "an XHTML page": (b'\n<HTML xmlns="http://www.w3.org/1999/xhtml">', 2, "HTML page"),
    "other XML": (b'<?xml version="1.0"?>\n<error/>', 2, "root element is <error>, not <edmx:"),
    "a bare schema": (f"<Schema {EDM}/>".encode(), 1, "root element is <Schema>"),
    "OData V2": (
        b'<edmx:Edmx Version="1.0" xmlns:edmx="http://schemas.microsoft.com/ado/2007/06/edmx"/>',
        1,
        "OData V2/V3 is not supported",
    ),
    "edmx of version 3": (f'<edmx:Edmx Version="3.0" {EDMX}/>'.encode(), 1, "OData V2/V3"),
    "edmx of version 9": (f'<edmx:Edmx Version="9.0" {EDMX}/>'.encode(), 1, 'Version="9.0"'),
    "a V3 schema inside V4": (
        f'<edmx:Edmx Version="4.0" {EDMX}>\n'
        '<Schema xmlns="http://schemas.microsoft.com/ado/2009/11/edm"/></edmx:Edmx>'.encode(),
        2,
        "OData V2/V3",
    ),
    "no container": (document('<EnumType Name="E"/>'), 1, "no EntityContainer"),
    "no content at all": (f"<edmx:Edmx {EDMX}/>".encode(), 1, "no EntityContainer"),
    "a cut document": (
        document('<EntityType Name="T">\n<Property Name="A" Ty').partition(b"Ty\n")[0],
        3,
        "ends in the middle: <EntityType> of line 2 is still open",
    ),
    "a broken tag": (document("<EntityType Name=>"), 2, "not well-formed XML: not well-formed"),
    "crossed tags": (document("<EntityType></ComplexType>"), 2, "mismatched tag"),
    "an unknown encoding": (b'<?xml version="1.0" encoding="klingon"?><a/>', 1, "not well-formed"),
    "bytes that are not UTF-8": (document("\xff").replace(b"\xc3\xbf", b"\xff"), 2, "well-formed"),
}


@pytest.mark.parametrize(("content", "line", "reason"), NOT_CSDL.values(), ids=NOT_CSDL)
def test_what_is_not_csdl_gets_an_error_with_its_place(
    content: bytes, line: int, reason: str
) -> None:
    with pytest.raises(CsdlSyntaxError) as caught:
        parse_csdl(content, name="shop.xml")

    error = caught.value
    assert reason in error.reason
    assert (error.document, error.line) == ("shop.xml", line)
    assert str(error).startswith(f"shop.xml, line {line}, column {error.column}: ")
    assert error.column >= 1
    assert isinstance(error, SchemaError)


@pytest.mark.parametrize(
    ("content", "hint"),
    [
        (NOT_CSDL["nothing"][0], "/$metadata"),
        (NOT_CSDL["an HTML page"][0], "not signed in"),
        (NOT_CSDL["OData V2"][0], "V4 address"),
        (NOT_CSDL["a cut document"][0], "fetch the document again"),
        (NOT_CSDL["no container"][0], "$metadata"),
        (NOT_CSDL["gzip"][0], "Decompress"),
    ],
)
def test_an_error_says_what_to_do(content: bytes, hint: str) -> None:
    with pytest.raises(CsdlSyntaxError) as caught:
        parse_csdl(content)

    assert caught.value.hint is not None
    assert hint in caught.value.hint


@pytest.mark.parametrize(
    "subset",
    [
        "",
        '[<!ENTITY a "aaaa"><!ENTITY b "&a;&a;&a;">]',
        '[<!ENTITY secret SYSTEM "file:///etc/passwd">]',
        'SYSTEM "http://127.0.0.1:9/evil.dtd"',
    ],
    ids=["bare", "expansion", "external entity", "external subset"],
)
def test_a_doctype_is_refused_before_anything_in_it_is_used(subset: str) -> None:
    content = f"<!DOCTYPE Edmx {subset}>".encode() + document("&b;")

    with pytest.raises(CsdlSyntaxError, match="DOCTYPE, which is refused"):
        parse_csdl(content)


@pytest.mark.parametrize("tag", ["Record", "v:Unknown"], ids=["read", "skipped"])
def test_nesting_is_bounded(tag: str) -> None:
    opening = f'<{tag} xmlns:v="https://example.org/v">' * (MAX_DEPTH + 1)

    with pytest.raises(CsdlSyntaxError, match=f"nested deeper than {MAX_DEPTH}"):
        parse_csdl(document(opening))


def test_a_text_is_bounded() -> None:
    text = "x" * (MAX_TEXT + 1)
    term = "Org.OData.Core.V1.Description"

    with pytest.raises(CsdlSyntaxError, match="longer than"):
        parse_csdl(document(f'<Annotation Term="{term}"><String>{text}</String></Annotation>'))


BAD_ELEMENTS = {
    "a type without a name": ("<EntityType/>", "<EntityType> has no Name"),
    "a property without a type": (
        '<EntityType Name="T"><Property Name="A"/></EntityType>',
        "<Property> has no Type",
    ),
    "a word for a number": (
        '<EntityType Name="T"><Property Name="A" Type="Edm.String" MaxLength="ten"/></EntityType>',
        'MaxLength="ten" of <Property> is not a whole number',
    ),
    "an enum value that is none": (
        '<EnumType Name="E"><Member Name="A" Value="x"/></EnumType>',
        'Value="x" of <Member> is not a whole number',
    ),
    "a word for a truth": (
        '<EntityType Name="T" Abstract="maybe"/>',
        'Abstract="maybe" of <EntityType> is neither true nor false',
    ),
    "bound by nothing": (
        '<Action Name="A" IsBound="true"/>',
        "N.A is bound and has no parameter to be bound by",
    ),
    "annotations of nothing": ("<Annotations/>", "<Annotations> has no Target"),
    "a set without a type": (
        '<EntityContainer Name="C"><EntitySet Name="S"/></EntityContainer>',
        "<EntitySet> has no EntityType",
    ),
}


@pytest.mark.parametrize(("body", "reason"), BAD_ELEMENTS.values(), ids=BAD_ELEMENTS)
def test_a_bad_element_is_an_error_with_its_line(body: str, reason: str) -> None:
    with pytest.raises(CsdlSyntaxError) as caught:
        parse_csdl(document(body))

    assert (caught.value.reason, caught.value.line) == (reason, 2)


def test_a_cut_inside_what_is_skipped_is_still_a_cut() -> None:
    content = document('<v:X xmlns:v="https://example.org/v"><v:Y>').partition(b"\n</Schema>")[0]

    with pytest.raises(CsdlSyntaxError, match="ends in the middle: <Schema> of line 1"):
        parse_csdl(content)


@pytest.mark.parametrize("attributes", ["", 'Namespace=""', 'Alias="Self"'])
def test_a_schema_without_a_namespace_says_what_it_lacks_and_where(attributes: str) -> None:
    document = f"""<edmx:Edmx Version="4.0" xmlns:edmx="http://docs.oasis-open.org/odata/ns/edmx"><edmx:DataServices>
<Schema {attributes} xmlns="http://docs.oasis-open.org/odata/ns/edm"><EntityType Name="A"/></Schema>
</edmx:DataServices></edmx:Edmx>"""

    with pytest.raises(CsdlSyntaxError, match="this <Schema> has no Namespace") as caught:
        parse_csdl(document.encode())

    assert caught.value.line == 2
    assert "$metadata" in str(caught.value)
